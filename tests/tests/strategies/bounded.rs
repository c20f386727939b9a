//! `bounded`: what a write has just invalidated, for calls that ask for it.

use cache_core::{WriteError, bounded, cached, invalidates};

use super::*;

#[derive(Clone)]
struct Prices {
    cache: Cache,
    source: Arc<Source>,
}

impl Prices {
    #[cached(key = "kept:<id>", ttl = "1h", bounded = "30s")]
    async fn kept(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "inline:<id>", ttl = "1h", bounded = "30s", refresh = "inline")]
    async fn inline(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "named:<id>", profile = "config", refresh = "background")]
    async fn named(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "author:<id>", tags = ["author:<return.1>"], ttl = "1h", bounded = "30s")]
    async fn authored(&self, id: u64) -> Result<(u64, u64), Failed> {
        Ok((self.source.load().await?, 7))
    }

    #[invalidates(keys = ["kept:<id>", "inline:<id>", "named:<id>", "author:<id>"])]
    async fn set(&self, id: u64, value: u64) -> Result<(), WriteError> {
        let _ = id;
        self.source.becomes(value);
        Ok(())
    }

    #[invalidates(tag = "author:<author>")]
    async fn rename(&self, author: u64, value: u64) -> Result<(), WriteError> {
        let _ = author;
        self.source.becomes(value);
        Ok(())
    }
}

fn prices(world: &World) -> Prices {
    Prices { cache: world.cache(), source: world.source.clone() }
}

#[tokio::test]
async fn the_old_value_is_served_at_once_and_loaded_anew_behind_the_caller_s_back() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.kept(7).await, Ok(1));
    prices.set(7, 2).await.unwrap();
    world.source.closes();
    for _ in 0..10 {
        assert_eq!(bounded(prices.kept(7)).await, Ok(1), "it waits for nobody");
    }
    assert!(comes_true(|| world.loads() == 2).await, "one loads");
    world.source.opens();
    assert!(comes_true(|| prices.cache.stats().total().fills == 2).await);
    assert_eq!(bounded(prices.kept(7)).await, Ok(2));
    let stats = prices.cache.stats().total();
    assert_eq!((stats.loads, stats.bounded, stats.refreshes, stats.misses), (2, 10, 1, 1));
}

/// The load in the background holds a lease like any other: a write voids it.
#[tokio::test]
async fn what_was_loaded_behind_the_caller_s_back_before_the_next_write_is_not_stored() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.kept(7).await, Ok(1));
    prices.set(7, 2).await.unwrap();
    let fill = world.store.hold(cache_core::testkit::Command::Fill);
    assert_eq!(bounded(prices.kept(7)).await, Ok(1));
    fill.reached().await;
    prices.set(7, 3).await.unwrap();
    fill.release();
    assert!(comes_true(|| prices.cache.stats().total().fills_refused == 1).await);
    assert_eq!(prices.kept(7).await, Ok(3));
}

#[tokio::test]
async fn inline_the_first_caller_loads_and_the_others_are_served() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.inline(7).await, Ok(1));
    world.source.begun.notified().await;
    prices.set(7, 2).await.unwrap();
    world.source.closes();
    let first = tokio::spawn({
        let prices = prices.clone();
        async move { bounded(prices.inline(7)).await }
    });
    world.source.begun.notified().await;
    assert_eq!(bounded(prices.inline(7)).await, Ok(1));
    world.source.opens();
    assert_eq!(first.await.unwrap(), Ok(2));
    assert_eq!(prices.inline(7).await, Ok(2));
}

#[tokio::test]
async fn a_load_that_fails_leaves_the_old_value_to_the_end_of_its_window() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.inline(7).await, Ok(1));
    prices.set(7, 2).await.unwrap();
    world.source.fails.store(true, SeqCst);
    assert_eq!(bounded(prices.inline(7)).await, Ok(1), "it was tried");
    assert_eq!(bounded(prices.inline(7)).await, Ok(1), "and rests");
    assert_eq!(world.loads(), 2);
    assert_eq!(prices.inline(7).await, Err(Failed::Refused), "who did not ask for it gets the error");
    world.passes(30);
    assert_eq!(bounded(prices.inline(7)).await, Err(Failed::Refused));
}

#[tokio::test]
async fn a_profile_may_say_it() {
    let world = World::new();
    let profiles = serde_json::from_str(r#"{ "config": { "ttl": "1h", "bounded": "30s" } }"#).unwrap();
    let cache = world.builder().profiles(profiles).build().unwrap();
    let prices = Prices { cache, source: world.source.clone() };
    assert_eq!(prices.named(7).await, Ok(1));
    prices.set(7, 2).await.unwrap();
    world.source.closes();
    assert_eq!(bounded(prices.named(7)).await, Ok(1));
    world.source.opens();

    let profiles = serde_json::from_str(r#"{ "config": { "ttl": "1h", "bounded": "2h" } }"#);
    let error = profiles.map(|profiles: cache_core::policy::Profiles| drop(profiles)).unwrap_err();
    assert!(error.to_string().contains("`bounded` is longer than a value lives"), "{error}");
}

/// The tag is known from the value alone, and so is that it has moved.
#[tokio::test]
async fn what_a_tag_of_the_value_invalidated_counts_from_when_it_was_loaded() {
    for (passed, is) in [(29, 1), (30, 2)] {
        let world = World::new();
        let prices = prices(&world);
        // The first load learns the tag, the second stores.
        assert_eq!((prices.authored(1).await, prices.authored(1).await), (Ok((1, 7)), Ok((1, 7))));
        world.passes(passed);
        prices.rename(7, 2).await.unwrap();
        assert_eq!(bounded(prices.authored(1)).await, Ok((is, 7)), "{passed} s after it was loaded");
    }
}

#[tokio::test]
async fn dropped_by_a_write_a_value_with_tags_of_its_own_is_kept_from_that_moment() {
    for (renamed, is) in [(false, 1), (true, 3)] {
        let world = World::new();
        let prices = prices(&world);
        assert_eq!((prices.authored(1).await, prices.authored(1).await), (Ok((1, 7)), Ok((1, 7))));
        world.passes(600);
        if renamed {
            prices.rename(7, 2).await.unwrap();
        }
        prices.set(1, 3).await.unwrap();
        assert_eq!(bounded(prices.authored(1)).await, Ok((is, 7)), "renamed before: {renamed}");
    }
}
