//! A namespace is cleared.

use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn a_read_after_a_clear_sees_nothing_from_before_on_every_instance() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    for _ in 0..2 {
        a.find().await;
        b.list().await;
    }
    // Behind everybody's back.
    a.commit(2);
    assert_eq!((b.find().await, a.list().await), (Some(1), 1));
    a.cache.clear().await.unwrap();
    assert_eq!((a.find().await, b.find().await), (Some(2), Some(2)));
    assert_eq!((a.list().await, b.list().await), (2, 2));
    let loads = |instance: &Instance| instance.cache.stats().total().loads;
    assert_eq!((loads(&a), loads(&b)), (3, 1), "what is loaded after it is stored");
}

#[tokio::test]
async fn another_namespace_of_the_store_is_left_alone() {
    let world = World::new();
    let other = world.with(Cache::builder("u").store(world.store.clone()).clock(world.clock.clone()));
    let a = world.instance();
    assert_eq!((a.find().await, other.find().await), (Some(1), Some(1)));
    a.commit(2);
    a.cache.clear().await.unwrap();
    assert_eq!((a.find().await, other.find().await), (Some(2), Some(1)));
}

/// The load saw the row before the clear; who comes after it neither finds nor joins what it has loaded.
#[tokio::test]
async fn a_load_from_before_the_clear_is_neither_shared_nor_served() {
    let world = World::new();
    let a = world.instance();
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (a, seen, go_on) = (a.clone(), seen.clone(), go_on.clone());
        tokio::spawn(async move {
            let pause = async || {
                seen.notify_one();
                go_on.notified().await;
            };
            a.find_by(pause).await
        })
    };
    seen.notified().await;
    a.commit(2);
    world.instance().cache.clear().await.unwrap();
    let joined = a.spawn_find();
    a.missed(2).await;
    go_on.notify_one();
    assert_eq!(promptly(slow).await.unwrap(), Some(1), "it began before the clear");
    assert_eq!(promptly(joined).await.unwrap(), Some(2));
    assert_eq!(world.instance().find().await, Some(2));
}

#[tokio::test]
async fn a_clear_that_the_store_did_not_confirm_is_an_error_and_an_off_cache_has_nothing_to_clear() {
    let world = World::new();
    let a = world.instance();
    world.store.down();
    assert!(a.cache.clear().await.unwrap_err().to_string().contains("unavailable"));
    assert!(world.with(world.builder().off()).cache.clear().await.is_ok());
}
