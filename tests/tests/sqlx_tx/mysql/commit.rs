//! Ends of a transaction on MySQL that somebody waited for.

use cache_sqlx::{ReadFrom, TxError, begin_with};
use sqlx::{Acquire, MySql};

use super::*;

#[tokio::test]
async fn a_read_after_the_commit_sees_the_change() {
    for connections in [1, 4] {
        let vault = vault_of(connections).await;
        let loads = AtomicUsize::new(0);
        assert_eq!((vault.read(1, &loads).await, vault.read(1, &loads).await), (100, 100));
        vault.change(150).await.commit().await.unwrap();
        assert_eq!((vault.read(1, &loads).await, vault.read(1, &loads).await), (150, 150));
        assert_eq!(loads.load(Ordering::SeqCst), 2);
        assert_eq!((vault.spy.marks(), vault.spy.clears()), (1, 1));
    }
}

#[tokio::test]
async fn the_fence_stands_from_before_the_change_is_visible_until_after_it() {
    let vault = vault().await;
    vault.spy.marked.close();
    vault.spy.clearing.close();
    assert!(vault.is_cached(1).await);
    let tx = vault.change(150).await;
    assert_eq!(vault.spy.seen(), [], "nothing is fenced while the transaction runs");
    let commit = tokio::spawn(tx.commit());
    vault.spy.marked.arrival().await;
    assert_eq!(vault.balance(1).await, 100, "fenced, not yet committed");
    assert!(!vault.is_cached(1).await);
    vault.spy.marked.open();
    vault.spy.clearing.arrival().await;
    assert_eq!(vault.read(1, &AtomicUsize::new(0)).await, 150, "committed, not yet cleared");
    assert!(!commit.is_finished());
    vault.spy.clearing.open();
    commit.await.unwrap().unwrap();
    assert!(vault.is_cached(1).await);
}

#[tokio::test]
async fn rollback_and_drop_undo_the_change_and_leave_the_entry() {
    let vault = vault_of(1).await;
    let loads = AtomicUsize::new(0);
    vault.read(1, &loads).await;
    vault.change(150).await.rollback().await.unwrap();
    assert_eq!(vault.balance(1).await, 100);
    drop(vault.change(150).await);
    assert_eq!(vault.balance(1).await, 100);
    vault.read(1, &loads).await;
    assert_eq!((loads.load(Ordering::SeqCst), vault.spy.seen()), (1, vec![]));
}

#[tokio::test]
async fn savepoints_merge_or_are_undone() {
    let vault = vault_of(1).await;
    let mut tx = vault.change(150).await;
    let mut kept = tx.begin().await.unwrap();
    set(&mut kept, 2, 250).await.unwrap();
    touch(&kept.recording(), 2);
    kept.commit().await.unwrap();
    let mut undone = tx.begin().await.unwrap();
    set(&mut undone, 2, 0).await.unwrap();
    touch(&undone.recording(), 3);
    drop(undone);
    tx.commit().await.unwrap();
    assert_eq!((vault.balance(1).await, vault.balance(2).await), (150, 250));
    let subjects = [1, 2, 3].map(|id| format!("bank:account:{id}")).to_vec();
    assert_eq!(vault.spy.seen(), [Seen::Mark(subjects.clone()), Seen::Clear(subjects, 0)]);
}

#[tokio::test]
async fn what_cannot_be_fenced_is_not_committed() {
    let vault = vault_of(1).await;
    vault.spy.refuse_marks.store(true, Ordering::SeqCst);
    let error = vault.change(150).await.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unfenced(_))), "{error:?}");
    assert_eq!((vault.balance(1).await, vault.outcomes().await), (100, 0));
}

/// Each commits what was done before it, and most begin nothing new or another transaction.
#[tokio::test]
async fn a_statement_that_ends_the_transaction_is_noticed() {
    let vault = vault_of(1).await;
    let commits = [
        "COMMIT",
        "CREATE TABLE more (id INT)",
        "BEGIN",
        "LOCK TABLES account WRITE; UNLOCK TABLES",
        "TRUNCATE more",
    ];
    for (ending, balance) in commits.into_iter().zip(501_i64..).chain([("ROLLBACK", 505)]) {
        let loads = AtomicUsize::new(0);
        let before = vault.spy.seen().len();
        vault.read(1, &loads).await;
        let mut tx = vault.change(balance).await;
        sqlx::raw_sql(ending).execute(&mut *tx).await.unwrap();
        set(&mut tx, 2, 0).await.unwrap();
        let error = tx.commit().await.unwrap_err();
        assert!(matches!(TxError::of(&error), Some(TxError::CommittedOutside)), "{ending}: {error:?}");
        let account = vec!["bank:account:1".to_owned()];
        assert_eq!(
            vault.spy.seen()[before..],
            [Seen::Mark(account.clone()), Seen::Clear(account, 0)],
            "{ending}"
        );
        let expected = if ending == "ROLLBACK" { 505 } else { balance };
        assert_eq!(vault.read(1, &loads).await, expected, "{ending}");
        // The connection is a usable one.
        vault.change(0).await.rollback().await.unwrap();
        assert_eq!(vault.balance(1).await, expected, "{ending}");
    }
    assert_eq!(vault.outcomes().await, 0);
}

/// The server rolls the whole transaction back. What is sent after that commits by itself (MariaDB) or is a transaction that the
/// server has begun unasked (MySQL), whose COMMIT would succeed with half of the work.
#[tokio::test]
async fn the_victim_of_a_deadlock_is_told_at_its_commit_and_what_it_changed_after_it_is_invalidated() {
    let vault = vault().await;
    let mut winner = vault.pool.begin().await.unwrap();
    winner.execute("UPDATE account SET balance = balance + 1 WHERE id IN (1, 3)").await.unwrap();
    let mut victim = begin(&vault.cache, &vault.pool).await.unwrap();
    touch(&victim.recording(), 2);
    set(&mut victim, 2, 0).await.unwrap();
    // Whoever asks first waits for the other; the server takes the one that has changed less.
    let (won, lost) = tokio::join!(set(&mut winner, 2, 222), set(&mut victim, 1, 0));
    let error = lost.unwrap_err();
    assert_eq!(error.as_database_error().and_then(|e| e.code()).as_deref(), Some("40001"), "{error:?}");
    won.unwrap();
    winner.commit().await.unwrap();
    // The error is ignored, and the work goes on.
    let loads = AtomicUsize::new(0);
    assert_eq!(vault.read(3, &loads).await, 301);
    touch(&victim.recording(), 3);
    set(&mut victim, 3, 0).await.unwrap();
    let error = victim.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::CommittedOutside)), "{error:?}");
    assert_eq!((vault.balance(1).await, vault.balance(2).await), (101, 222));
    assert_eq!(vault.read(3, &loads).await, vault.balance(3).await);
}

/// Callers know it and try again.
#[tokio::test]
async fn a_lock_that_the_commit_does_not_get_in_time_keeps_its_own_error() {
    let vault = vault().await;
    let hasty = pool_of(1, &vault.options).await;
    hasty.execute("SET lock_wait_timeout = 1, innodb_lock_wait_timeout = 1").await.unwrap();
    let mut holder = MySqlConnection::connect_with(&vault.options).await.unwrap();
    let tx = vault.change_through(&hasty, 150).await;
    holder.execute("LOCK TABLES cache_outcomes WRITE").await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert!(TxError::of(&error).is_none(), "{error:?}");
    assert!(error.to_string().contains("1205"), "{error}");
    holder.execute("UNLOCK TABLES").await.unwrap();
    assert_eq!((vault.balance(1).await, vault.spy.seen()), (100, vec![]));
    vault.change_through(&hasty, 150).await.commit().await.unwrap();
    assert_eq!(vault.balance(1).await, 150);
}

/// The control: without a mark of its own in the transaction, sqlx commits half of it.
#[tokio::test]
async fn a_plain_transaction_commits_the_rest_of_a_victims_work() {
    let vault = vault().await;
    let mut tx = vault.pool.begin().await.unwrap();
    set(&mut tx, 2, 0).await.unwrap();
    // What the server does to the victim of a deadlock.
    tx.execute("ROLLBACK AND CHAIN").await.unwrap();
    set(&mut tx, 3, 0).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((vault.balance(2).await, vault.balance(3).await), (200, 0));
}

#[tokio::test]
async fn a_transaction_may_begin_with_a_statement_of_its_own() {
    let vault = vault().await;
    let serializable = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION";
    let mut tx = begin_with(&vault.cache, &vault.pool, serializable).await.unwrap();
    touch(&tx.recording(), 1);
    set(&mut tx, 1, 150).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((vault.balance(1).await, vault.spy.clears()), (150, 1));
}

#[tokio::test]
async fn a_session_that_keeps_transactions_open_is_refused() {
    let vault = vault_of(1).await;
    for (setting, back) in [
        ("SET autocommit = 0", "SET autocommit = 1"),
        ("SET completion_type = 'CHAIN'", "SET completion_type = 'NO_CHAIN'"),
    ] {
        vault.pool.execute(setting).await.unwrap();
        let error = vault.change(150).await.commit().await.unwrap_err();
        assert!(matches!(TxError::of(&error), Some(TxError::Unidentified(_))), "{setting}: {error:?}");
        let source = std::error::Error::source(TxError::of(&error).unwrap()).unwrap().to_string();
        assert!(source.contains("autocommit = 1"), "{source}");
        vault.pool.execute(back).await.unwrap();
        vault.pool.execute("ROLLBACK").await.unwrap();
        assert_eq!((vault.balance(1).await, vault.spy.seen()), (100, vec![]), "{setting}");
    }
}

#[tokio::test]
async fn every_way_of_sqlx_leads_into_the_transaction() {
    async fn balance(db: impl ReadFrom<'_, MySql>) -> (bool, i64) {
        let inside = cache_core::__private::inside_transaction::<cache_sqlx::Sqlx, _>(&db);
        (inside, sqlx::query_scalar(GET).bind(1_i64).fetch_one(db).await.unwrap())
    }
    let vault = vault().await;
    let mut tx = vault.change(150).await;
    assert_eq!(balance(&mut tx).await, (true, 150));
    assert_eq!(balance(&mut *tx).await, (true, 150));
    assert_eq!(balance(&mut *(&mut tx).acquire().await.unwrap()).await, (true, 150));
    assert_eq!(balance(&vault.pool).await, (false, 100));
    tx.rollback().await.unwrap();
    let mut connection = vault.pool.acquire().await.unwrap();
    let mut tx = MySqlTx::on(&vault.cache, &mut connection).await.unwrap();
    touch(&tx.recording(), 1);
    set(&mut tx, 1, 160).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((vault.balance(1).await, vault.spy.clears()), (160, 1));
}

#[tokio::test]
async fn a_commit_or_a_begin_that_is_dropped_leaves_nothing_open() {
    let vault = vault_of(1).await;
    assert!(!drop_after(1, vault.change(150).await.commit()).await);
    until("it is cleared", async || vault.spy.clears() == 1).await;
    assert_eq!(vault.read(1, &AtomicUsize::new(0)).await, 150);
    for polls in 0..24 {
        drop_after(polls % 6, begin(&vault.cache, &vault.pool)).await;
        // It would be refused inside a transaction.
        vault.pool.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await.unwrap();
        assert_eq!(vault.balance(1).await, 150);
    }
}
