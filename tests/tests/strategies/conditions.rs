//! What is kept, for how long, and what a loader may say about it.

use cache_core::{cached, loading};

use super::*;

#[derive(Clone)]
struct Prices {
    cache: Cache,
    source: Arc<Source>,
}

/// Why there is no price. It says too little: one that came too late looks as if there were none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Missing {
    NotFound,
}

impl From<LoadTimeout> for Missing {
    fn from(_: LoadTimeout) -> Self {
        Self::NotFound
    }
}

impl Prices {
    #[cached(key = "timed:<id>", ttl = "1h", ttl_from = |price: &u64| *price as u32 * SECOND)]
    async fn timed(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "even:<id>", ttl = "1h", unless = |price: &u64| price % 2 == 1)]
    async fn even(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "only_even:<id>", ttl = "1h", only_if = |price: &u64| price.is_multiple_of(2))]
    async fn only_even(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "small:<id>", ttl = "1h", only_if = id < 10, unless = id == 3)]
    async fn small(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "skipped:<id>", ttl = "1h")]
    async fn skipped(&self, id: u64) -> Result<u64, Failed> {
        let price = self.source.load().await?;
        if price == 1 {
            loading::skip();
        }
        Ok(price)
    }

    #[cached(key = "over_skipped:<id>", ttl = "1h")]
    async fn over_skipped(&self, id: u64) -> Result<u64, Failed> {
        self.skipped(id).await
    }

    #[cached(key = "late:<id>", ttl = "1h", hard_timeout = "2s", cache_err = Missing::NotFound)]
    async fn late(&self, id: u64) -> Result<u64, Missing> {
        self.source.load().await.map_err(|_| Missing::NotFound)
    }

    #[cached(key = "absent:<id>", ttl = "1h", negative_ttl = "30s", cache_err = Failed::NotFound)]
    async fn absent(&self, id: u64) -> Result<u64, Failed> {
        match self.source.load().await? {
            0 => Err(Failed::NotFound),
            price => Ok(price),
        }
    }

    #[cached(key = "page:<id>", ttl = "10s", stale_if_error = "1h")]
    async fn page(&self, id: u64) -> Result<Arc<Vec<u64>>, Failed> {
        let now = self.source.load().await?;
        let text = format!("etag-{now}");
        if let Some(previous) = loading::previous::<Vec<u64>>()
            && previous.validator.as_deref() == Some(&*text)
        {
            self.source.seen.lock().unwrap().push(format!("not modified for {:?}", previous.age));
            return Ok(previous.not_modified());
        }
        self.source.seen.lock().unwrap().push("modified".into());
        loading::validator(&text);
        Ok(Arc::new(vec![now]))
    }
}

fn prices(world: &World) -> Prices {
    Prices { cache: world.cache(), source: world.source.clone() }
}

#[tokio::test]
async fn a_lifetime_may_come_from_the_value() {
    let world = World::new();
    let prices = prices(&world);
    world.source.becomes(5);
    assert_eq!(prices.timed(7).await, Ok(5));
    world.passes(4);
    assert_eq!(prices.timed(7).await, Ok(5));
    assert_eq!(world.loads(), 1);
    world.passes(1);
    assert_eq!(prices.timed(7).await, Ok(5));
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn what_a_condition_on_the_value_refuses_is_handed_out_and_not_stored() {
    let world = World::new();
    let prices = prices(&world);
    for _ in 0..2 {
        assert_eq!((prices.even(7).await, prices.only_even(7).await), (Ok(1), Ok(1)));
    }
    assert_eq!(world.loads(), 4);
    world.source.becomes(2);
    for _ in 0..2 {
        assert_eq!((prices.even(7).await, prices.only_even(7).await), (Ok(2), Ok(2)));
    }
    assert_eq!(world.loads(), 6);
    assert_eq!(prices.cache.stats().total().unkept, 4);
}

#[tokio::test]
async fn a_condition_on_the_arguments_runs_past_the_cache() {
    let world = World::new();
    let prices = prices(&world);
    for id in [3, 3, 11, 11, 7, 7] {
        assert_eq!(prices.small(id).await, Ok(1));
    }
    let stats = prices.cache.stats().total();
    assert_eq!((stats.bypasses, stats.loads, stats.hits), (4, 1, 1));
}

#[tokio::test]
async fn a_loader_may_say_that_its_value_is_not_to_be_stored() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.skipped(7).await, Ok(1));
    world.source.becomes(2);
    assert_eq!(prices.skipped(7).await, Ok(2));
    world.source.becomes(3);
    assert_eq!(prices.skipped(7).await, Ok(2), "this was stored");
}

#[tokio::test]
async fn a_value_that_is_not_to_be_kept_is_not_kept_by_those_who_waited_for_it_either() {
    let world = World::new();
    let prices = prices(&world);
    let lease = world.store.hold(cache_core::testkit::Command::Lease);
    let leader = tokio::spawn({
        let prices = prices.clone();
        async move { prices.skipped(7).await }
    });
    lease.reached().await;
    let joiner = tokio::spawn({
        let prices = prices.clone();
        async move { prices.over_skipped(7).await }
    });
    assert!(comes_true(|| prices.cache.stats().total().misses == 3).await);
    lease.release();
    assert_eq!((leader.await.unwrap(), joiner.await.unwrap()), (Ok(1), Ok(1)));
    let [inner, outer] = ["skipped:<id>", "over_skipped:<id>"].map(|of| prices.cache.stats().of(of));
    assert_eq!((inner.joined, inner.fills, outer.fills, outer.unkept), (1, 0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_was_late_is_not_remembered_as_an_absence() {
    let world = World::new();
    let prices = prices(&world);
    world.source.closes();
    assert_eq!(prices.late(7).await, Err(Missing::NotFound));
    world.source.opens();
    assert_eq!(prices.late(7).await, Ok(1));
    assert_eq!(prices.cache.stats().total().negative_hits, 0);
}

#[tokio::test]
async fn only_the_error_that_is_named_is_remembered() {
    let world = World::new();
    let prices = prices(&world);
    world.source.becomes(0);
    for _ in 0..3 {
        assert_eq!(prices.absent(7).await, Err(Failed::NotFound));
    }
    let stats = prices.cache.stats().total();
    assert_eq!((stats.loads, stats.negative_hits), (1, 2));
    world.passes(30);
    world.source.fails.store(true, SeqCst);
    for _ in 0..3 {
        assert_eq!(prices.absent(7).await, Err(Failed::Refused));
    }
    assert_eq!(world.loads(), 4, "no other error is");
    world.source.fails.store(false, SeqCst);
    world.source.becomes(5);
    assert_eq!((prices.absent(7).await, prices.absent(7).await), (Ok(5), Ok(5)));
}

#[tokio::test]
async fn a_loader_sees_what_stands_and_may_say_that_it_was_not_modified() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.page(7).await.unwrap().as_slice(), [1]);
    world.passes(60);
    assert_eq!(prices.page(7).await.unwrap().as_slice(), [1]);
    world.passes(5);
    assert_eq!(prices.page(7).await.unwrap().as_slice(), [1]);
    assert_eq!(world.loads(), 2, "the same value for another lifetime");
    world.passes(60);
    world.source.becomes(2);
    assert_eq!(prices.page(7).await.unwrap().as_slice(), [2]);
    let seen = world.source.seen.lock().unwrap().clone();
    assert_eq!(seen, ["modified", "not modified for 60s", "modified"]);
}
