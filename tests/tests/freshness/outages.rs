//! Redis is away, or loses a connection at the worst moment.

use std::time::Duration;

use cache_core::testkit::Command;
use cache_sqlx::TxError;
use cache_test_support::{FaultProxy, Redis};

use crate::gates::Point;
use crate::naive::Habit;
use crate::side::{Side, reads, spawn_write};
use crate::world::{LIMIT, World, settled, until, warm};

#[tokio::test]
async fn a_write_without_redis_is_refused_and_reads_answer() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    redis.kill();
    for refused in [
        a.users.rename_now(1, "never").await.map(drop),
        a.users.rename_alone(1, "ada", "red", "never").await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(TxError::of(&error), Some(TxError::Unfenced(_))), "{error:?}");
        assert_eq!(TxError::of(&error).unwrap().was_made(), Some(false));
    }
    assert_eq!(world.row(1).await.as_deref(), Some("old"));
    reads(&a, &b, "old").await;
    redis.restart().unwrap();
    a.connected().await;
    a.rename(1, "new").await;
    reads(&a, &b, "new").await;
    settled([&a, &b], "new").await;
}

fn cut_off(proxy: &FaultProxy) {
    proxy.refuse();
    proxy.cut();
}

#[tokio::test]
async fn a_writer_that_is_cut_off_from_redis_is_refused_while_others_hit() {
    let world = World::new().await;
    let proxy = FaultProxy::redis(&world.redis).unwrap();
    let a = world.build(&proxy.url(), |builder| builder).await;
    let b = world.instance().await;
    warm([&a, &b], "old").await;
    cut_off(&proxy);
    let error = a.users.rename_now(1, "never").await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unfenced(_))), "{error:?}");
    assert_eq!(world.row(1).await.as_deref(), Some("old"));
    assert_eq!(b.name(1).await, world.row(1).await);
    proxy.accept().unwrap();
    a.connected().await;
    a.rename(1, "new").await;
    reads(&b, &a, "new").await;
}

#[tokio::test]
async fn control_a_naive_writer_that_is_cut_off_leaves_the_old_value_to_others() {
    let world = World::new().await;
    let proxy = FaultProxy::redis(&world.redis).unwrap();
    let a = world.naive_at(&proxy.url(), Habit::DeleteAfter).await;
    let b = world.naive_at(&world.redis, Habit::DeleteAfter).await;
    reads(&a, &b, "old").await;
    cut_off(&proxy);
    a.rename(1, "new").await;
    proxy.accept().unwrap();
    assert_eq!(world.row(1).await.as_deref(), Some("new"));
    assert_eq!(b.find(1).await.as_deref(), Some("old"));
}

#[tokio::test]
async fn a_write_that_cannot_clear_says_so_and_is_fresh_once_redis_is_back() {
    let world = World::new().await;
    let proxy = FaultProxy::redis(&world.redis).unwrap();
    let soon = Duration::from_millis(100);
    let a = world.build(&proxy.url(), |builder| builder.clear_wait(soon)).await;
    let b = world.instance().await;
    warm([&a, &b], "old").await;
    // The connection breaks after the mark, before the clear.
    let marked = a.store.hold_reply(Command::Mark);
    let write = spawn_write(&a);
    marked.reached().await;
    cut_off(&proxy);
    marked.release();
    let error = write.await.unwrap().unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unclear(_))), "{error:?}");
    assert_eq!(TxError::of(&error).unwrap().was_made(), Some(true));
    assert_eq!(world.row(1).await.as_deref(), Some("new"));
    reads(&a, &b, "new").await;
    proxy.accept().unwrap();
    settled([&a, &b], "new").await;
}

#[tokio::test]
async fn control_a_naive_delete_that_fails_is_never_made_up_for() {
    let world = World::new().await;
    let proxy = FaultProxy::redis(&world.redis).unwrap();
    let a = world.naive_at(&proxy.url(), Habit::DeleteAfter).await;
    let b = world.naive_at(&world.redis, Habit::DeleteAfter).await;
    reads(&a, &b, "old").await;
    let committed = a.gates.hold(Point::Committed);
    let write = a.spawn_rename(1, "new");
    committed.reached().await;
    cut_off(&proxy);
    committed.release();
    write.await.unwrap();
    proxy.accept().unwrap();
    reads(&a, &b, "old").await;
}

/// As before, but the whole server goes down before the clear and comes back with an entry from before the mark.
#[tokio::test]
async fn a_write_that_could_not_clear_is_fresh_though_the_server_comes_back_with_old_data() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let soon = Duration::from_millis(100);
    let a = world.build(&world.redis, |builder| builder.clear_wait(soon)).await;
    let b = world.instance().await;
    warm([&a, &b], "old").await;
    let _: String = world.tell(&["SAVE"]).await;
    let clearing = a.store.hold(Command::Clear);
    let write = spawn_write(&a);
    clearing.reached().await;
    redis.kill();
    a.disconnected().await;
    clearing.release();
    let error = write.await.unwrap().unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unclear(_))), "{error:?}");
    reads(&a, &b, "new").await;
    redis.restart().unwrap();
    b.connected().await;
    reads(&a, &b, "new").await;
    settled([&a, &b], "new").await;
}

#[tokio::test]
async fn a_connection_killed_between_mark_and_clear_costs_a_reconnect_and_nothing_else() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    let clearing = a.store.hold(Command::Clear);
    let write = spawn_write(&a);
    clearing.reached().await;
    let killed: u64 = world.tell(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    assert!(killed >= 2);
    clearing.release();
    write.await.unwrap().unwrap();
    reads(&b, &a, "new").await;
    settled([&a, &b], "new").await;
}

#[tokio::test]
async fn control_a_naive_delete_on_a_killed_connection_is_lost() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.naive(Habit::DeleteAfter).await;
    reads(&a, &b, "old").await;
    let committed = a.gates.hold(Point::Committed);
    let write = a.spawn_rename(1, "new");
    committed.reached().await;
    let _: u64 = world.tell(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    committed.release();
    write.await.unwrap();
    a.find(2).await;
    b.find(2).await;
    reads(&a, &b, "old").await;
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_nothing_stale() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    a.store.lose_reply(Command::Mark);
    let error = a.users.rename_now(1, "never").await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unfenced(_))), "{error:?}");
    assert_eq!(world.row(1).await.as_deref(), Some("old"));
    settled([&a, &b], "old").await;
    for command in [Command::Clear, Command::Fill, Command::Lease, Command::Get] {
        a.store.lose_reply(command);
        let name = if command == Command::Clear { "one" } else { "two" };
        a.rename(1, name).await;
        reads(&a, &b, name).await;
        settled([&a, &b], name).await;
        a.rename(1, "zero").await;
        reads(&b, &a, "zero").await;
    }
}

#[tokio::test]
async fn a_frozen_redis_refuses_writes_and_lets_reads_through() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (short, soon) = (Duration::from_millis(50), Duration::from_millis(200));
    let change =
        |builder: cache_core::Builder| builder.read_deadline(short).mark_deadline(soon).clear_wait(LIMIT);
    let (a, b) = (world.build(&world.redis, change).await, world.build(&world.redis, change).await);
    settled([&a, &b], "old").await;
    redis.pause();
    let error = a.users.rename_now(1, "never").await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unfenced(_))), "{error:?}");
    assert_eq!(world.row(1).await.as_deref(), Some("old"));
    reads(&a, &b, "old").await;
    redis.resume();
    settled([&a, &b], "old").await;
    until("it can be written again", async || a.users.rename_now(1, "new").await.is_ok()).await;
    reads(&b, &a, "new").await;
}
