//! Writers that die. A process is a runtime of its own: its tasks and its connections end with it, at once.

use std::future::Future;

use cache_core::testkit::Command;
use tokio::runtime::Runtime;

use crate::gates::Point;
use crate::naive::Habit;
use crate::side::Side;
use crate::world::{World, settled, until, warm};

/// A process of the application. Dropped, it is dead.
struct Process(Option<Runtime>);

impl Process {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self(Some(runtime.unwrap()))
    }

    async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.0.as_ref().expect("it lives").spawn(work).await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.take().expect("it dies once").shutdown_background();
    }
}

/// A writer whose commit is visible dies before it clears.
async fn dies_before_it_clears(world: &World) {
    let process = Process::start();
    let there = world.clone();
    process
        .run(async move {
            let writer = there.instance().await;
            let clearing = writer.store.hold(Command::Clear);
            writer.spawn_rename(1, "new");
            clearing.reached().await;
        })
        .await;
    drop(process);
}

#[tokio::test]
async fn a_writer_that_dies_between_commit_and_clear_is_healed_by_the_next_reader() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    assert_eq!(a.names().await, ["old", "Bob"]);
    dies_before_it_clears(&world).await;
    // Every read on the way shows the new value; then the fence is lifted, and it is cached again.
    settled([&a, &b], "new").await;
    until("the list is cached again", async || {
        let before = b.loads();
        assert_eq!(b.names().await, ["new", "Bob"]);
        b.loads() == before
    })
    .await;
    let healed = a.cache.stats().total().fences_healed + b.cache.stats().total().fences_healed;
    assert!(healed >= 2, "one of the user, one of the tag");
}

#[tokio::test]
async fn control_cache_aside_stays_stale_until_its_ttl_when_the_writer_dies() {
    let world = World::new().await;
    let (a, b) = world.naive(Habit::DeleteAfter).await;
    assert_eq!(b.find(1).await.as_deref(), Some("old"));
    let committed = a.gates.hold(Point::Committed);
    let write = a.spawn_rename(1, "new");
    committed.reached().await;
    write.abort();
    assert!(write.await.unwrap_err().is_cancelled());
    assert_eq!(world.row(1).await.as_deref(), Some("new"));
    assert_eq!(b.find(1).await.as_deref(), Some("old"));
    assert!(b.lifetime(1).await > 3000, "and so it goes on");
}

#[tokio::test]
async fn a_writer_that_dies_before_its_commit_leaves_the_old_value_and_it_is_cached_again() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    let process = Process::start();
    let there = world.clone();
    process
        .run(async move {
            let writer = there.instance().await;
            let marked = writer.store.hold_reply(Command::Mark);
            writer.spawn_rename(1, "never");
            marked.reached().await;
        })
        .await;
    assert!(!b.hit(1).await.0, "it is fenced");
    drop(process);
    settled([&a, &b], "old").await;
    assert_eq!(world.row(1).await.as_deref(), Some("old"));
    assert!(a.cache.stats().total().fences_healed >= 1);
}

#[tokio::test]
async fn control_a_value_set_before_the_commit_is_served_though_it_was_never_written() {
    let world = World::new().await;
    let (a, b) = world.naive(Habit::SetBefore).await;
    let set = a.gates.hold(Point::Invalidated);
    let write = a.spawn_rename(1, "never");
    set.reached().await;
    write.abort();
    assert!(write.await.unwrap_err().is_cancelled());
    assert_eq!(b.find(1).await.as_deref(), Some("never"));
    assert_eq!(world.row(1).await.as_deref(), Some("old"));
}

/// A load that began before the write outlives the writer: the reader that heals must not let it fill.
#[tokio::test]
async fn a_fill_from_before_the_write_is_refused_after_the_fence_was_healed() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    let loaded = a.users.gates.hold(Point::Loaded);
    let slow = a.spawn_find(1);
    loaded.reached().await;
    dies_before_it_clears(&world).await;
    settled([&b, &b], "new").await;
    loaded.release();
    assert_eq!(slow.await.unwrap().as_deref(), Some("old"), "it began before the write");
    warm([&a, &b], "new").await;
}

#[tokio::test]
async fn a_dead_writer_without_a_transaction_keeps_its_fence_until_it_is_old() {
    let world = World::new().await;
    let careful = world.instance().await;
    let soon = std::time::Duration::from_millis(1);
    let hasty = world.build(&world.redis, |builder| builder.orphan_after(soon)).await;
    warm([&careful, &hasty], "old").await;
    let process = Process::start();
    let there = world.clone();
    process
        .run(async move {
            let writer = there.instance().await;
            let clearing = writer.store.hold(Command::Clear);
            tokio::spawn(async move { writer.users.rename_alone(1, "ada", "red", "new").await });
            clearing.reached().await;
        })
        .await;
    drop(process);
    for _ in 0..3 {
        assert_eq!(careful.hit(1).await, (false, Some("new".into())));
    }
    settled([&hasty, &hasty], "new").await;
    warm([&careful, &hasty], "new").await;
}
