//! Races between one load and one write. Each script is played on the product and on the naive cache that loses it.

use cache_core::testkit::Command;

use crate::gates::Point;
use crate::naive::{Habit, Naive};
use crate::side::{Gap, Side};
use crate::world::{Instance, World, settled, warm};

const NEW: [Option<&str>; 2] = [Some("new"), Some("new")];
const OLD: [Option<&str>; 2] = [Some("old"), Some("old")];

/// What two instances read, one after the other.
async fn names<S: Side>(a: &S, b: &S, id: i64) -> [Option<&'static str>; 2] {
    let mut seen = [None, None];
    for (side, seen) in [a, b].into_iter().zip(&mut seen) {
        *seen = side.find(id).await.map(|name| &*name.leak());
    }
    seen
}

/// A load sees the old row, a write begins and returns, and only then the loaded value is stored (model rows 02, 04, 17).
async fn late_fill<S: Side>(a: &S, b: &S) -> [Option<&'static str>; 2] {
    let loaded = a.gates().hold(Point::Loaded);
    let slow = a.spawn_find(1);
    loaded.reached().await;
    b.rename(1, "new").await;
    loaded.release();
    assert_eq!(slow.await.unwrap().as_deref(), Some("old"), "it began before the write");
    names(a, b, 1).await
}

#[tokio::test]
async fn a_fill_that_comes_after_a_write_is_refused() {
    let (a, b) = World::new().await.pair().await;
    assert_eq!(late_fill(&a, &b).await, NEW);
    assert_eq!(a.cache.stats().total().fills_refused, 1);
    settled([&a, &b], "new").await;
}

#[tokio::test]
async fn control_cache_aside_keeps_the_late_fill() {
    let (a, b) = World::new().await.naive(Habit::DeleteAfter).await;
    assert_eq!(late_fill(&a, &b).await, OLD);
}

#[tokio::test]
async fn control_a_delayed_double_delete_keeps_a_fill_that_is_later_still() {
    let (a, b) = World::new().await.naive(Habit::DoubleDelete).await;
    assert_eq!(late_fill(&a, &b).await, OLD);
}

#[tokio::test]
async fn control_a_rebuild_lock_with_a_plain_set_keeps_the_late_fill() {
    let (a, b) = World::new().await.naive(Habit::RebuildLock).await;
    assert_eq!(late_fill(&a, &b).await, OLD);
}

/// The same, but the lock or lease of the slow load has lapsed, and the next loader has stored the new value already.
async fn late_fill_over_a_new_value<S: Side>(
    a: &S,
    b: &S,
    lapse: impl AsyncFnOnce(),
) -> [Option<&'static str>; 2] {
    let loaded = a.gates().hold(Point::Loaded);
    let slow = a.spawn_find(1);
    loaded.reached().await;
    b.rename(1, "new").await;
    lapse().await;
    assert_eq!(b.find(1).await.as_deref(), Some("new"));
    loaded.release();
    slow.await.unwrap();
    names(a, b, 1).await
}

#[tokio::test]
async fn a_fill_does_not_replace_the_value_of_the_lease_that_followed() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    let lapse = async || {
        let _: u64 = world.tell(&["DEL", &format!("{{{}:user:1}}:l", world.namespace)]).await;
    };
    assert_eq!(late_fill_over_a_new_value(&a, &b, lapse).await, NEW);
    warm([&a, &b], "new").await;
}

#[tokio::test]
async fn control_the_loader_whose_lock_has_lapsed_replaces_the_new_value() {
    let (a, b) = World::new().await.naive(Habit::RebuildLock).await;
    let lapse = async || a.forget(&format!("{}:lock", a.key(1))).await;
    assert_eq!(late_fill_over_a_new_value(&a, &b, lapse).await, OLD);
}

/// A lookup finds nothing, the row is inserted, and only then "there is none" is stored.
async fn late_negative_fill<S: Side>(a: &S, b: &S) -> [Option<&'static str>; 2] {
    let loaded = a.gates().hold(Point::Loaded);
    let slow = a.spawn_find(3);
    loaded.reached().await;
    b.insert(3, "cy").await;
    loaded.release();
    assert_eq!(slow.await.unwrap(), None, "it began before the insert");
    names(a, b, 3).await
}

#[tokio::test]
async fn that_there_is_none_is_not_remembered_after_an_insert() {
    let (a, b) = World::new().await.pair().await;
    assert_eq!(late_negative_fill(&a, &b).await, [Some("cy"), Some("cy")]);
}

#[tokio::test]
async fn control_cache_aside_remembers_that_there_is_none() {
    let (a, b) = World::new().await.naive(Habit::DeleteAfter).await;
    assert_eq!(late_negative_fill(&a, &b).await, [None, None]);
}

/// A delete before the commit: a read in between stores the old value again (model row 13).
async fn read_between_invalidation_and_commit<S: Side>(
    a: &S,
    b: &S,
    hold: impl FnOnce(&S) -> Gap,
) -> [Option<&'static str>; 2] {
    let gap = hold(a);
    let write = a.spawn_rename(1, "new");
    gap.reached().await;
    assert_eq!(b.find(1).await.as_deref(), Some("old"), "nothing is committed yet");
    gap.release();
    write.await.unwrap();
    names(a, b, 1).await
}

#[tokio::test]
async fn a_read_between_mark_and_commit_fills_nothing() {
    let (a, b) = World::new().await.pair().await;
    let hold = |a: &Instance| Gap::Command(a.store.hold_reply(Command::Mark));
    assert_eq!(read_between_invalidation_and_commit(&a, &b, hold).await, NEW);
    assert_eq!(b.cache.stats().total().fence_bypasses, 1);
}

#[tokio::test]
async fn control_a_delete_before_the_commit_lets_the_old_value_back_in() {
    let (a, b) = World::new().await.naive(Habit::DeleteBefore).await;
    let hold = |a: &Naive| Gap::Gate(a.gates.hold(Point::Invalidated));
    assert_eq!(read_between_invalidation_and_commit(&a, &b, hold).await, OLD);
}

/// One reader has seen the new value in the database while the write is on its way from commit to invalidation; the next
/// read through the cache (promise B, model row 16).
async fn visible_but_not_invalidated<S: Side>(world: &World, a: &S, b: &S) -> Option<String> {
    assert_eq!(names(a, b, 1).await, OLD);
    let gap = a.hold_invalidation();
    let write = a.spawn_rename(1, "new");
    gap.reached().await;
    assert_eq!(world.row(1).await.as_deref(), Some("new"), "everybody can see it");
    let seen = b.find(1).await;
    gap.release();
    write.await.unwrap();
    seen
}

#[tokio::test]
async fn once_a_change_is_visible_no_cached_read_shows_the_old_value() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    assert_eq!(visible_but_not_invalidated(&world, &a, &b).await.as_deref(), Some("new"));
    settled([&a, &b], "new").await;
}

#[tokio::test]
async fn control_cache_aside_shows_the_old_value_after_the_new_one_was_seen() {
    let world = World::new().await;
    let (a, b) = world.naive(Habit::DeleteAfter).await;
    assert_eq!(visible_but_not_invalidated(&world, &a, &b).await.as_deref(), Some("old"));
}

/// An early reload of an entry that still stands sees the old row, and ends after a write (model row 60).
async fn late_refresh<S: Side>(a: &S, b: &S) -> [Option<&'static str>; 2] {
    assert_eq!(names(a, b, 1).await, OLD);
    let loaded = a.gates().hold(Point::Loaded);
    let refresh = tokio::spawn({
        let a = a.clone();
        async move { a.find_early(1).await }
    });
    loaded.reached().await;
    b.rename(1, "new").await;
    loaded.release();
    assert_eq!(refresh.await.unwrap().as_deref(), Some("old"), "it began before the write");
    names(a, b, 1).await
}

#[tokio::test]
async fn an_early_reload_that_ends_after_a_write_stores_nothing() {
    let (a, b) = World::new().await.pair().await;
    assert_eq!(late_refresh(&a, &b).await, NEW);
    let stats = a.cache.stats().total();
    assert_eq!((stats.refreshes, stats.fills_refused), (1, 1));
}

#[tokio::test]
async fn control_refresh_ahead_with_a_plain_set_brings_the_old_value_back() {
    let (a, b) = World::new().await.naive(Habit::DeleteAfter).await;
    assert_eq!(late_refresh(&a, &b).await, OLD);
}

/// Two writers commit in one order and reach the cache in the other (model row 03). The first one is `spawned`.
async fn writers_in_the_other_order<S: Side>(
    world: &World,
    a: &S,
    b: &S,
    first: impl FnOnce(S) -> tokio::task::JoinHandle<()>,
    second: impl AsyncFnOnce(&S),
) -> [Option<&'static str>; 2] {
    let gap = a.hold_invalidation();
    let slow = first(a.clone());
    gap.reached().await;
    second(b).await;
    gap.release();
    slow.await.unwrap();
    assert_eq!(world.row(1).await.as_deref(), Some("second"));
    names(a, b, 1).await
}

async fn save(instance: &Instance, name: &str) {
    let mut tx = cache_sqlx::begin(&instance.cache, &instance.pool).await.unwrap();
    instance.users.save(&mut tx, 1, name).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn the_writer_that_committed_first_does_not_install_its_value_last() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    let first = |a: Instance| tokio::spawn(async move { save(&a, "first").await });
    let second = async |b: &Instance| save(b, "second").await;
    let seen = writers_in_the_other_order(&world, &a, &b, first, second).await;
    assert_eq!(seen, [Some("second"), Some("second")]);
    settled([&a, &b], "second").await;
}

#[tokio::test]
async fn control_a_set_after_the_commit_keeps_the_value_of_the_writer_that_came_last() {
    let world = World::new().await;
    let (a, b) = world.naive(Habit::WriteThrough).await;
    let second = async |b: &Naive| b.rename(1, "second").await;
    let seen = writers_in_the_other_order(&world, &a, &b, |a| a.spawn_rename(1, "first"), second).await;
    assert_eq!(seen, [Some("first"), Some("first")]);
}
