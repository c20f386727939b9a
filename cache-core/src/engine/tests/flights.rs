//! Joining a running load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::testkit::{Command, Rule};

#[tokio::test]
async fn a_thousand_cold_callers_of_one_instance_make_one_load() {
    let a = World::new().instance();
    let gate = Arc::new(Notify::new());
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let (a, gate) = (a.clone(), gate.clone());
            tokio::spawn(async move { a.find_by(async || gate.notified().await).await })
        })
        .collect();
    a.missed(1000).await;
    gate.notify_one();
    for caller in callers {
        assert_eq!(promptly(caller).await.unwrap(), Some(1));
    }
    let stats = a.cache.stats().total();
    assert_eq!((stats.loads, stats.joined, stats.fills), (1, 999, 1));
}

#[tokio::test(start_paused = true)]
async fn another_instance_waits_for_the_lease_instead_of_loading() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let fill = world.store.hold(Command::Fill);
    let first = a.spawn_find();
    fill.reached().await;
    let second = b.spawn_find();
    until(|| world.store.count(Command::Lease) == 2).await;
    fill.release();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (Some(1), Some(1)));
    assert_eq!((a.cache.stats().total().loads, b.cache.stats().total().loads), (1, 0));
}

/// The race that a fill whose answer is one step opens (model rows X1 and X2): the old value was stored and dropped again
/// by a write, but its reader has not heard of the fill yet when the next reader arrives.
async fn read_that_arrives_while_an_outdated_fill_is_answered(
    instance: impl Fn(&World) -> Instance,
) -> Option<u64> {
    let world = World::new();
    let a = instance(&world);
    let reply = world.store.hold_reply(Command::Fill);
    let first = a.spawn_find();
    reply.reached().await;
    world.instance().write(2).await.unwrap();
    let second = a.spawn_find();
    a.missed(2).await;
    reply.release();
    assert_eq!(promptly(first).await.unwrap(), Some(1), "it began before the write");
    promptly(second).await.unwrap()
}

#[tokio::test]
async fn who_arrives_at_a_sealed_flight_does_not_take_its_value() {
    assert_eq!(read_that_arrives_while_an_outdated_fill_is_answered(World::instance).await, Some(2));
}

#[tokio::test]
async fn control_without_sealed_flights_a_read_after_a_write_is_stale() {
    let naive = |world: &World| world.with(world.builder().without(Rule::SealedFlights));
    assert_eq!(read_that_arrives_while_an_outdated_fill_is_answered(naive).await, Some(1));
}

/// Plain single-flight (model row 14): the load saw the old row, then a write returned, then a reader joins.
async fn read_that_joins_a_load_from_before_the_write(instance: impl Fn(&World) -> Instance) -> Option<u64> {
    let world = World::new();
    let a = instance(&world);
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = {
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
    world.instance().write(2).await.unwrap();
    let second = a.spawn_find();
    a.missed(2).await;
    go_on.notify_one();
    assert_eq!(promptly(first).await.unwrap(), Some(1), "it began before the write");
    promptly(second).await.unwrap()
}

#[tokio::test]
async fn a_value_whose_fill_was_refused_is_not_shared() {
    assert_eq!(read_that_joins_a_load_from_before_the_write(World::instance).await, Some(2));
}

#[tokio::test]
async fn control_plain_single_flight_serves_the_old_value_after_the_write() {
    let naive = |world: &World| world.with(world.builder().without(Rule::SealedFlights));
    assert_eq!(read_that_joins_a_load_from_before_the_write(naive).await, Some(1));
}

#[tokio::test]
async fn a_leader_that_is_dropped_sets_its_waiters_free_and_gives_its_lease_back() {
    let a = World::new().instance();
    let first = {
        let a = a.clone();
        tokio::spawn(async move { a.find_by(async || std::future::pending().await).await })
    };
    until(|| a.cache.stats().total().loads == 1).await;
    let second = a.spawn_find();
    a.missed(2).await;
    first.abort();
    assert_eq!(promptly(second).await.unwrap(), Some(1));
    let stats = a.cache.stats().total();
    assert_eq!((stats.loads, stats.fills, stats.lease_waits_exceeded), (2, 1, 0));
}

#[tokio::test]
async fn every_caller_of_a_failing_loader_gets_its_own_error_and_nothing_is_cached() {
    let a = World::new().instance();
    let runs = Arc::new(AtomicU64::new(0));
    let failing = |run: Arc<AtomicU64>| async move {
        let n = run.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Err::<u64, String>(format!("failure {n}"))
    };
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let (a, runs) = (a.clone(), runs.clone());
            tokio::spawn(async move { private::read(&a.cache, &ROW, key, |_| {}, || failing(runs)).await })
        })
        .collect();
    for caller in callers {
        assert!(promptly(caller).await.unwrap().unwrap_err().starts_with("failure "));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 50);
    assert_eq!(a.cache.stats().total().fills, 0);
    assert_eq!(a.find().await, Some(1), "the failure was not cached and no lease is left");
    assert_eq!(a.cache.stats().total().fills, 1);
}

#[tokio::test(start_paused = true)]
async fn who_waited_too_long_leads_the_next_flight_for_all_who_wait() {
    let world = World::new();
    let a = world.instance();
    let first = {
        let a = a.clone();
        tokio::spawn(async move { a.find_by(async || std::future::pending().await).await })
    };
    until(|| a.cache.stats().total().loads == 1).await;
    let callers: Vec<_> = (0..20).map(|_| a.spawn_find()).collect();
    a.missed(21).await;
    // The hung leader's lease lapses on the store's clock.
    world.clock.advance(Duration::from_secs(10));
    for caller in callers {
        assert_eq!(promptly(caller).await.unwrap(), Some(1));
    }
    let stats = a.cache.stats().total();
    assert_eq!((stats.loads, stats.fills), (2, 1), "one more load for all of them, and it fills");
    first.abort();
}

/// Instance B waits for the load of instance A: its leader asks for the lease again and again until an entry is there. Gives
/// what a second reader of B got, and how many gets B sent.
async fn read_that_waits_with_a_leader(
    world: &World,
    b: &Instance,
    while_answered: impl AsyncFnOnce(),
) -> Option<u64> {
    let a = world.instance();
    let fill = world.store.hold(Command::Fill);
    let first = a.spawn_find();
    fill.reached().await;
    let leader = b.spawn_find();
    until(|| world.store.count(Command::Lease) == 2).await;
    let early = b.spawn_find();
    b.missed(2).await;
    let answer = world.store.hold_reply(Command::Lease);
    fill.release();
    answer.reached().await;
    while_answered().await;
    let late = b.spawn_find();
    b.missed(3).await;
    answer.release();
    assert_eq!(promptly(first).await.unwrap(), Some(1));
    assert_eq!(promptly(leader).await.unwrap(), Some(1));
    assert_eq!(promptly(early).await.unwrap(), Some(1), "it came before the command that was answered");
    promptly(late).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_came_before_the_command_that_found_the_entry_takes_it_and_who_came_after_looks() {
    let world = World::new();
    let b = world.instance();
    let late =
        read_that_waits_with_a_leader(&world, &b, async || world.instance().write(2).await.unwrap()).await;
    assert_eq!(late, Some(2));
    assert_eq!(b.cache.stats().total().joined, 1);
}

#[tokio::test(start_paused = true)]
async fn control_whoever_takes_an_entry_found_before_it_came_is_stale() {
    let world = World::new();
    let b = world.with(world.builder().without(Rule::SealedFlights));
    let late =
        read_that_waits_with_a_leader(&world, &b, async || world.instance().write(2).await.unwrap()).await;
    assert_eq!(late, Some(1));
}

#[tokio::test(start_paused = true)]
async fn loaders_that_hang_do_not_make_others_hang() {
    let world = World::new();
    let a = world.instance();
    let hanging: Vec<_> = (1..=3)
        .map(|_| {
            let a = a.clone();
            tokio::spawn(async move { a.find_by(async || std::future::pending().await).await })
        })
        .collect();
    // The flight and, as they lose patience, two that overtake it.
    for _ in 0..1000 {
        world.clock.advance(Duration::from_millis(100));
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert_eq!(a.cache.stats().total().loads, 3);
    let healthy = a.spawn_find();
    assert_eq!(promptly(healthy).await.unwrap(), Some(1));
    hanging.iter().for_each(|task| task.abort());
}
