//! Callers that join a running load.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::testkit::{Command, Rule};
use cache_core::{assert_loads, testkit};

use crate::gates::Point;
use crate::naive::Habit;
use crate::side::Side;
use crate::world::{Instance, World, until};

/// A load sees the old row, a write returns, and then a reader of the same instance joins the load (model row 14).
async fn join_a_load_from_before_the_write<S: Side>(a: &S, b: &S) -> Option<String> {
    let loaded = a.gates().hold(Point::Loaded);
    let first = a.spawn_find(1);
    loaded.reached().await;
    b.rename(1, "new").await;
    let second = a.spawn_find(1);
    a.missed(2).await;
    loaded.release();
    assert_eq!(first.await.unwrap().as_deref(), Some("old"), "it began before the write");
    second.await.unwrap()
}

#[tokio::test]
async fn a_load_from_before_a_write_is_not_shared_after_it() {
    let (a, b) = World::new().await.pair().await;
    assert_eq!(join_a_load_from_before_the_write(&a, &b).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn control_plain_single_flight_shares_it() {
    let (a, b) = World::new().await.naive(Habit::SingleFlight).await;
    assert_eq!(join_a_load_from_before_the_write(&a, &b).await.as_deref(), Some("old"));
}

#[tokio::test]
async fn control_without_sealed_flights_it_is_shared() {
    let world = World::new().await;
    let a = world.build(&world.redis, |builder| builder.without(Rule::SealedFlights)).await;
    let b = world.instance().await;
    assert_eq!(join_a_load_from_before_the_write(&a, &b).await.as_deref(), Some("old"));
}

/// The fill was accepted and dropped again by a write before its answer came (model row X1).
async fn arrive_while_an_outdated_fill_is_answered(a: &Instance, b: &Instance) -> Option<String> {
    let answer = a.store.hold_reply(Command::Fill);
    let first = a.spawn_find(1);
    answer.reached().await;
    b.rename(1, "new").await;
    let second = a.spawn_find(1);
    a.missed(2).await;
    answer.release();
    assert_eq!(first.await.unwrap().as_deref(), Some("old"), "it began before the write");
    second.await.unwrap()
}

#[tokio::test]
async fn who_arrives_while_an_outdated_fill_is_answered_loads_again() {
    let (a, b) = World::new().await.pair().await;
    assert_eq!(arrive_while_an_outdated_fill_is_answered(&a, &b).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn control_without_sealed_flights_who_arrives_late_gets_the_old_value() {
    let world = World::new().await;
    let a = world.build(&world.redis, |builder| builder.without(Rule::SealedFlights)).await;
    let b = world.instance().await;
    assert_eq!(arrive_while_an_outdated_fill_is_answered(&a, &b).await.as_deref(), Some("old"));
}

#[tokio::test]
async fn a_cold_miss_of_many_callers_on_two_instances_is_one_load() {
    let (a, b) = World::new().await.pair().await;
    let loaded = a.users.gates.hold(Point::Loaded);
    let first = a.spawn_find(1);
    loaded.reached().await;
    let answered = std::sync::Arc::new(AtomicU64::new(0));
    let others: Vec<_> = (0..100)
        .map(|n| {
            let (instance, answered) = (if n % 2 == 0 { a.clone() } else { b.clone() }, answered.clone());
            tokio::spawn(async move {
                let name = instance.name(1).await;
                answered.fetch_add(1, Ordering::SeqCst);
                name
            })
        })
        .collect();
    a.missed(51).await;
    b.missed(50).await;
    until("the other instance waits for the lease", async || b.store.count(Command::Lease) > 1).await;
    assert_eq!(answered.load(Ordering::SeqCst), 0);
    loaded.release();
    for other in others {
        assert_eq!(other.await.unwrap().as_deref(), Some("old"));
    }
    assert_eq!(first.await.unwrap().as_deref(), Some("old"));
    assert_eq!(testkit::loads_of(&[&a.cache, &b.cache]), 1);
    assert_loads!(0, [a.cache, b.cache], assert_eq!(b.name(1).await.as_deref(), Some("old")));
}
