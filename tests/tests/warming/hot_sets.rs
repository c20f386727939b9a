//! Sets that one instance reloads on schedule.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache_core::testkit::Command;
use cache_core::warm::HotSet;
use futures_util::{StreamExt, stream};

use crate::world::{Instance, World};

const PERIOD: Duration = Duration::from_secs(60);
const IDS: std::ops::Range<i64> = 0..10;

fn hot(instance: &Instance) -> HotSet {
    let own = instance.clone();
    let calls = move || {
        let own = own.clone();
        stream::iter(IDS).map(move |id| {
            let own = own.clone();
            async move { own.warm_find(id).await }
        })
    };
    instance.cache.hot_set("front page").every(PERIOD).concurrency(3).refresh(calls).unwrap()
}

/// Lets a period pass for everybody, and the round that begins at its end. In steps, so that the stopped clock and tokio's agree
/// whenever something looks at both.
async fn a_period(world: &World) {
    for _ in 0..60 {
        world.pass(PERIOD / 60).await;
    }
    world.pass(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_round_at_once_and_one_each_period_reload_what_stands() {
    let world = World::new();
    let a = world.instance();
    let set = hot(&a);
    assert_eq!(set.next_round().await.unwrap().filled, 10);
    a.source.value.store(1_000, SeqCst);
    a_period(&world).await;
    assert_eq!((set.rounds(), set.last().unwrap().filled), (2, 10));
    let loads = world.loads();
    assert_eq!((a.find(3).await, loads), (Ok(Some(1_003)), 20));
    assert!(a.source.most.load(SeqCst) <= 3, "three at once were allowed");
}

#[tokio::test(start_paused = true)]
async fn one_of_two_instances_does_each_round() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let (one, other) = (hot(&a), hot(&b));
    for _ in 0..5 {
        a_period(&world).await;
    }
    assert_eq!(one.rounds() + other.rounds(), 6);
    assert_eq!(world.loads(), 60);
    assert!(one.looks() + other.looks() >= 5);
}

#[tokio::test(start_paused = true)]
async fn another_instance_takes_over_within_two_periods() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let one = hot(&a);
    one.next_round().await.unwrap();
    world.pass(PERIOD / 3).await;
    let other = hot(&b);
    drop(one);
    let mut periods = 0;
    while other.rounds() == 0 {
        a_period(&world).await;
        periods += 1;
        assert!(periods <= 2, "nobody took over");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_ends_it_and_gives_the_turn_back() {
    let world = World::new();
    let a = world.instance();
    let set = hot(&a);
    while world.loads() == 0 {
        tokio::task::yield_now().await;
    }
    drop(set);
    // The leases of the three entries that were being loaded, and the turn.
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.store.count(Command::Release), 4);
    // The turn was given back in the middle of the round: another instance need not wait for it to lapse.
    let b = world.instance();
    let other = hot(&b);
    let round = tokio::time::timeout(Duration::from_secs(1), other.next_round()).await;
    assert_eq!(round.unwrap().unwrap().done, 10);
    drop(other);
    let loads = world.loads();
    a_period(&world).await;
    assert_eq!(world.loads(), loads, "it goes on");
}

#[tokio::test(start_paused = true)]
async fn what_fails_keeps_its_entry_until_the_next_period() {
    let world = World::new();
    let a = world.instance();
    let set = hot(&a);
    set.next_round().await.unwrap();
    a.source.fails.store(true, SeqCst);
    a_period(&world).await;
    assert_eq!(set.last().unwrap().failed, 10);
    assert_eq!(a.find(3).await, Ok(Some(3)));
    a.source.fails.store(false, SeqCst);
    a_period(&world).await;
    assert_eq!(set.last().unwrap().filled, 10);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_nothing_is_loaded_for_nothing() {
    let world = World::new();
    let a = world.instance();
    let set = hot(&a);
    set.next_round().await.unwrap();
    world.store.down();
    a_period(&world).await;
    assert_eq!((set.rounds(), world.loads()), (1, 10));
    world.store.up();
    a_period(&world).await;
    assert_eq!(set.rounds(), 2);
}

#[tokio::test]
async fn a_period_of_zero_is_refused_in_one_line() {
    let a = World::new().instance();
    let set = a.cache.hot_set("front page").every(Duration::ZERO);
    let error = set.refresh(stream::empty::<std::future::Ready<cache_core::Warmed>>).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the hot set `front page` has a period of 0ns: write for example `.every(Duration::from_secs(60))`"
    );
}

#[test]
fn outside_of_a_runtime_it_is_refused_in_one_line() {
    let a = World::new().instance();
    let set = a.cache.hot_set("front page");
    let error = set.refresh(stream::empty::<std::future::Ready<cache_core::Warmed>>).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the hot set `front page` begins outside of a tokio runtime: call `refresh` in async code"
    );
}
