//! Loads inside loads, and what a loader says that cannot be meant.

use std::collections::HashMap;

use cache_core::{bypass, cached, loading};

use super::*;

#[derive(Clone)]
struct Prices {
    cache: Cache,
    source: Arc<Source>,
}

impl Prices {
    #[cached(key = "edge_page:<id>", ttl = "10s", stale_if_error = "1h")]
    async fn page(&self, id: u64) -> Result<u64, Failed> {
        let other = bypass(self.row(id + 1)).await?;
        Ok(self.source.load().await? * 100 + other)
    }

    #[cached(key = "edge_row:<id>", ttl = "1h", ttl_from = |_: &u64| SECOND, hard_timeout = "1h")]
    async fn row(&self, id: u64) -> Result<u64, Failed> {
        match loading::previous::<u64>() {
            Some(previous) => Ok(*previous.not_modified()),
            None => self.source.load().await,
        }
    }

    #[cached(key = "edge_pages:<id>", ttl = "10s", stale_if_error = "1h")]
    async fn pages(&self, id: u64) -> Result<u64, Failed> {
        let others = bypass(self.rows(&[id + 1])).await?;
        Ok(self.source.load().await? * 100 + others.values().sum::<u64>())
    }

    #[cached(key = "edge_rows:<id>", ttl = "1h", batch = ids)]
    async fn rows(&self, ids: &[u64]) -> Result<HashMap<u64, u64>, Failed> {
        let row = match loading::previous::<u64>() {
            Some(previous) => *previous.value,
            None => self.source.load().await?,
        };
        Ok(ids.iter().map(|id| (*id, row)).collect())
    }

    #[cached(key = "edge_inline:<id>", ttl = "10s", stale_while_revalidate = "1h", refresh = "inline")]
    async fn inline(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "over_inline:<id>", ttl = "10s")]
    async fn over_inline(&self, id: u64) -> Result<u64, Failed> {
        self.inline(id).await
    }

    #[cached(key = "edge_kept:<id>", ttl = "10s", stale_if_error = "1h")]
    async fn kept(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "edge_soft:<id>", ttl = "10s", stale_if_error = "1h", soft_timeout = "1h")]
    async fn soft(&self, id: u64) -> Result<u64, Failed> {
        self.kept(id).await
    }

    #[cached(key = "over_soft:<id>", ttl = "10s")]
    async fn over_soft(&self, id: u64) -> Result<u64, Failed> {
        self.soft(id).await
    }

    #[cached(key = "wordy:<id>", ttl = "1h")]
    async fn wordy(&self, id: u64) -> Result<u64, Failed> {
        loading::validator(&"é".repeat(40_000));
        self.source.load().await
    }

    #[cached(key = "edge_tagged:<id>", ttl = "10s", tags = ["tagged"], ttl_from = |_: &u64| 3600 * SECOND)]
    async fn tagged(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "panics:<id>", ttl = "10s", refresh_ahead = "50%")]
    async fn panics(&self, id: u64) -> u64 {
        let value = self.source.load().await.unwrap();
        assert_ne!(value, 13, "told to");
        value
    }
}

fn prices(world: &World) -> Prices {
    Prices { cache: world.cache(), source: world.source.clone() }
}

/// What a miss needs lies beside the caller's stack, so that a function carries little of those it calls.
#[tokio::test]
async fn a_call_carries_what_a_hit_needs_and_little_of_what_it_calls() {
    let world = World::new();
    let prices = prices(&world);
    let alone = size_of_val(&prices.kept(1));
    let nested = [size_of_val(&prices.soft(1)), size_of_val(&prices.over_soft(1))];
    let batch = size_of_val(&prices.rows(&[1]));
    assert!(nested[0] < alone + 500 && nested[1] < alone + 500, "{nested:?} bytes beside {alone}");
    assert!(alone < 3_000 && batch < 6_000, "{alone}, {batch} bytes");
}

/// Without a scope of its own the inner loader would find the outer one's value, and its lifetime would be the outer one's.
#[tokio::test]
async fn a_load_past_the_cache_is_no_part_of_the_load_around_it() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.page(1).await, Ok(101));
    world.passes(5);
    assert_eq!(prices.page(1).await, Ok(101));
    assert_eq!(world.loads(), 2, "the page lives as long as it says");
    world.source.becomes(2);
    world.passes(7);
    assert_eq!(prices.page(1).await, Ok(202));
}

#[tokio::test]
async fn a_batch_past_the_cache_is_no_part_of_the_load_around_it() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.pages(1).await, Ok(101));
    world.source.becomes(2);
    world.passes(12);
    assert_eq!(prices.pages(1).await, Ok(202));
}

#[tokio::test]
async fn what_is_made_of_a_stale_value_is_not_kept_though_its_caller_tried_to_load_it() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.over_inline(1).await, Ok(1));
    world.passes(12);
    world.source.fails.store(true, SeqCst);
    assert_eq!(prices.over_inline(1).await, Ok(1));
    let stats = prices.cache.stats().total();
    assert_eq!((stats.stale, stats.unkept, stats.fills), (1, 1, 2));
}

#[tokio::test]
async fn what_is_made_of_a_stale_value_is_not_kept_though_a_load_behind_its_back_brought_it() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.over_soft(1).await, Ok(1));
    world.passes(12);
    world.source.fails.store(true, SeqCst);
    assert_eq!(prices.over_soft(1).await, Ok(1));
    let stats = prices.cache.stats().total();
    assert_eq!((stats.stale, stats.unkept, stats.fills), (1, 2, 3));
}

#[tokio::test]
async fn a_validator_that_is_too_long_is_left_out_and_the_value_is_kept() {
    let world = World::new();
    let prices = prices(&world);
    for _ in 0..2 {
        assert_eq!(prices.wordy(1).await, Ok(1));
    }
    let stats = prices.cache.stats().total();
    assert_eq!((stats.loads, stats.undecodable), (1, 0));
}

/// The first lease is asked for before anybody has said how long values live.
#[tokio::test]
async fn from_the_second_load_on_tags_outlive_the_lifetime_that_the_value_says() {
    let world = World::new();
    let prices = prices(&world);
    for _ in 0..4 {
        assert_eq!(prices.tagged(1).await, Ok(1));
        world.passes(600);
    }
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn a_loader_that_panics_in_the_background_rests() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.panics(1).await, 1);
    world.passes(6);
    world.source.becomes(13);
    for _ in 0..10 {
        assert_eq!(prices.panics(1).await, 1);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(world.loads(), 2);
    world.source.becomes(2);
    world.passes(1);
    assert_eq!(prices.panics(1).await, 1);
    assert!(comes_true(|| prices.cache.stats().total().fills == 2).await, "its place is free again");
}
