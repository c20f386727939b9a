//! Lists that carry tags.

use std::collections::BTreeSet;

use cache_core::testkit::Command;

use crate::gates::Point;
use crate::naive::Habit;
use crate::side::Side;
use crate::world::{World, until};

/// A list is loaded, its tag is invalidated, and only then the list is stored.
async fn late_list<S: Side>(a: &S, b: &S) -> [Vec<String>; 2] {
    let loaded = a.gates().hold(Point::Loaded);
    let slow = tokio::spawn({
        let a = a.clone();
        async move { a.names().await }
    });
    loaded.reached().await;
    b.rename(1, "new").await;
    loaded.release();
    assert_eq!(slow.await.unwrap(), ["old", "Bob"], "it began before the write");
    [a.names().await, b.names().await]
}

#[tokio::test]
async fn a_list_loaded_before_its_tag_was_invalidated_is_not_served_after() {
    let (a, b) = World::new().await.pair().await;
    assert_eq!(late_list(&a, &b).await, [["new", "Bob"], ["new", "Bob"]]);
}

#[tokio::test]
async fn control_a_generation_read_after_the_load_passes_for_current() {
    let (a, b) = World::new().await.naive(Habit::LateGeneration).await;
    assert_eq!(late_list(&a, &b).await, [["old", "Bob"], ["old", "Bob"]]);
}

#[tokio::test]
async fn control_a_tag_that_is_a_set_of_keys_misses_the_list_that_is_loading() {
    let (a, b) = World::new().await.naive(Habit::DeleteAfter).await;
    assert_eq!(late_list(&a, &b).await, [["old", "Bob"], ["old", "Bob"]]);
}

/// The fill of a list is accepted by Redis although its tag has moved, since the write marked only the tag; whoever joined
/// the load after the write must not take it (model rows X5 and X6).
#[tokio::test]
async fn a_list_whose_tag_moved_while_it_loaded_is_not_shared() {
    let (a, b) = World::new().await.pair().await;
    let spawn_names = || {
        let a = a.clone();
        tokio::spawn(async move { a.names().await })
    };
    let loaded = a.users.gates.hold(Point::Loaded);
    let first = spawn_names();
    loaded.reached().await;
    b.rename(1, "new").await;
    let second = spawn_names();
    a.missed(2).await;
    loaded.release();
    assert_eq!(first.await.unwrap(), ["old", "Bob"], "it began before the write");
    assert_eq!(second.await.unwrap(), ["new", "Bob"]);
    let stats = a.cache.stats().total();
    assert_eq!((stats.fills_refused, stats.joined), (0, 0));
}

/// One list, one tag more or less: each of the two tags of a roster is enough.
#[tokio::test]
async fn each_tag_of_an_entry_invalidates_it() {
    let (a, b) = World::new().await.pair().await;
    for (tag, expected) in [("users", ["ada one", "bob Bob"]), ("team:red", ["ada two", "bob Bob"])] {
        b.users.roster("red").await.unwrap();
        let recording = a.cache.recording();
        recording.touch(cache_core::subject::Kind::Tag, |text| text.literal(tag));
        let writes = recording.finish().unwrap();
        let fenced = a.cache.fence(writes, cache_core::store::Origin::none()).await.unwrap();
        let name = if tag == "users" { "one" } else { "two" };
        let update = "UPDATE users SET name = $1 WHERE id = 1";
        sqlx::query(update).bind(name).execute(&a.pool).await.unwrap();
        fenced.clear().await.unwrap();
        assert_eq!(b.users.roster("red").await.unwrap(), expected, "{tag}");
    }
}

#[tokio::test]
async fn a_lost_generation_is_a_miss_and_never_an_old_list() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    assert_eq!(a.names().await, ["old", "Bob"]);
    let generation = format!("{{{}#users}}:g", world.namespace);
    let mut seen = BTreeSet::new();
    for name in ["one", "two", "three"] {
        let evicted: u64 = world.tell(&["DEL", &generation]).await;
        assert_eq!(evicted, 1);
        let held = b.store.hold_reply(Command::Mark);
        let write = b.spawn_rename(1, name);
        held.reached().await;
        // Evicted again, while the write is in flight.
        let evicted: u64 = world.tell(&["DEL", &generation]).await;
        assert_eq!(evicted, 1);
        held.release();
        write.await.unwrap();
        assert_eq!(a.names().await, [name, "Bob"]);
        assert_eq!(b.names().await, [name, "Bob"]);
        seen.insert(world.tell::<String>(&["GET", &generation]).await);
    }
    assert_eq!(seen.len(), 3, "no generation came back");
    until("it is cached again", async || {
        let before = a.loads();
        a.names().await;
        a.loads() == before
    })
    .await;
}
