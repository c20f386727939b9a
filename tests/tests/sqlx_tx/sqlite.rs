//! Transactions on SQLite.

use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::site::{Coverage, Location, WriteSite};
use cache_core::{Cache, WriteScope};
use cache_sqlx::{ReadFrom, SqliteTx, TxError, begin, begin_with};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Executor, Sqlite, SqlitePool};
use tempfile::TempDir;

use crate::kit::*;

pub(crate) struct Till {
    pub(crate) pool: SqlitePool,
    pub(crate) spy: Spy,
    pub(crate) cache: Cache,
    pub(crate) options: SqliteConnectOptions,
    _folder: TempDir,
}

pub(crate) const TABLES: &str = "CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
    INSERT INTO account VALUES (1, 100), (2, 200);
    CREATE TABLE owner (id INTEGER PRIMARY KEY,
        account INTEGER REFERENCES account DEFERRABLE INITIALLY DEFERRED);";

/// A SQLite file of its own with the two accounts, and a pool of so many connections.
pub(crate) async fn till(connections: u32) -> Till {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("till.db")).create_if_missing(true);
    let pool =
        SqlitePoolOptions::new().max_connections(connections).connect_with(options.clone()).await.unwrap();
    pool.execute(TABLES).await.unwrap();
    let spy = Spy::default();
    let cache = builder(&spy).build().unwrap();
    Till { pool, spy, cache, options, _folder: folder }
}

impl Till {
    pub(crate) async fn balance(&self, id: i64) -> i64 {
        sqlx::query_scalar(GET).bind(id).fetch_one(&self.pool).await.unwrap()
    }

    pub(crate) async fn read(&self, id: i64, loads: &AtomicUsize) -> i64 {
        read(&self.cache, id, loads, self.balance(id)).await
    }

    pub(crate) async fn is_cached(&self, id: i64) -> bool {
        let loads = AtomicUsize::new(0);
        self.read(id, &loads).await;
        let first = loads.load(Ordering::SeqCst);
        self.read(id, &loads).await;
        loads.load(Ordering::SeqCst) == first
    }

    pub(crate) async fn change(&self, balance: i64) -> SqliteTx<'static> {
        let mut tx = begin(&self.cache, &self.pool).await.unwrap();
        touch(&tx.recording(), 1);
        sqlx::query(SET).bind(1_i64).bind(balance).execute(&mut *tx).await.unwrap();
        tx
    }
}

#[tokio::test]
async fn a_read_after_the_commit_sees_the_change() {
    for connections in [1, 4] {
        let till = till(connections).await;
        let loads = AtomicUsize::new(0);
        assert_eq!((till.read(1, &loads).await, till.read(1, &loads).await), (100, 100));
        till.change(150).await.commit().await.unwrap();
        assert_eq!((till.read(1, &loads).await, till.read(1, &loads).await), (150, 150));
        assert_eq!(loads.load(Ordering::SeqCst), 2);
        assert_eq!((till.spy.marks(), till.spy.clears()), (1, 1));
    }
}

#[tokio::test]
async fn a_database_in_memory_works_too() {
    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    pool.execute(TABLES).await.unwrap();
    let spy = Spy::default();
    let cache = builder(&spy).build().unwrap();
    let mut tx = begin(&cache, &pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let balance: i64 = sqlx::query_scalar(GET).bind(1_i64).fetch_one(&pool).await.unwrap();
    assert_eq!((balance, spy.clears()), (150, 1));
}

#[tokio::test]
async fn rollback_and_drop_undo_the_change_and_leave_the_entry() {
    let till = till(1).await;
    let loads = AtomicUsize::new(0);
    till.read(1, &loads).await;
    till.change(150).await.rollback().await.unwrap();
    assert_eq!(till.balance(1).await, 100);
    drop(till.change(150).await);
    assert_eq!(till.balance(1).await, 100);
    till.read(1, &loads).await;
    assert_eq!((loads.load(Ordering::SeqCst), till.spy.seen()), (1, vec![]));
}

#[tokio::test]
async fn savepoints_merge_or_are_undone() {
    let till = till(1).await;
    let mut tx = till.change(150).await;
    let mut kept = tx.begin().await.unwrap();
    sqlx::query(SET).bind(2_i64).bind(250_i64).execute(&mut kept).await.unwrap();
    touch(&kept.recording(), 2);
    kept.commit().await.unwrap();
    let mut undone = tx.begin().await.unwrap();
    sqlx::query(SET).bind(2_i64).bind(0_i64).execute(&mut undone).await.unwrap();
    touch(&undone.recording(), 3);
    drop(undone);
    tx.commit().await.unwrap();
    assert_eq!((till.balance(1).await, till.balance(2).await), (150, 250));
    let subjects = [1, 2, 3].map(|id| format!("bank:account:{id}")).to_vec();
    assert_eq!(till.spy.seen(), [Seen::Mark(subjects.clone()), Seen::Clear(subjects, 0)]);
}

static UNFINISHED: WriteSite = WriteSite {
    at: Location { function: "sqlite::unfinished", file: file!(), line: line!() },
    keys: &["account:<return.id>"],
    tags: &[],
    coverage: Coverage::Within,
    on_unfenced: None,
};

/// SQLite may have released the savepoint when its answer finds nobody waiting.
#[tokio::test]
async fn a_savepoint_whose_release_was_dropped_never_commits_silently() {
    let till = till(1).await;
    for polls in 1..5 {
        let mut tx = till.change(150).await;
        let mut inner = tx.begin().await.unwrap();
        sqlx::query(SET).bind(2_i64).bind(0_i64).execute(&mut *inner).await.unwrap();
        drop(inner.recording().expect(&UNFINISHED));
        drop_after(polls, inner.commit()).await;
        let error = tx.commit().await.unwrap_err();
        assert!(matches!(TxError::of(&error), Some(TxError::Uncovered(_))), "{error:?}");
        assert_eq!((till.balance(2).await, till.spy.seen()), (200, vec![]));
    }
}

#[tokio::test]
async fn a_commit_that_the_database_refuses_keeps_its_error_and_lifts_the_fence() {
    let till = till(1).await;
    let mut tx = till.change(150).await;
    tx.execute("INSERT INTO owner VALUES (1, 404)").await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert!(error.as_database_error().is_some_and(|e| e.is_foreign_key_violation()), "{error:?}");
    until("the fence is lifted", async || till.spy.clears() == 1).await;
    assert_eq!(till.balance(1).await, 100);
    till.change(160).await.commit().await.unwrap();
    assert_eq!(till.balance(1).await, 160);
}

#[tokio::test]
async fn a_commit_that_is_locked_out_is_undone_and_lifts_the_fence() {
    let till = till(2).await;
    let options = till.options.clone().busy_timeout(std::time::Duration::ZERO);
    let impatient = SqlitePool::connect_with(options).await.unwrap();
    let mut reader = till.pool.begin().await.unwrap();
    reader.execute("SELECT * FROM account").await.unwrap();
    let mut tx = begin_with(&till.cache, &impatient, "BEGIN IMMEDIATE").await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert_eq!(error.as_database_error().and_then(|e| e.code()).as_deref(), Some("5"), "{error:?}");
    until("the fence is lifted", async || till.spy.clears() == 1).await;
    drop(reader);
    assert_eq!(till.balance(1).await, 100);
}

#[tokio::test]
async fn what_cannot_be_fenced_is_not_committed() {
    let till = till(1).await;
    till.spy.refuse_marks.store(true, Ordering::SeqCst);
    let error = till.change(150).await.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unfenced(_))), "{error:?}");
    assert_eq!(till.balance(1).await, 100);
}

#[tokio::test]
async fn a_transaction_that_was_ended_by_a_statement_is_noticed_and_invalidated() {
    let till = till(1).await;
    for (ending, balance) in [("COMMIT", 150), ("ROLLBACK", 150)] {
        let loads = AtomicUsize::new(0);
        till.read(1, &loads).await;
        let mut tx = till.change(balance).await;
        sqlx::raw_sql(ending).execute(&mut *tx).await.unwrap();
        let error = tx.commit().await.unwrap_err();
        assert!(matches!(TxError::of(&error), Some(TxError::CommittedOutside)), "{ending}: {error:?}");
        assert_eq!(till.read(1, &loads).await, 150, "{ending}");
        // sqlx counts right again: the next transaction on this connection is a real one.
        till.change(0).await.rollback().await.unwrap();
        assert_eq!(till.balance(1).await, 150, "{ending}");
    }
    assert_eq!(till.spy.clears(), 2);
}

#[tokio::test]
async fn a_transaction_that_was_ended_by_a_statement_always_leaves_a_usable_connection() {
    let till = till(1).await;
    for ending in ["drop", "rollback", "commit of nothing"] {
        let mut tx = begin(&till.cache, &till.pool).await.unwrap();
        sqlx::raw_sql("COMMIT").execute(&mut *tx).await.unwrap();
        match ending {
            "drop" => drop(tx),
            "rollback" => tx.rollback().await.unwrap(),
            _ => {
                let error = tx.commit().await.unwrap_err();
                assert!(matches!(TxError::of(&error), Some(TxError::CommittedOutside)), "{error:?}");
            }
        }
        till.change(160).await.rollback().await.unwrap();
        assert_eq!(till.balance(1).await, 100, "{ending}");
    }
}

#[tokio::test]
async fn a_commit_dropped_after_its_first_poll_goes_on_to_its_end() {
    let till = till(1).await;
    assert!(!drop_after(1, till.change(150).await.commit()).await);
    until("it is cleared", async || till.spy.clears() == 1).await;
    assert_eq!(till.read(1, &AtomicUsize::new(0)).await, 150);
}

#[tokio::test]
async fn a_begin_dropped_at_any_point_returns_no_connection_inside_a_transaction() {
    let till = till(1).await;
    for polls in 0..24 {
        drop_after(polls % 6, begin(&till.cache, &till.pool)).await;
        till.pool.execute("BEGIN; ROLLBACK").await.unwrap();
    }
}

#[tokio::test]
async fn a_borrowed_connection_carries_a_transaction() {
    let till = till(1).await;
    let mut connection = till.pool.acquire().await.unwrap();
    let mut tx = SqliteTx::on(&till.cache, &mut connection).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    drop(connection);
    assert_eq!((till.balance(1).await, till.spy.clears()), (150, 1));
}

#[tokio::test]
async fn a_cached_function_reads_from_a_pool_or_a_transaction() {
    async fn balance(db: impl ReadFrom<'_, Sqlite>) -> (bool, i64) {
        let inside = cache_core::__private::inside_transaction::<cache_sqlx::Sqlx, _>(&db);
        (inside, sqlx::query_scalar(GET).bind(1_i64).fetch_one(db).await.unwrap())
    }
    let till = till(2).await;
    let mut tx = till.change(150).await;
    assert_eq!(balance(&mut tx).await, (true, 150));
    assert_eq!(balance(&mut *tx).await, (true, 150));
    assert_eq!(balance(&till.pool).await, (false, 100));
}
