//! The namespace is cleared: rows have changed behind the cache's back.

use cache_core::testkit::Rule;

use crate::world::{Instance, World};

/// Both instances serve the old name; it is changed past the cache, and one of them clears.
async fn cleared_by(clearing: &Instance, other: &Instance, name: &str) -> Option<String> {
    clearing.users.find(1).await.unwrap();
    other.users.find(1).await.unwrap();
    let update = "UPDATE users SET name = $1 WHERE id = 1";
    sqlx::query(update).bind(name).execute(&clearing.pool).await.unwrap();
    clearing.cache.clear().await.unwrap();
    other.name(1).await
}

#[tokio::test]
async fn a_read_after_a_clear_sees_nothing_from_before_on_another_instance() {
    let (a, b) = World::new().await.pair().await;
    for name in ["one", "two"] {
        assert_eq!(cleared_by(&a, &b, name).await.as_deref(), Some(name));
    }
    assert_eq!(b.hit(1).await, (true, Some("two".to_owned())), "and it is cached again");
}

/// What an instance knows about the namespace is up to a second old; most of the time it is young enough to go wrong.
#[tokio::test]
async fn control_a_clear_that_returns_at_once_leaves_another_instance_with_the_old_value() {
    let world = World::new().await;
    let hasty = world.build(&world.redis, |builder| builder.without(Rule::NoticedClear)).await;
    let other = world.instance().await;
    for round in 0..100 {
        let name = format!("round {round}");
        if cleared_by(&hasty, &other, &name).await != Some(name) {
            return;
        }
    }
    panic!("the other instance noticed every clear at once");
}

/// The generation of a namespace that was cleared is evicted: it becomes one that no entry carries.
#[tokio::test]
async fn a_lost_generation_of_the_namespace_brings_nothing_back() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    assert_eq!(cleared_by(&a, &b, "new").await.as_deref(), Some("new"));
    let evicted: u64 = world.tell(&["DEL", &format!("{{{}#~}}:g", world.namespace)]).await;
    assert_eq!(evicted, 1);
    for _ in 0..2 {
        // A third instance knows nothing yet, so it asks.
        assert_eq!(world.instance().await.hit(1).await, (false, Some("new".to_owned())));
        let evicted: u64 = world.tell(&["DEL", &format!("{{{}#~}}:g", world.namespace)]).await;
        assert_eq!(evicted, 1);
    }
}
