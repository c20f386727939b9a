//! Gates that keep a cold instance out of service.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use cache_core::Cache;
use futures_util::{StreamExt, stream};

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_gate_opens_when_all_of_its_sets_are_warm() {
    let a = World::new().instance();
    let gate = a.cache.gate();
    assert!(gate.readiness().is_ready(), "it has no set yet");
    let (rows, others) = (gate.set("rows"), gate.set("others"));
    assert_eq!(gate.readiness().to_string(), "`rows` not begun; `others` not begun");
    a.cache.warm(stream::iter(0..10).map(|id| a.warm_find(id)), 4).opens(rows).run().await;
    assert_eq!(gate.readiness().to_string(), "`others` not begun");
    let waiter = tokio::spawn({
        let gate = gate.clone();
        async move { gate.opened_within(PATIENCE).await }
    });
    others.open();
    assert_eq!(waiter.await.unwrap(), Ok(()));
    assert_eq!((gate.readiness().is_ready(), gate.readiness().to_string()), (true, "ready".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_told_how_far_it_is() {
    let a = World::new().instance();
    let gate = a.cache.gate();
    let (rows, _others) = (gate.set("rows"), gate.set("others"));
    let run = a.cache.warm(stream::iter(0..1_000).map(|id| a.warm_find(id)), 1).opens(rows).run();
    let (told, ()) = tokio::join!(gate.opened_within(Duration::from_millis(105)), async {
        tokio::time::timeout(Duration::from_millis(200), run).await.unwrap_err();
    });
    let told = told.unwrap_err();
    assert_eq!(told.to_string(), "still cold after 105ms: `rows` 10 of 1000: 10 filled; `others` not begun");
    assert_eq!(gate.readiness().to_string(), "`rows` dropped before it was warm; `others` not begun");
}

#[tokio::test(start_paused = true)]
async fn a_bad_row_keeps_no_instance_out_and_a_bad_source_does() {
    let a = World::new().instance();
    let gate = a.cache.gate();
    a.cache.warm(stream::iter(-1..9).map(|id| a.warm_find(id)), 4).opens(gate.set("rows")).run().await;
    assert!(gate.readiness().is_ready());
    a.source.fails.store(true, SeqCst);
    a.cache.warm(stream::iter(10..20).map(|id| a.warm_find(id)), 4).opens(gate.set("rows")).run().await;
    assert_eq!(gate.readiness().to_string(), "`rows` ended cold, 10 of 10: 10 failed");
}

#[tokio::test(start_paused = true)]
async fn a_hot_set_opens_a_gate_here_and_in_the_instance_that_finds_it_done() {
    let world = World::new();
    for instance in [world.instance(), world.instance()] {
        let (gate, own) = (instance.cache.gate(), instance.clone());
        let calls = move || {
            let own = own.clone();
            stream::iter(0..5).map(move |id| {
                let own = own.clone();
                async move { own.warm_find(id).await }
            })
        };
        let set = instance.cache.hot_set("front page").opens(gate.set("front page")).refresh(calls);
        gate.opened_within(PATIENCE).await.unwrap();
        drop(set);
    }
    assert_eq!(world.loads(), 5);
}

#[tokio::test]
async fn with_the_cache_off_every_set_is_warm() {
    let gate = Cache::builder("warm").off().build().unwrap().gate();
    let _set = gate.set("rows");
    assert!(gate.readiness().is_ready());
}
