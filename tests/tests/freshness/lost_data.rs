//! Redis loses data while a write or a load is under way, or comes back with old data.

use cache_core::testkit::{Command, Rule};
use cache_test_support::Redis;

use crate::gates::Point;
use crate::naive::Habit;
use crate::side::{Side, reads, spawn_write};
use crate::world::{World, settled, warm};

/// The fence is lost between mark and commit, so the old value comes back into the cache; the confirmed clear drops it
/// before the write returns (model rows 24 and X4).
#[tokio::test]
async fn a_write_whose_fence_was_flushed_is_seen_when_it_returns() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.pair().await;
    let marked = a.store.hold_reply(Command::Mark);
    let write = spawn_write(&a);
    marked.reached().await;
    let _: String = world.tell(&["FLUSHALL"]).await;
    warm([&b, &b], "old").await;
    marked.release();
    write.await.unwrap().unwrap();
    reads(&b, &a, "new").await;
    settled([&a, &b], "new").await;
}

#[tokio::test]
async fn a_load_that_began_while_the_fence_was_lost_does_not_fill_after_the_clear() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.pair().await;
    let marked = a.store.hold_reply(Command::Mark);
    let write = spawn_write(&a);
    marked.reached().await;
    let _: String = world.tell(&["FLUSHALL"]).await;
    let loaded = b.users.gates.hold(Point::Loaded);
    let slow = b.spawn_find(1);
    loaded.reached().await;
    marked.release();
    write.await.unwrap().unwrap();
    loaded.release();
    assert_eq!(slow.await.unwrap().as_deref(), Some("old"), "it began before the commit");
    reads(&b, &a, "new").await;
}

#[tokio::test]
async fn control_a_write_that_returns_before_its_clear_is_confirmed_is_not_seen() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let a = world.build(&world.redis, |builder| builder.without(Rule::ConfirmedClear)).await;
    let b = world.instance().await;
    let (marked, clearing) = (a.store.hold_reply(Command::Mark), a.store.hold(Command::Clear));
    let write = spawn_write(&a);
    marked.reached().await;
    let _: String = world.tell(&["FLUSHALL"]).await;
    warm([&b, &b], "old").await;
    marked.release();
    write.await.unwrap().unwrap();
    clearing.reached().await;
    reads(&b, &a, "old").await;
    clearing.release();
}

/// A load sees the old row, a write returns, Redis restarts without its data, and the loaded value arrives.
async fn late_fill_after_a_restart<S: Side>(redis: &Redis, a: &S, b: &S, back: impl AsyncFnOnce()) {
    let loaded = a.gates().hold(Point::Loaded);
    let slow = a.spawn_find(1);
    loaded.reached().await;
    b.rename(1, "new").await;
    redis.kill();
    redis.restart().unwrap();
    back().await;
    loaded.release();
    assert_eq!(slow.await.unwrap().as_deref(), Some("old"), "it began before the write");
}

#[tokio::test]
async fn a_fill_from_before_a_restart_without_data_is_refused() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.pair().await;
    let back = async || {
        a.connected().await;
        b.connected().await;
    };
    late_fill_after_a_restart(&redis, &a, &b, back).await;
    reads(&a, &b, "new").await;
    settled([&a, &b], "new").await;
}

#[tokio::test]
async fn control_cache_aside_takes_a_fill_from_before_the_restart() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.naive(Habit::DeleteAfter).await;
    late_fill_after_a_restart(&redis, &a, &b, async || {}).await;
    // The first command after a restart finds its connection broken.
    a.find(2).await;
    b.find(2).await;
    a.forget(&a.key(1)).await;
    let loaded = a.gates.hold(Point::Loaded);
    let slow = a.spawn_find(1);
    loaded.reached().await;
    b.rename(1, "newer").await;
    loaded.release();
    slow.await.unwrap();
    reads(&a, &b, "new").await;
}

/// The fence is lost with the server's data while a write is between mark and commit.
#[tokio::test]
async fn a_write_whose_fence_was_lost_in_a_restart_is_seen_when_it_returns() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.pair().await;
    let marked = a.store.hold_reply(Command::Mark);
    let write = spawn_write(&a);
    marked.reached().await;
    redis.kill();
    b.disconnected().await;
    redis.restart().unwrap();
    b.connected().await;
    settled([&b, &b], "old").await;
    marked.release();
    write.await.unwrap().unwrap();
    reads(&b, &a, "new").await;
    settled([&a, &b], "new").await;
}

#[tokio::test]
async fn a_server_that_comes_back_with_old_data_serves_none_of_it() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    assert_eq!((a.names().await, b.names().await.len()), (vec!["old".into(), "Bob".into()], 2));
    let _: String = world.tell(&["SAVE"]).await;
    a.rename(1, "new").await;
    redis.kill();
    a.disconnected().await;
    b.disconnected().await;
    reads(&a, &b, "new").await;
    redis.restart().unwrap();
    a.connected().await;
    b.connected().await;
    assert_eq!(world.entries(1).await, 1, "the old entry is back");
    reads(&a, &b, "new").await;
    assert_eq!((a.names().await[0].as_str(), b.names().await[0].as_str()), ("new", "new"));
    settled([&a, &b], "new").await;
}

#[tokio::test]
async fn control_cache_aside_serves_the_old_data_of_a_server_that_came_back() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.naive(Habit::DeleteAfter).await;
    reads(&a, &b, "old").await;
    let _: String = world.tell(&["SAVE"]).await;
    a.rename(1, "new").await;
    redis.kill();
    redis.restart().unwrap();
    // The first command finds the connection broken and makes a new one.
    a.find(2).await;
    b.find(2).await;
    reads(&a, &b, "old").await;
}
