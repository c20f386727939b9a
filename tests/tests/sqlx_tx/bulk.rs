//! Bulk writes: many transactions under one fence.

use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::scope::Recording;
use cache_core::{Cache, WriteScope};
use cache_sqlx::{Bulk, TxError, bulk};
use sqlx::{Connection, Executor, PgConnection};

use crate::kit::*;

async fn begun(bank: &Bank) -> Bulk {
    let names = |writes: &Recording| {
        touch(writes, 1);
        touch(writes, 2);
    };
    bulk(&bank.cache, &bank.pool, names).await.unwrap()
}

/// A transaction of the bulk write that says nothing of what it changes.
async fn set(write: &Bulk, id: i64, balance: i64) {
    let mut tx = write.begin().await.unwrap();
    sqlx::query(SET).bind(id).bind(balance).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

fn accounts() -> Vec<String> {
    vec!["bank:account:1".to_owned(), "bank:account:2".to_owned()]
}

/// What the store was told, without the renewals.
fn told(bank: &Bank) -> Vec<Seen> {
    let mut seen = bank.spy.seen();
    let mut is_renewal = false;
    seen.retain(|seen| {
        let is_whole = *seen == Seen::Mark(accounts());
        !(is_whole && std::mem::replace(&mut is_renewal, true))
    });
    seen
}

/// The process id of the session whose transaction stands for the bulk write.
async fn anchor(bank: &Bank) -> i32 {
    let standing = "SELECT pid FROM pg_stat_activity
                    WHERE datname = current_database() AND backend_xid IS NOT NULL";
    sqlx::query_scalar(standing).fetch_one(&bank.pool).await.unwrap()
}

#[tokio::test]
async fn transactions_of_a_bulk_write_are_fenced_once_and_cleared_once() {
    let bank = bank().await;
    cache_sqlx::heal(&bank.cache, &bank.pool);
    assert!(bank.is_cached(1).await && bank.is_cached(2).await);
    let write = begun(&bank).await;
    for balance in [110, 120, 130] {
        set(&write, 1, balance).await;
        assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, balance, "each is seen when it is committed");
        assert!(!bank.is_cached(1).await && !bank.is_cached(2).await);
    }
    assert_eq!(told(&bank), [Seen::Mark(accounts())]);
    write.end().await.unwrap();
    assert_eq!(told(&bank), [Seen::Mark(accounts()), Seen::Clear(accounts(), 0)]);
    assert_eq!(bank.idle_in_transaction().await, 0);
    assert!(bank.is_cached(1).await && bank.is_cached(2).await);
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 130);
}

#[tokio::test]
async fn what_a_transaction_records_beyond_the_bulk_write_is_fenced_by_its_own_commit() {
    let bank = bank().await;
    let write = begun(&bank).await;
    let mut tx = write.begin().await.unwrap();
    touch(&tx.recording(), 1);
    touch(&tx.recording(), 3);
    tx.commit().await.unwrap();
    let third = || vec!["bank:account:3".to_owned()];
    assert_eq!(told(&bank), [Seen::Mark(accounts()), Seen::Mark(third()), Seen::Clear(third(), 0)]);
    write.end().await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_committed_after_the_end_fences_all_of_it_for_itself() {
    let bank = bank().await;
    let write = begun(&bank).await;
    let mut late = write.begin().await.unwrap();
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *late).await.unwrap();
    write.end().await.unwrap();
    assert!(bank.is_cached(1).await);
    late.commit().await.unwrap();
    assert_eq!(bank.spy.marks(), 2);
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 150);
}

/// The caller of a commit goes away while it waits in the database; the end of the bulk write must not overtake it.
#[tokio::test]
async fn the_end_waits_for_a_commit_whose_caller_has_gone() {
    let bank = bank().await;
    bank.pool
        .execute(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
             CREATE CONSTRAINT TRIGGER hold AFTER UPDATE ON account DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION hold()",
        )
        .await
        .unwrap();
    let mut holder = PgConnection::connect(&bank.url).await.unwrap();
    holder.execute("SELECT pg_advisory_lock(1)").await.unwrap();
    let write = begun(&bank).await;
    let mut tx = write.begin().await.unwrap();
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let commit = tokio::spawn(tx.commit());
    until("COMMIT waits", async || {
        let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)";
        sqlx::query_scalar::<_, bool>(waiting).fetch_one(&bank.pool).await.unwrap()
    })
    .await;
    commit.abort();
    let ending = tokio::spawn(write.end());
    for _ in 0..10 {
        assert_eq!(bank.balance(1).await, 100);
        assert!(!bank.is_cached(1).await, "the old value would stay");
    }
    assert!(!ending.is_finished());
    holder.execute("SELECT pg_advisory_unlock(1)").await.unwrap();
    ending.await.unwrap().unwrap();
    assert!(bank.is_cached(1).await);
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 150);
}

#[tokio::test]
async fn a_fence_that_the_store_has_lost_is_set_again_and_what_was_stored_meanwhile_is_dropped() {
    let bank = bank().await;
    let write = begun(&bank).await;
    until("nobody knows of the write", async || {
        bank.spy.lose_everything();
        bank.is_cached(1).await
    })
    .await;
    set(&write, 1, 150).await;
    // From then on every read sees it, long before the end.
    until("the fence is back", async || !bank.is_cached(1).await).await;
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 150);
    write.end().await.unwrap();
    assert!(bank.is_cached(1).await);
}

#[tokio::test]
async fn a_read_after_the_end_is_fresh_though_the_fence_was_lost_just_before() {
    let bank = bank().await;
    let write = begun(&bank).await;
    bank.spy.lose_everything();
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 100);
    set(&write, 1, 150).await;
    write.end().await.unwrap();
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 150);
}

#[tokio::test]
async fn another_transaction_takes_the_place_of_one_that_the_database_has_ended() {
    let bank = bank().await;
    cache_sqlx::heal(&bank.cache, &bank.pool);
    let listener = Listener::join(&bank.cache);
    let write = begun(&bank).await;
    let first = anchor(&bank).await;
    sqlx::query("SELECT pg_terminate_backend($1)").bind(first).execute(&bank.pool).await.unwrap();
    until("another one stands", async || {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                      AND pid <> $1 AND backend_xid IS NOT NULL";
        sqlx::query_scalar::<_, i64>(others).bind(first).fetch_one(&bank.pool).await.unwrap() == 1
    })
    .await;
    until("its fence stands", async || bank.spy.marks() >= 2 && bank.spy.clears() >= 1).await;
    set(&write, 1, 150).await;
    let asked = listener.asked();
    until("readers have asked for it", async || {
        assert!(!bank.is_cached(1).await);
        listener.asked() > asked
    })
    .await;
    write.end().await.unwrap();
    assert!(bank.is_cached(1).await);
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 150);
}

/// No clock: while the process lives its fence stands, however old, and when it is dead the next reader lifts it.
#[tokio::test]
async fn the_fence_of_a_bulk_write_is_lifted_when_its_process_has_died_and_no_sooner() {
    let bank = bank().await;
    let cache = builder(&bank.spy).orphan_after(std::time::Duration::from_millis(1)).build().unwrap();
    cache_sqlx::heal(&cache, &bank.pool);
    let listener = Listener::join(&cache);
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (url, spy) = (bank.url.clone(), bank.spy.clone());
    let (begins, began) = tokio::sync::oneshot::channel();
    process.spawn(async move {
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        let its = builder(&spy).build().unwrap();
        let write = bulk(&its, &pool, |writes| drop(touch(writes, 1))).await.unwrap();
        set(&write, 1, 150).await;
        begins.send(()).unwrap();
        // It ends with the process.
        std::future::pending::<()>().await;
    });
    began.await.unwrap();
    let is_cached = async |cache: &Cache| {
        let loads = AtomicUsize::new(0);
        for _ in 0..2 {
            assert_eq!(read(cache, 1, &loads, bank.balance(1)).await, 150);
        }
        loads.load(Ordering::SeqCst) == 1
    };
    until("readers have asked", async || {
        assert!(!is_cached(&cache).await);
        listener.asked() >= 3
    })
    .await;
    process.shutdown_background();
    until("a reader lifts the fence", async || is_cached(&cache).await).await;
}

#[tokio::test]
async fn a_bulk_write_that_is_dropped_leaves_no_fence() {
    let bank = bank().await;
    let write = begun(&bank).await;
    set(&write, 1, 150).await;
    let again = write.clone();
    drop(write);
    set(&again, 1, 160).await;
    assert_eq!(bank.spy.clears(), 0);
    drop(again);
    until("it is cleared", async || bank.spy.clears() == 1).await;
    until("nothing is open", async || bank.idle_in_transaction().await == 0).await;
    assert!(bank.is_cached(1).await);
}

#[tokio::test]
async fn a_transaction_that_has_failed_is_not_committed_in_silence() {
    let bank = bank().await;
    let write = begun(&bank).await;
    let mut tx = write.begin().await.unwrap();
    tx.execute("INSERT INTO account VALUES (1, 0)").await.unwrap_err();
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::RolledBack(_))), "{error:?}");
    write.end().await.unwrap();
}

#[tokio::test]
async fn what_a_bulk_write_lacks_is_named() {
    let bank = bank().await;
    let error = bulk(&bank.cache, &bank.pool, |_| ()).await.unwrap_err();
    assert!(error.to_string().contains("names nothing that it changes"), "{error}");
    let single = bank.single().await;
    let error = bulk(&bank.cache, &single, |writes| drop(touch(writes, 1))).await.unwrap_err();
    assert!(error.to_string().contains("give the pool at least 2"), "{error}");
    let write = begun(&bank).await;
    write.clone().end().await.unwrap();
    let error = write.end().await.unwrap_err();
    assert!(error.to_string().contains("ended already"), "{error}");
    bank.spy.refuse_marks.store(true, Ordering::SeqCst);
    let error = bulk(&bank.cache, &bank.pool, |writes| drop(touch(writes, 1))).await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unfenced(_))), "{error:?}");
    until("nothing is open", async || bank.idle_in_transaction().await == 0).await;
    let off = Cache::builder("bank").off().build().unwrap();
    let write = bulk(&off, &bank.pool, |writes| drop(touch(writes, 1))).await.unwrap();
    set(&write, 1, 150).await;
    write.end().await.unwrap();
}
