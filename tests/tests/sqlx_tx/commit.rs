//! Ends of a transaction that somebody waited for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::site::{Coverage, Location, WriteSite};
use cache_core::{MemoryStore, WriteScope};
use cache_sqlx::{TxError, begin, begin_with};
use sqlx::Executor;

use crate::kit::*;

#[tokio::test]
async fn the_fence_stands_from_before_the_change_is_visible_until_after_it() {
    let bank = bank().await;
    bank.spy.marked.close();
    bank.spy.clearing.close();
    assert!(bank.is_cached(1).await);
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    assert_eq!(bank.spy.seen(), [], "nothing is fenced while the transaction runs");
    let commit = tokio::spawn(tx.commit());

    bank.spy.marked.arrival().await;
    assert_eq!(bank.balance(1).await, 100, "fenced, not yet committed");
    assert!(!bank.is_cached(1).await);
    bank.spy.marked.open();

    bank.spy.clearing.arrival().await;
    // Whether a reader heals the fence by now depends on its age, but no reader may find the old value.
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 150, "committed, not yet cleared");
    assert!(!commit.is_finished());
    bank.spy.clearing.open();

    commit.await.unwrap().unwrap();
    let account = vec!["bank:account:1".to_owned()];
    // On a slow machine a reader has healed the fence meanwhile; then it is set and cleared once more.
    assert_eq!(bank.spy.seen()[..2], [Seen::Mark(account.clone()), Seen::Clear(account, 0)]);
    assert!(bank.is_cached(1).await);
}

#[tokio::test]
async fn a_read_after_the_commit_sees_the_change() {
    let bank = bank().await;
    let loads = AtomicUsize::new(0);
    assert_eq!((bank.read(1, &loads).await, bank.read(1, &loads).await), (100, 100));
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bank.read(1, &loads).await, bank.read(1, &loads).await), (150, 150));
    assert_eq!(loads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_transaction_that_records_nothing_fences_nothing() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bank.balance(1).await, bank.spy.seen()), (150, vec![]));
}

#[tokio::test]
async fn a_cache_that_is_off_leaves_a_plain_transaction() {
    let bank = bank().await;
    let off = cache_core::Cache::builder("bank").off().build().unwrap();
    let mut tx = begin(&off, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bank.balance(1).await, 150);
}

#[tokio::test]
async fn rollback_and_drop_undo_the_change_and_leave_the_entry() {
    let bank = bank().await;
    let loads = AtomicUsize::new(0);
    bank.read(1, &loads).await;
    let single = bank.single().await;
    for dropped in [false, true] {
        let mut tx = begin(&bank.cache, &single).await.unwrap();
        touch(&tx.recording(), 1);
        sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
        if dropped {
            drop(tx);
        } else {
            tx.rollback().await.unwrap();
        }
        // The only connection is free again, and outside any transaction.
        let after: i64 = sqlx::query_scalar(GET).bind(1_i64).fetch_one(&single).await.unwrap();
        assert_eq!(after, 100);
        assert_eq!(bank.idle_in_transaction().await, 0);
    }
    assert_eq!(bank.spy.seen(), []);
    bank.read(1, &loads).await;
    assert_eq!(loads.load(Ordering::SeqCst), 1, "the entry is still right, so it is still served");
}

#[tokio::test]
async fn committing_a_failed_transaction_says_that_it_was_rolled_back() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    tx.execute("INSERT INTO account VALUES (1, 0)").await.unwrap_err();
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::RolledBack(_))), "{error:?}");
    assert_eq!(TxError::of(&error).unwrap().was_made(), Some(false));
    assert_eq!((bank.balance(1).await, bank.spy.seen()), (100, vec![]));
}

#[tokio::test]
async fn a_commit_that_the_database_refuses_keeps_its_error_and_lifts_the_fence() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    put(&tx.recording(), 2);
    tx.execute("INSERT INTO owner VALUES (1, 404)").await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert!(error.as_database_error().is_some_and(|e| e.is_foreign_key_violation()), "{error:?}");
    assert!(TxError::of(&error).is_none());
    until("the fence is lifted", async || bank.spy.clears() == 1).await;
    assert!(matches!(&bank.spy.seen()[..], [Seen::Mark(_), Seen::Clear(_, 0)]));
    assert!(bank.is_cached(1).await);
}

#[tokio::test]
async fn what_cannot_be_fenced_is_not_committed() {
    let bank = bank().await;
    bank.spy.refuse_marks.store(true, Ordering::SeqCst);
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unfenced(_))), "{error:?}");
    assert!(error.to_string().contains("rolled back"), "{error}");
    assert_eq!(bank.balance(1).await, 100);
}

#[tokio::test]
async fn a_commit_whose_clear_is_not_confirmed_says_that_it_was_made() {
    let bank = bank().await;
    let cache = builder(&bank.spy).clear_wait(Duration::from_millis(20)).build().unwrap();
    bank.spy.refuse_clears.store(true, Ordering::SeqCst);
    let mut tx = begin(&cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unclear(_))), "{error:?}");
    assert_eq!(TxError::of(&error).unwrap().was_made(), Some(true));
    assert_eq!(bank.balance(1).await, 150);
    bank.spy.refuse_clears.store(false, Ordering::SeqCst);
    until("the clear is made up for", async || bank.spy.clears() == 1).await;
}

static UNFINISHED: WriteSite = WriteSite {
    at: Location { function: "commit::unfinished", file: file!(), line: line!() },
    keys: &["account:<return.id>"],
    tags: &[],
    coverage: Coverage::Within,
    on_unfenced: None,
};

#[tokio::test]
async fn a_write_that_never_said_what_it_changed_is_not_committed() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    let owed = tx.recording().expect(&UNFINISHED);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    drop(owed);
    let error = tx.commit().await.unwrap_err();
    let Some(TxError::Uncovered(uncovered)) = TxError::of(&error) else { panic!("{error:?}") };
    assert_eq!(uncovered.at, UNFINISHED.at);
    assert_eq!((bank.balance(1).await, bank.spy.seen()), (100, vec![]));
}

#[tokio::test]
async fn a_transaction_that_was_ended_by_a_statement_is_noticed_and_invalidated() {
    let bank = bank().await;
    let single = bank.single().await;
    for (round, ending) in ["COMMIT", "COMMIT; BEGIN", "ROLLBACK"].into_iter().enumerate() {
        let loads = AtomicUsize::new(0);
        bank.read(1, &loads).await;
        let mut tx = begin(&bank.cache, &single).await.unwrap();
        let body = tx.recording();
        sqlx::query(SET).bind(1_i64).bind(500_i64).execute(&mut tx).await.unwrap();
        put(&body, 1);
        sqlx::raw_sql(ending).execute(&mut *tx).await.unwrap();
        let error = tx.commit().await.unwrap_err();
        assert!(matches!(TxError::of(&error), Some(TxError::CommittedOutside)), "{ending}: {error:?}");
        let account = vec!["bank:account:1".to_owned()];
        assert_eq!(bank.spy.seen()[2 * round..], [Seen::Mark(account.clone()), Seen::Clear(account, 0)]);
        assert_eq!(bank.read(1, &loads).await, bank.balance(1).await, "{ending}");
        // sqlx counts right again: the next transaction on this connection is a real one.
        let mut next = begin(&bank.cache, &single).await.unwrap();
        sqlx::query(SET).bind(2_i64).bind(0_i64).execute(&mut *next).await.unwrap();
        next.rollback().await.unwrap();
        assert_eq!((bank.balance(2).await, bank.idle_in_transaction().await), (200, 0), "{ending}");
    }
}

#[tokio::test]
async fn a_later_use_of_the_connection_cancels_what_was_to_be_installed() {
    let bank = bank().await;
    let mut installed = Vec::new();
    for later in 0..4 {
        let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
        let body = tx.recording();
        sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut tx).await.unwrap();
        put(&body, 1);
        match later {
            0 => {}
            1 => drop(tx.execute("SELECT 1").await.unwrap()),
            2 => drop(sqlx::query("SELECT 1").execute(&mut tx).await.unwrap()),
            _ => tx.begin().await.unwrap().commit().await.unwrap(),
        }
        tx.commit().await.unwrap();
        if let Some(Seen::Clear(_, puts)) = bank.spy.seen().pop() {
            installed.push(puts);
        }
    }
    assert_eq!(installed, [1, 0, 0, 0]);
}

#[tokio::test]
async fn a_transaction_may_begin_with_a_statement_of_its_own() {
    let bank = bank().await;
    let mut tx = begin_with(&bank.cache, &bank.pool, "BEGIN ISOLATION LEVEL SERIALIZABLE").await.unwrap();
    let level: String = sqlx::query_scalar("SHOW transaction_isolation").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(level, "serializable");
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bank.balance(1).await, bank.spy.clears()), (150, 1));
}

#[tokio::test]
async fn a_pool_of_one_connection_is_enough() {
    let bank = bank_of(1).await;
    let store = MemoryStore::default();
    let cache = cache_core::Cache::builder("bank").store(store).build().unwrap();
    for balance in [110_i64, 120, 130] {
        let mut tx = begin(&cache, &bank.pool).await.unwrap();
        touch(&tx.recording(), 1);
        let mut inner = tx.begin().await.unwrap();
        sqlx::query(SET).bind(1_i64).bind(balance).execute(&mut *inner).await.unwrap();
        inner.commit().await.unwrap();
        tx.commit().await.unwrap();
        let loads = AtomicUsize::new(0);
        assert_eq!(read(&cache, 1, &loads, bank.balance(1)).await, balance);
        assert_eq!(read(&cache, 1, &loads, bank.balance(1)).await, balance);
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }
}
