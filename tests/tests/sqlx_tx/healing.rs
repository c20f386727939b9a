//! Writers that die, and readers that find out.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use cache_core::WriteScope;
use cache_core::heal::Healer;
use cache_core::store::{Fence, Origin};
use cache_core::subject::WriterId;
use cache_sqlx::{PgHealer, TxError, begin};
use cache_test_support::FaultProxy;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, Executor, PgConnection, PgPool};

use crate::kit::*;

async fn terminate(bank: &Bank, pid: i32) {
    sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(&bank.pool).await.unwrap();
    until("the session has ended", async || {
        let alive = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
        !sqlx::query_scalar::<_, bool>(alive).bind(pid).fetch_one(&bank.pool).await.unwrap()
    })
    .await;
}

async fn pid(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn a_connection_killed_before_the_commit_is_a_rollback_without_a_fence() {
    let bank = bank().await;
    let single = bank.single().await;
    let mut tx = begin(&bank.cache, &single).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let pid = pid(&mut tx).await;
    terminate(&bank, pid).await;
    let error = tx.commit().await.unwrap_err();
    assert_eq!(TxError::of(&error).and_then(TxError::was_made), Some(false), "{error:?}");
    assert_eq!((bank.balance(1).await, bank.spy.seen()), (100, vec![]));
    // The pool replaces the connection.
    assert_eq!(sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(&single).await.unwrap(), 1);
}

#[tokio::test]
async fn a_connection_killed_between_fence_and_commit_leaves_a_fence_that_a_reader_heals() {
    let bank = bank().await;
    cache_sqlx::heal(&bank.cache, &bank.pool);
    bank.spy.marked.close();
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let pid = pid(&mut tx).await;
    let commit = tokio::spawn(tx.commit());
    bank.spy.marked.arrival().await;
    terminate(&bank, pid).await;
    bank.spy.marked.open();
    let error = commit.await.unwrap().unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::CommitUnknown(_))), "{error:?}");
    assert_eq!(TxError::of(&error).unwrap().was_made(), None);
    assert_eq!(bank.spy.clears(), 0, "nobody cleared");
    until("a reader heals the fence", async || bank.is_cached(1).await).await;
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 100);
}

/// The change is made after the writer lost its connection: only the fence keeps readers from keeping the old value.
#[tokio::test]
async fn a_commit_that_outlives_its_client_is_fenced_until_it_is_visible() {
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
    let proxy = FaultProxy::postgres(&bank.url).unwrap();
    let far = PgPoolOptions::new().max_connections(1).connect(&proxy.url()).await.unwrap();
    cache_sqlx::heal(&bank.cache, &bank.pool);
    let listener = Listener::join(&bank.cache);
    let mut tx = begin(&bank.cache, &far).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let commit = tokio::spawn(tx.commit());
    until("COMMIT waits", async || {
        let waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)";
        sqlx::query_scalar::<_, bool>(waiting).fetch_one(&bank.pool).await.unwrap()
    })
    .await;
    proxy.cut();
    let error = commit.await.unwrap().unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::CommitUnknown(_))), "{error:?}");

    // Readers ask, and are told that it is still running.
    until("readers have asked", async || {
        assert_eq!(bank.balance(1).await, 100);
        assert!(!bank.is_cached(1).await, "the fence of a running transaction stays");
        listener.asked() >= 3
    })
    .await;
    holder.execute("SELECT pg_advisory_unlock(1)").await.unwrap();
    until("a reader heals the fence", async || bank.is_cached(1).await).await;
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 150);
}

struct Asked {
    pool: PgPool,
    healer: PgHealer,
    system: u64,
    timeline: u32,
}

impl Asked {
    async fn of(bank: &Bank) -> Self {
        let identity = "SELECT (pg_control_system()).system_identifier::text,
                               (pg_control_checkpoint()).timeline_id";
        let (system, timeline): (String, i32) = sqlx::query_as(identity).fetch_one(&bank.pool).await.unwrap();
        Self {
            pool: bank.pool.clone(),
            healer: PgHealer::new(bank.pool.clone()),
            system: system.parse().unwrap(),
            timeline: timeline.try_into().unwrap(),
        }
    }

    async fn finished(&self, origins: &[String]) -> Vec<bool> {
        let namespace = cache_core::key::Namespace::new("bank").unwrap();
        let subject = namespace.subject(cache_core::subject::Kind::Entity, |text| text.literal("account:1"));
        let fence = |(n, origin): (usize, &String)| Fence {
            subject: subject.clone(),
            writer: WriterId(n as u128),
            origin: Origin::new(origin).unwrap(),
            age: Duration::from_secs(1),
        };
        let fences: Vec<_> = origins.iter().enumerate().map(fence).collect();
        // The pool opens one if it may; it is idle a moment later.
        drop(self.pool.acquire().await.unwrap());
        until("a connection is idle", async || self.pool.num_idle() > 0).await;
        let finished = self.healer.finished(&fences).await;
        fences.iter().map(|fence| finished.contains(&fence.writer)).collect()
    }

    fn origin(&self, xid: u64) -> String {
        format!("pg:{}:{}:{xid}", self.system, self.timeline)
    }
}

async fn xid(connection: &mut PgConnection) -> u64 {
    let xid: String =
        sqlx::query_scalar("SELECT pg_current_xact_id()::text").fetch_one(connection).await.unwrap();
    xid.parse().unwrap()
}

#[tokio::test]
async fn only_transactions_that_ended_are_finished() {
    let bank = bank().await;
    let asked = Asked::of(&bank).await;
    let (mut committed, mut aborted, mut running) = (
        bank.pool.begin().await.unwrap(),
        bank.pool.begin().await.unwrap(),
        bank.pool.begin().await.unwrap(),
    );
    let ids = [xid(&mut running).await, xid(&mut committed).await, xid(&mut aborted).await];
    committed.commit().await.unwrap();
    aborted.rollback().await.unwrap();
    let mut origins = ids.map(|id| asked.origin(id)).to_vec();
    origins.push(asked.origin(ids[0] + 1_000_000));
    assert_eq!(asked.finished(&origins).await, [false, true, true, false]);
    running.commit().await.unwrap();
    assert_eq!(asked.finished(&origins).await, [true, true, true, false]);
}

#[tokio::test]
async fn strangers_and_other_timelines_are_judged_with_care() {
    let bank = bank().await;
    let asked = Asked::of(&bank).await;
    let mut committed = bank.pool.begin().await.unwrap();
    let id = xid(&mut committed).await;
    committed.commit().await.unwrap();
    let (system, timeline) = (asked.system, asked.timeline);
    let future = id + 1_000_000;
    let origins = [
        format!("pg:{system}:{timeline}:{id}"),
        format!("pg:{}:{timeline}:{id}", system + 1),
        format!("pg:{system}:{}:{id}", timeline + 1),
        format!("pg:{system}:{}:{future}", timeline - 1),
        format!("pg:{system}:{timeline}:{future}"),
        "sqlite:somewhere".to_owned(),
        "none".to_owned(),
    ];
    assert_eq!(asked.finished(&origins).await, [true, false, false, true, false, false, false]);
}

#[tokio::test]
async fn a_pool_without_an_idle_connection_is_not_asked() {
    let bank = bank_of(1).await;
    let asked = Asked::of(&bank).await;
    let mut tx = bank.pool.begin().await.unwrap();
    let id = xid(&mut tx).await;
    let fence = Fence {
        subject: cache_core::key::Namespace::new("bank")
            .unwrap()
            .subject(cache_core::subject::Kind::Entity, |text| text.literal("account:1")),
        writer: WriterId(1),
        origin: Origin::new(&asked.origin(id)).unwrap(),
        age: Duration::from_secs(1),
    };
    assert!(drop_after(1, asked.healer.finished(std::slice::from_ref(&fence))).await, "it waits for nothing");
    assert_eq!(asked.healer.finished(std::slice::from_ref(&fence)).await, []);
    assert_eq!(bank.pool.size(), 1);
    tx.commit().await.unwrap();
    assert_eq!(asked.finished(&[asked.origin(id)]).await, [true]);
}

/// A process dies between COMMIT and CLEAR, for which its runtime stands here; another process reads.
#[test]
fn a_process_that_dies_between_commit_and_clear_is_healed_by_another() {
    let store = Spy::default();
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let reader = runtime();
    let bank = reader.block_on(bank());

    let writer = runtime();
    let dying = store.clone();
    let url = bank.url.clone();
    writer.block_on(async {
        let pool = PgPool::connect(&url).await.unwrap();
        let cache = builder(&dying).build().unwrap();
        dying.clearing.close();
        let mut tx = begin(&cache, &pool).await.unwrap();
        touch(&tx.recording(), 1);
        sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
        tokio::spawn(tx.commit());
        dying.clearing.arrival().await;
    });
    writer.shutdown_background();

    reader.block_on(async {
        let cache = builder(&store).build().unwrap();
        let bank = Bank { cache, spy: store, ..bank };
        assert!(!bank.is_cached(1).await, "nobody to ask: the fence stays");
        cache_sqlx::heal(&bank.cache, &bank.pool);
        until("a reader heals the fence", async || bank.is_cached(1).await).await;
        assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 150);
        assert_eq!(bank.spy.clears(), 0);
    });
}

#[tokio::test]
async fn one_database_registers_once() {
    let bank = bank().await;
    let other = bank.single().await;
    assert_eq!(PgHealer::new(bank.pool.clone()).name(), PgHealer::new(other).name());
    let elsewhere = cache_test_support::fresh_database().unwrap();
    let elsewhere = PgPool::connect(&elsewhere).await.unwrap();
    assert_ne!(PgHealer::new(bank.pool.clone()).name(), PgHealer::new(elsewhere).name());
}
