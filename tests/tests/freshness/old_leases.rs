//! Leases from an older dataset.

use cache_test_support::Redis;

use crate::gates::Point;
use crate::side::Side;
use crate::world::World;

/// A server that comes back with old data brings old leases back: the fill that uses one is accepted, though a write has
/// dropped it in the meantime.
#[tokio::test]
async fn a_fill_accepted_by_a_server_that_came_back_with_old_leases_is_not_shared() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let (a, b) = world.pair().await;
    let loaded = a.users.gates.hold(Point::Loaded);
    let first = a.spawn_find(1);
    loaded.reached().await;
    let _: String = world.tell(&["SAVE"]).await;

    b.rename(1, "new").await;
    let second = a.spawn_find(1);
    a.missed(2).await;

    redis.kill();
    a.disconnected().await;
    redis.restart().unwrap();
    a.connected().await;
    let leases: u64 = world.tell(&["EXISTS", &format!("{{{}:user:1}}:l", world.namespace)]).await;
    assert_eq!(leases, 1, "the lease from before the write is back");
    loaded.release();
    assert_eq!(first.await.unwrap().as_deref(), Some("old"), "it began before the write");
    assert_eq!(second.await.unwrap().as_deref(), Some("new"), "it began after the write had returned");
}
