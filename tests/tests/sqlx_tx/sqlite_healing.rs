//! Writers on SQLite that die, and readers that find out.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use cache_core::WriteScope;
use cache_core::heal::Healer;
use cache_core::key::Namespace;
use cache_core::store::{Fence, Origin};
use cache_core::subject::{Kind, WriterId};
use cache_sqlx::{SqliteHealer, begin};
use sqlx::sqlite::{SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Executor, SqlitePool};

use crate::kit::*;
use crate::sqlite::{TABLES, Till, till};

/// The fence of a writer on the pool's database, met while its commit is held.
async fn fence_of(pool: &SqlitePool) -> Fence {
    let spy = Spy::default();
    let cache = builder(&spy).build().unwrap();
    let listener = Listener::join(&cache);
    spy.clearing.close();
    let mut tx = begin(&cache, pool).await.unwrap();
    touch(&tx.recording(), 1);
    let commit = tokio::spawn(tx.commit());
    spy.clearing.arrival().await;
    until("a reader asks about the fence", async || {
        read(&cache, 1, &AtomicUsize::new(0), async { 0 }).await;
        listener.asked() > 0
    })
    .await;
    spy.clearing.open();
    commit.await.unwrap().unwrap();
    listener.last().unwrap()
}

async fn is_finished(pool: &SqlitePool, fence: &Fence) -> bool {
    // The pool opens one if it may; it is idle a moment later.
    drop(pool.acquire().await.unwrap());
    until("a connection is idle", async || pool.num_idle() > 0).await;
    let healer = SqliteHealer::new(pool.clone());
    assert!(healer.knows(fence));
    healer.finished(std::slice::from_ref(fence)).await == [fence.writer]
}

#[tokio::test]
async fn a_writer_is_finished_when_nobody_holds_the_write_lock() {
    let till = till(2).await;
    let fence = fence_of(&till.pool).await;
    assert!(is_finished(&till.pool, &fence).await);
    let mut other = till.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert!(!is_finished(&till.pool, &fence).await, "it may be the one that holds the lock");
    other.execute("SELECT 1").await.unwrap();
    other.rollback().await.unwrap();
    assert!(is_finished(&till.pool, &fence).await);
}

#[tokio::test]
async fn the_question_leaves_the_connection_as_it_was() {
    let till = till(1).await;
    let fence = fence_of(&till.pool).await;
    assert!(is_finished(&till.pool, &fence).await);
    let patience: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&till.pool).await.unwrap();
    assert_eq!(patience, 5000);
    till.change(150).await.commit().await.unwrap();
    assert_eq!(till.balance(1).await, 150);
}

#[tokio::test]
async fn a_pool_without_an_idle_connection_is_not_asked() {
    let till = till(1).await;
    let fence = fence_of(&till.pool).await;
    let held = till.pool.acquire().await.unwrap();
    let healer = SqliteHealer::new(till.pool.clone());
    assert!(drop_after(1, healer.finished(std::slice::from_ref(&fence))).await, "it waits for nothing");
    assert_eq!(healer.finished(std::slice::from_ref(&fence)).await, []);
    drop(held);
    assert!(is_finished(&till.pool, &fence).await);
}

/// To a connection that may not write the lock is always free.
#[tokio::test]
async fn a_pool_that_may_not_write_lifts_nothing() {
    for mode in [SqliteJournalMode::Delete, SqliteJournalMode::Wal] {
        let till = till(2).await;
        let options = till.options.clone().journal_mode(mode);
        let pool = SqlitePool::connect_with(options.clone()).await.unwrap();
        let fence = fence_of(&pool).await;
        let reading = SqlitePool::connect_with(till.options.clone().read_only(true)).await.unwrap();
        let careful =
            SqlitePool::connect_with(till.options.clone().pragma("query_only", "on")).await.unwrap();
        let mut writer = pool.begin().await.unwrap();
        sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *writer).await.unwrap();
        for pool in [&reading, &careful, &till.pool] {
            assert!(!is_finished(pool, &fence).await, "{mode:?}: it may be the one that holds the lock");
        }
        writer.rollback().await.unwrap();
        assert!(!is_finished(&reading, &fence).await, "{mode:?}");
        assert!(!is_finished(&careful, &fence).await, "{mode:?}");
        assert!(is_finished(&till.pool, &fence).await, "{mode:?}");
    }
}

#[tokio::test]
async fn every_attached_database_has_to_be_free() {
    let (here, there) = (till(1).await, till(1).await);
    let attach = |mode: &str| {
        let path = there.options.get_filename().display().to_string();
        let statement = format!("ATTACH 'file:{path}?mode={mode}' AS \"the other\"");
        let options = here.options.clone();
        async move {
            let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
            pool.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
            pool
        }
    };
    let (both, half) = (attach("rw").await, attach("ro").await);
    let fence = fence_of(&both).await;
    assert!(is_finished(&both, &fence).await);
    assert!(!is_finished(&half, &fence).await, "of one it cannot tell");
    assert!(!is_finished(&here.pool, &fence).await, "it does not know the other");
    let other = there.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert!(!is_finished(&both, &fence).await);
    other.rollback().await.unwrap();
    assert!(is_finished(&both, &fence).await);
}

/// The lock of a shared database in memory is waited for, whatever one says; by one connection of the pool, not by all of them.
#[tokio::test]
async fn a_question_that_has_to_wait_waits_alone() {
    let pool = SqlitePoolOptions::new().max_connections(4).connect("sqlite::memory:").await.unwrap();
    pool.execute(TABLES).await.unwrap();
    let fence = fence_of(&pool).await;
    let mut writer = pool.begin().await.unwrap();
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *writer).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(pool.acquire().await.unwrap());
    }
    drop(others);
    until("three are idle", async || pool.num_idle() == 3).await;
    let healer = SqliteHealer::new(pool.clone());
    for _ in 0..3 {
        assert_eq!(healer.finished(std::slice::from_ref(&fence)).await, []);
    }
    assert_eq!(pool.num_idle(), 2);
    writer.rollback().await.unwrap();
    until("all are idle", async || pool.num_idle() == 4).await;
    until("it is finished", async || healer.finished(std::slice::from_ref(&fence)).await == [fence.writer])
        .await;
}

#[tokio::test]
async fn one_file_is_one_database_through_any_path_and_another_is_a_stranger() {
    let here = till(1).await;
    let fence = fence_of(&here.pool).await;
    let path = here.options.get_filename();
    let link = path.with_file_name("link.db");
    std::os::unix::fs::symlink(path, &link).unwrap();
    let linked = SqlitePool::connect_with(here.options.clone().filename(&link)).await.unwrap();
    assert!(is_finished(&linked, &fence).await);
    let there = till(1).await;
    assert!(!is_finished(&there.pool, &fence).await);
}

#[tokio::test]
async fn databases_in_memory_are_strangers_to_each_other() {
    let mut pools = Vec::new();
    for _ in 0..2 {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        pool.execute(TABLES).await.unwrap();
        pools.push(pool);
    }
    let fence = fence_of(&pools[0]).await;
    assert!(is_finished(&pools[0], &fence).await);
    assert!(!is_finished(&pools[1], &fence).await);
}

#[tokio::test]
async fn fences_of_nobody_and_of_others_are_not_ours() {
    let till = till(1).await;
    let healer = SqliteHealer::new(till.pool.clone());
    let subject = Namespace::new("bank").unwrap().subject(Kind::Entity, |text| text.literal("account:1"));
    for (origin, ours) in [("none", false), ("pg:1:2:3", false), ("sqlite:elsewhere", true)] {
        let origin = Origin::new(origin).unwrap();
        let fence =
            Fence { subject: subject.clone(), writer: WriterId(1), origin, age: Duration::from_secs(9) };
        assert_eq!(healer.knows(&fence), ours);
        assert_eq!(healer.finished(&[fence]).await, []);
    }
}

/// A process dies between COMMIT and CLEAR, for which its runtime stands here; another process reads.
#[test]
fn a_process_that_dies_between_commit_and_clear_is_healed_by_another() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let reader = runtime();
    let till = reader.block_on(till(1));
    let writer = runtime();
    let (spy, options) = (till.spy.clone(), till.options.clone());
    writer.block_on(async {
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let cache = builder(&spy).build().unwrap();
        spy.clearing.close();
        let mut tx = begin(&cache, &pool).await.unwrap();
        touch(&tx.recording(), 1);
        sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
        tokio::spawn(tx.commit());
        spy.clearing.arrival().await;
    });
    writer.shutdown_background();
    reader.block_on(async {
        let till: Till = till;
        assert!(!till.is_cached(1).await, "nobody to ask: the fence stays");
        cache_sqlx::heal(&till.cache, &till.pool);
        until("a reader heals the fence", async || till.is_cached(1).await).await;
        assert_eq!(till.read(1, &AtomicUsize::new(0)).await, 150);
        assert_eq!(till.spy.clears(), 0);
    });
}
