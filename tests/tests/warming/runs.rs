//! Runs over streams of calls.

use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache_core::warm::Progress;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_run_fills_all_and_says_what_became_of_each() {
    let world = World::new();
    let a = world.instance();
    a.warm_find(3).await;
    let progress = a.cache.warm(stream::iter([1, 2, 3, -1]).map(|id| a.warm_find(id)), 2).run().await;
    let told = (progress.filled, progress.present, progress.failed, progress.done, progress.position);
    assert_eq!(told, (2, 1, 1, 4, 4));
    assert_eq!(progress.to_string(), "4 of 4: 2 filled, 1 present, 1 failed");
    a.find(1).await.unwrap();
    assert_eq!(world.loads(), 4);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_run_at_once_than_were_asked_for() {
    for wanted in [1, 3, 16] {
        let a = World::new().instance();
        a.cache.warm(stream::iter(0..100).map(|id| a.warm_find(id)), wanted).run().await;
        assert_eq!(a.source.most.load(SeqCst), u64::try_from(wanted).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_begin_a_second_than_were_asked_for() {
    for (rate, calls) in [(5, 11), (50, 101), (1_000, 2_001)] {
        let a = World::new().instance();
        let begin = Instant::now();
        a.cache.warm(stream::iter(0..calls).map(|id| a.warm_find(id)), 1_000).rate(rate).run().await;
        let took = begin.elapsed().as_secs_f64();
        assert!((1.9..=2.2).contains(&took), "{calls} calls at {rate} a second took {took} s of paused time");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_run_goes_on_where_it_was() {
    let world = World::new();
    let a = world.instance();
    let last = Mutex::new(Progress::default());
    let calls = || stream::iter(0..100).map(|id| a.warm_find(id));
    let note = |progress: &Progress| *last.lock().unwrap() = *progress;
    let run = a.cache.warm(calls(), 4).on_progress(note).run();
    tokio::time::timeout(Duration::from_millis(105), run).await.unwrap_err();
    let position = last.lock().unwrap().position;
    assert_eq!((position, world.loads()), (40, 44), "ten rounds of four ended, and four calls were dropped");

    let rest = a.cache.warm(calls(), 4).from(position).run().await;
    assert_eq!((rest.done, rest.filled, rest.position), (60, 60, 100));
    assert_eq!(rest.total_hint, Some(100));
    for id in 0..100 {
        a.find(id).await.unwrap();
    }
    assert_eq!(world.loads(), 104, "every entry was there");
}

#[tokio::test(start_paused = true)]
async fn two_instances_that_warm_one_set_share_the_loads() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let run = async |instance: &crate::world::Instance| {
        instance.cache.warm(stream::iter(0..20).map(|id| instance.warm_find(id)), 4).run().await
    };
    let (one, other) = tokio::join!(run(&a), run(&b));
    assert_eq!((one.filled + other.filled, world.loads()), (20, 20));
    assert_eq!(one.present + other.present, 20);
}

#[tokio::test(start_paused = true)]
async fn with_the_cache_off_nothing_runs() {
    let world = World::new();
    let cache = cache_core::Cache::builder("warm").off().build().unwrap();
    let a = crate::world::Instance { cache, ..world.instance() };
    let progress = a.cache.warm(stream::iter(0..20).map(|id| a.warm_find(id)), 4).run().await;
    assert_eq!((progress.done, world.loads()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_run_may_be_spawned() {
    let a = World::new().instance();
    let run = async move {
        let calls = stream::iter(0..3).map(|id| a.warm_find(id));
        a.cache.warm(calls, 2).run().await
    };
    assert_eq!(tokio::spawn(run).await.unwrap().filled, 3);
}
