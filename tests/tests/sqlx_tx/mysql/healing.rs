//! Writers on MySQL that live, end or die, and readers that find out.

use std::time::Duration;

use cache_core::heal::Healer;
use cache_core::key::Namespace;
use cache_core::store::{Fence, Origin};
use cache_core::subject::{Kind, WriterId};
use cache_core::testkit::Rule;
use cache_sqlx::{MySqlHealer, TxError};
use cache_test_support::FaultProxy;

use super::*;

/// The session of a connection, for others to kill.
async fn session(connection: &mut MySqlConnection) -> i64 {
    sqlx::query_scalar("SELECT CAST(CONNECTION_ID() AS SIGNED)").fetch_one(connection).await.unwrap()
}

async fn kill(vault: &Vault, session: i64) {
    vault.pool.execute(AssertSqlSafe(format!("KILL {session}"))).await.unwrap();
    until("the session has ended", async || {
        let alive = "SELECT COUNT(*) FROM information_schema.processlist WHERE id = ?";
        sqlx::query_scalar::<_, i64>(alive).bind(session).fetch_one(&vault.pool).await.unwrap() == 0
    })
    .await;
}

/// What readers are told about a writer that is held between its fence and its COMMIT.
async fn held(vault: &Vault) -> (tokio::task::JoinHandle<sqlx::Result<()>>, Listener) {
    vault.spy.marked.close();
    let listener = Listener::join(&vault.cache);
    let commit = tokio::spawn(vault.change(150).await.commit());
    vault.spy.marked.arrival().await;
    until("readers have asked", async || {
        assert!(!vault.is_cached(1).await, "the fence of a living writer stays");
        listener.asked() >= 3
    })
    .await;
    (commit, listener)
}

#[tokio::test]
async fn the_fence_of_a_living_writer_stays_and_nobody_waits_for_it() {
    let vault = vault().await;
    let (commit, _) = held(&vault).await;
    assert_eq!(vault.read(1, &AtomicUsize::new(0)).await, 100);
    vault.spy.marked.open();
    commit.await.unwrap().unwrap();
    assert_eq!(vault.read(1, &AtomicUsize::new(0)).await, 150);
}

/// The control: by age alone a reader keeps the value that the writer is about to replace.
#[tokio::test]
async fn lifting_by_age_keeps_the_old_value_behind_a_living_writer() {
    let vault = vault().await;
    let cache = builder(&vault.spy).without(Rule::HealersAsked).build().unwrap();
    let vault = Vault { cache, ..vault };
    vault.spy.marked.close();
    // Its clear is on its way for long.
    vault.spy.clearing.close();
    let commit = tokio::spawn(vault.change(150).await.commit());
    vault.spy.marked.arrival().await;
    until("a reader lifts the fence", async || vault.is_cached(1).await).await;
    vault.spy.marked.open();
    vault.spy.clearing.arrival().await;
    assert_eq!(vault.balance(1).await, 150, "visible");
    assert_eq!(vault.read(1, &AtomicUsize::new(0)).await, 100, "and hidden: stale");
    vault.spy.clearing.open();
    commit.await.unwrap().unwrap();
}

/// The control: a fence whose origin names no row says nothing about its writer, and is lifted under it.
#[tokio::test]
async fn a_writer_without_an_outcome_is_taken_for_finished() {
    let vault = vault().await;
    let (commit, listener) = held(&vault).await;
    let fence = listener.last().unwrap();
    let other = Fence { origin: another_transaction(&fence.origin), ..fence.clone() };
    assert_eq!(finished(&vault.pool, &[fence]).await, [false]);
    assert_eq!(finished(&vault.pool, &[other]).await, [true]);
    vault.spy.marked.open();
    commit.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_killed_before_the_commit_is_a_rollback_without_a_fence() {
    let vault = vault().await;
    let mut tx = vault.change(150).await;
    let session = session(&mut tx).await;
    kill(&vault, session).await;
    let error = tx.commit().await.unwrap_err();
    assert_eq!(TxError::of(&error).and_then(TxError::was_made), Some(false), "{error:?}");
    assert_eq!((vault.balance(1).await, vault.spy.seen()), (100, vec![]));
}

#[tokio::test]
async fn a_connection_killed_between_fence_and_commit_leaves_a_fence_that_a_reader_heals() {
    let vault = vault().await;
    vault.spy.marked.close();
    let mut tx = vault.change(150).await;
    let session = session(&mut tx).await;
    let commit = tokio::spawn(tx.commit());
    vault.spy.marked.arrival().await;
    kill(&vault, session).await;
    vault.spy.marked.open();
    let error = commit.await.unwrap().unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::CommitUnknown(_))), "{error:?}");
    assert_eq!(vault.spy.clears(), 0, "nobody cleared");
    until("a reader heals the fence", async || vault.is_cached(1).await).await;
    assert_eq!(vault.read(1, &AtomicUsize::new(0)).await, 100);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_until_a_reader_finds_it_made() {
    let vault = vault().await;
    let server = format!("{}:{}", vault.options.get_host(), vault.options.get_port());
    let proxy = FaultProxy::tcp(server).unwrap();
    let far = vault.options.clone().host("127.0.0.1").port(proxy.address().port());
    let far = pool_of(1, &far).await;
    cache_sqlx::heal(&vault.cache, &vault.pool);
    vault.spy.marked.close();
    let commit = tokio::spawn(vault.change_through(&far, 150).await.commit());
    vault.spy.marked.arrival().await;
    proxy.drop_replies();
    vault.spy.marked.open();
    until("it is committed", async || vault.balance(1).await == 150).await;
    proxy.cut();
    let error = commit.await.unwrap().unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::CommitUnknown(_))), "{error:?}");
    until("a reader heals the fence", async || vault.is_cached(1).await).await;
    assert_eq!(vault.read(1, &AtomicUsize::new(0)).await, 150);
    assert_eq!(vault.spy.clears(), 0);
}

#[tokio::test]
async fn a_writer_that_is_gone_after_its_commit_is_healed_and_its_outcome_removed() {
    let vault = vault().await;
    vault.spy.clearing.close();
    let commit = tokio::spawn(vault.change(150).await.commit());
    vault.spy.clearing.arrival().await;
    commit.abort();
    assert_eq!(vault.outcomes().await, 1);
    until("a reader heals the fence", async || vault.is_cached(1).await).await;
    assert_eq!(vault.read(1, &AtomicUsize::new(0)).await, 150);
    assert_eq!(vault.spy.clears(), 0);
    until("its outcome is removed", async || vault.outcomes().await == 0).await;
}

pub(super) fn fence(origin: &Origin, writer: u128) -> Fence {
    let subject = Namespace::new("bank").unwrap().subject(Kind::Entity, |text| text.literal("account:1"));
    Fence { subject, writer: WriterId(writer), origin: origin.clone(), age: Duration::from_secs(1) }
}

/// Another id on the same server.
pub(super) fn another_transaction(origin: &Origin) -> Origin {
    let server = origin.as_str().rsplit_once(':').unwrap().0;
    Origin::new(&format!("{server}:{:032x}", fastrand::u128(..))).unwrap()
}

/// The same id on another server.
pub(super) fn elsewhere(origin: &Origin) -> Origin {
    let id = origin.as_str().rsplit_once(':').unwrap().1;
    Origin::new(&format!("mysql:{:032x}:{id}", 7)).unwrap()
}

pub(super) async fn finished(pool: &MySqlPool, fences: &[Fence]) -> Vec<bool> {
    // The pool opens one if it may; it is idle a moment later.
    drop(pool.acquire().await.unwrap());
    until("a connection is idle", async || pool.num_idle() > 0).await;
    let healer = MySqlHealer::new(pool.clone());
    let finished = healer.finished(fences).await;
    fences.iter().map(|fence| healer.knows(fence) && finished.contains(&fence.writer)).collect()
}

/// The origin of a writer that was held with its transaction open, and the transaction's commit.
pub(super) async fn open_writer(vault: &Vault) -> (Origin, tokio::task::JoinHandle<sqlx::Result<()>>) {
    let (commit, listener) = held(vault).await;
    (listener.last().unwrap().origin, commit)
}

#[tokio::test]
async fn each_of_several_writers_is_judged_by_its_own_row() {
    let vault = vault().await;
    let (open, commit) = open_writer(&vault).await;
    let done = another_transaction(&open);
    let hex = done.as_str().rsplit_once(':').unwrap().1;
    let insert = format!("INSERT INTO cache_outcomes VALUES (X'{hex}', UTC_TIMESTAMP())");
    vault.pool.execute(AssertSqlSafe(insert)).await.unwrap();
    let origins = [
        open.clone(),
        done.clone(),
        open.clone(),
        another_transaction(&open),
        elsewhere(&done),
        elsewhere(&another_transaction(&open)),
        Origin::new("pg:1:2:3").unwrap(),
    ];
    let fences: Vec<_> = origins.iter().zip(1..).map(|(origin, n)| fence(origin, n)).collect();
    assert_eq!(finished(&vault.pool, &fences).await, [false, true, false, true, true, false, false]);
    vault.spy.marked.open();
    commit.await.unwrap().unwrap();
    assert_eq!(finished(&vault.pool, &fences).await, [true, true, true, true, true, false, false]);
}

#[tokio::test]
async fn asking_changes_nothing_for_the_connection_nor_for_late_writers() {
    let vault = vault_of(2).await;
    let (open, commit) = open_writer(&vault).await;
    let single = pool_of(1, &vault.options).await;
    single.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    let never = fence(&another_transaction(&open), 2);
    for _ in 0..3 {
        assert_eq!(finished(&single, &[fence(&open, 1), never.clone()]).await, [false, true]);
        // Neither a transaction is open nor a level set for the next one.
        let mut tx = single.begin().await.unwrap();
        tx.execute("SELECT * FROM account").await.unwrap();
        vault.pool.execute("UPDATE account SET balance = balance + 1 WHERE id = 2").await.unwrap();
        let seen: i64 = sqlx::query_scalar(GET).bind(2_i64).fetch_one(&mut *tx).await.unwrap();
        let now = vault.balance(2).await;
        assert_eq!(seen, now - 1, "the level is REPEATABLE READ again");
        tx.rollback().await.unwrap();
    }
    let hex = never.origin.as_str().rsplit_once(':').unwrap().1;
    let late = format!("INSERT INTO cache_outcomes VALUES (X'{hex}', UTC_TIMESTAMP())");
    vault.pool.execute(AssertSqlSafe(late)).await.unwrap();
    vault.spy.marked.open();
    commit.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_pool_without_an_idle_connection_is_not_asked() {
    let vault = vault_of(1).await;
    let tx = vault.pool.begin().await.unwrap();
    let healer = MySqlHealer::new(vault.pool.clone());
    let fences = [fence(&Origin::new(&format!("mysql:{:032x}:{:032x}", 1, 2)).unwrap(), 1)];
    assert!(drop_after(1, healer.finished(&fences)).await, "it waits for nothing");
    assert_eq!(vault.pool.size(), 1);
    drop(tx);
}

#[tokio::test]
async fn a_reader_that_leaves_leaves_the_connection_outside_any_transaction() {
    let vault = vault().await;
    let (open, commit) = open_writer(&vault).await;
    let single = pool_of(1, &vault.options).await;
    for polls in 1..20 {
        until("the connection is idle", async || single.num_idle() == 1).await;
        let healer = MySqlHealer::new(single.clone());
        drop_after(polls % 5 + 1, healer.finished(&[fence(&open, 1)])).await;
        single.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
        single.execute("SELECT 1").await.unwrap();
    }
    vault.spy.marked.open();
    commit.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_database_registers_once() {
    let vault = vault().await;
    let single = pool_of(1, &vault.options).await;
    assert_eq!(MySqlHealer::new(vault.pool.clone()).name(), MySqlHealer::new(single).name());
    let other = pool_of(1, &database().await).await;
    assert_ne!(MySqlHealer::new(vault.pool.clone()).name(), MySqlHealer::new(other).name());
}
