//! A store that is gone, slow or confused.

use super::*;
use crate::breaker::Touched;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Shard;
use crate::testkit::Command;

#[tokio::test]
async fn without_a_store_reads_are_loaded_and_afterwards_all_is_as_before() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    world.store.down();
    for _ in 0..10 {
        assert_eq!(a.find().await, Some(1));
    }
    let asked = world.store.count(Command::Get) + world.store.count(Command::Lease);
    assert!(asked <= 5, "the breaker opened: {asked} commands were sent");
    world.store.up();
    world.clock.advance(Duration::from_millis(250));
    assert_eq!(a.find().await, Some(1));
    let stats = a.cache.stats().total();
    assert_eq!((stats.hits, stats.loads), (1, 11));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_costs_a_read_its_deadline_and_no_more() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    world.store.stall();
    let since = tokio::time::Instant::now();
    assert_eq!(a.find().await, Some(1));
    assert_eq!(
        since.elapsed(),
        Duration::from_millis(50),
        "the lease is not asked for after the look went unanswered"
    );
    world.store.flow();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(a.find().await, Some(1));
}

/// How reads of an entry end whose look is answered past its deadline, in a process that did not run for so long.
async fn looks_late_after(paused: Duration) -> (u64, u64) {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    let get = world.store.hold(Command::Get);
    let read = a.spawn_find();
    get.reached().await;
    world.clock.advance(paused);
    tokio::time::sleep(Duration::from_millis(51)).await;
    get.release();
    assert_eq!(read.await.unwrap(), Some(1));
    let stats = a.cache.stats().total();
    (stats.hits, stats.degraded)
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_paused_does_not_take_its_own_silence_for_the_store_s() {
    assert_eq!(looks_late_after(Duration::from_millis(100)).await, (1, 0));
    assert_eq!(looks_late_after(Duration::from_millis(50)).await, (0, 1), "the store was silent");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_load_does_not_begin_another_for_one_answer_that_is_missing() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let gate = Arc::new(tokio::sync::Notify::new());
    let first = {
        let (a, gate) = (a.clone(), gate.clone());
        tokio::spawn(async move { a.find_by(async || gate.notified().await).await })
    };
    until(|| a.cache.stats().total().loads == 1).await;
    let second = b.spawn_find();
    until(|| world.store.count(Command::Lease) == 2).await;
    let lease = world.store.hold(Command::Lease);
    lease.reached().await;
    tokio::time::sleep(Duration::from_millis(51)).await;
    gate.notify_one();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (Some(1), Some(1)));
    let stats = b.cache.stats().total();
    assert_eq!((stats.loads, stats.degraded), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_answer_is_lost_does_not_keep_the_entry_empty() {
    let world = World::new();
    let a = world.instance();
    world.store.lose_reply(Command::Lease);
    assert_eq!(a.find().await, Some(1));
    until(|| world.store.count(Command::Release) == 1).await;
    assert_eq!(a.find().await, Some(1));
    let stats = a.cache.stats().total();
    assert_eq!((stats.fills, stats.lease_waits_exceeded), (1, 0));
}

#[tokio::test]
async fn a_store_that_lost_its_data_serves_nothing_from_before() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    world.memory.lose_everything();
    a.commit(2);
    assert_eq!(a.find().await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_dead_loader_of_another_instance_is_waited_for_only_so_long() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let fill = world.store.hold(Command::Fill);
    let dead = a.spawn_find();
    fill.reached().await;
    let alive = b.spawn_find();
    until(|| b.cache.stats().total().misses == 1).await;
    // The engine's clock is the stopped one, so the wait is over when it says so.
    for _ in 0..20 {
        world.clock.advance(Duration::from_millis(500));
        tokio::time::advance(Duration::from_millis(500)).await;
    }
    assert_eq!(promptly(alive).await.unwrap(), Some(1));
    dead.abort();
    assert_eq!(b.cache.stats().total().loads, 1);
}

#[tokio::test]
async fn a_read_without_the_store_is_degraded_once() {
    let world = World::new();
    let a = world.instance();
    world.store.down();
    a.find().await;
    assert_eq!(a.cache.stats().total().degraded, 1);
    assert!(a.mark().await.is_err());
    assert_eq!(a.cache.stats().writes().refused, 1);
}

#[tokio::test]
async fn a_server_that_rejects_commands_is_asked_on() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    let whole = Touched::new(Shard::default(), std::iter::empty());
    for _ in 0..10 {
        let refused = async { Err::<(), _>(StoreError::new(StoreErrorKind::Rejected, "out of memory")) };
        assert!(a.cache.0.ask(&whole, refused).await.is_err());
    }
    a.find().await;
    assert_eq!(a.cache.stats().total().hits, 1, "the breaker is for a store that does not answer");
}
