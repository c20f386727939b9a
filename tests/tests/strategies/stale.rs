//! Values whose lifetime is over: served while they are loaded anew, or if that fails; never past a write.

use cache_core::{WriteError, cached, invalidates};

use super::*;

#[derive(Clone)]
struct Prices {
    cache: Cache,
    source: Arc<Source>,
}

impl Prices {
    #[cached(key = "renewed:<id>", ttl = "10s", stale_while_revalidate = "5s")]
    async fn renewed(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "inline:<id>", ttl = "10s", stale_while_revalidate = "5s", refresh = "inline")]
    async fn inline(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "kept:<id>", ttl = "10s", stale_if_error = "1h")]
    async fn kept(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "soft:<id>", ttl = "10s", stale_if_error = "1h", soft_timeout = "100ms")]
    async fn soft(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "outer:<id>", ttl = "1h")]
    async fn outer(&self, id: u64) -> Result<u64, Failed> {
        self.kept(id).await
    }

    #[invalidates(keys = ["renewed:<id>", "inline:<id>", "kept:<id>", "soft:<id>", "outer:<id>"])]
    async fn set(&self, id: u64, value: u64) -> Result<(), WriteError> {
        let _ = id;
        self.source.becomes(value);
        Ok(())
    }
}

fn prices(world: &World) -> Prices {
    Prices { cache: world.cache(), source: world.source.clone() }
}

#[tokio::test]
async fn a_stale_value_is_served_at_once_and_loaded_anew_behind_the_callers_back() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.renewed(7).await, Ok(1));
    world.source.becomes(2);
    world.passes(12);
    assert_eq!(prices.renewed(7).await, Ok(1), "stale, served");
    assert!(comes_true(|| prices.cache.stats().total().fills == 2).await);
    assert_eq!(prices.renewed(7).await, Ok(2), "renewed");
    let stats = prices.cache.stats().total();
    assert_eq!((stats.loads, stats.stale, stats.refreshes), (2, 1, 1));
}

#[tokio::test]
async fn past_its_window_a_value_is_a_miss() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.renewed(7).await, Ok(1));
    world.source.becomes(2);
    world.passes(15);
    assert_eq!(prices.renewed(7).await, Ok(2));
    assert_eq!(prices.cache.stats().total().stale, 0);
}

#[tokio::test]
async fn a_write_ends_the_window_at_once() {
    let world = World::new();
    let prices = prices(&world);
    for read in 0..2 {
        assert_eq!(prices.renewed(7).await, Ok(1 + read));
        assert_eq!(prices.kept(7).await, Ok(1 + read));
        world.passes(12);
        prices.set(7, 2 + read).await.unwrap();
        world.source.fails.store(true, SeqCst);
        assert_eq!(prices.renewed(7).await, Err(Failed::Refused), "the old value is gone");
        assert_eq!(prices.kept(7).await, Err(Failed::Refused), "for this, too");
        world.source.fails.store(false, SeqCst);
    }
}

/// A load that began before the write, in the background, does not fill.
#[tokio::test]
async fn what_was_loaded_behind_a_write_is_not_stored() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.renewed(7).await, Ok(1));
    world.passes(12);
    let fill = world.store.hold(cache_core::testkit::Command::Fill);
    assert_eq!(prices.renewed(7).await, Ok(1));
    fill.reached().await;
    prices.set(7, 2).await.unwrap();
    fill.release();
    assert!(comes_true(|| prices.cache.stats().total().fills_refused == 1).await);
    assert_eq!(prices.renewed(7).await, Ok(2));
}

#[tokio::test]
async fn of_many_readers_of_a_stale_value_one_loads() {
    let world = World::new();
    let (here, there) = (prices(&world), prices(&world));
    assert_eq!(here.renewed(7).await, Ok(1));
    world.passes(12);
    world.source.closes();
    for _ in 0..10 {
        assert_eq!(here.renewed(7).await, Ok(1));
        assert_eq!(there.renewed(7).await, Ok(1));
    }
    assert!(comes_true(|| world.loads() == 2).await);
    for _ in 0..10 {
        assert_eq!(here.renewed(7).await, Ok(1));
        assert_eq!(there.renewed(7).await, Ok(1));
    }
    world.source.opens();
    assert!(comes_true(|| here.cache.stats().total().fills + there.cache.stats().total().fills == 2).await);
    assert_eq!(world.loads(), 2, "one here or there, all in all");
}

/// Both have read the stale value; one has loaded before the other asks for its lease.
#[tokio::test]
async fn who_was_slower_finds_that_it_was_loaded_already() {
    let world = World::new();
    let (here, there) = (prices(&world), prices(&world));
    assert_eq!(here.renewed(7).await, Ok(1));
    world.passes(12);
    let lease = world.store.hold(cache_core::testkit::Command::Lease);
    assert_eq!(there.renewed(7).await, Ok(1));
    lease.reached().await;
    assert_eq!(here.renewed(7).await, Ok(1));
    assert!(comes_true(|| here.cache.stats().total().fills == 2).await);
    lease.release();
    let is_over = || async { there.renewed(7).await.is_ok() && world.loads() == 2 };
    for _ in 0..20 {
        assert!(is_over().await, "it is loaded once");
        tokio::task::yield_now().await;
    }
    assert_eq!(there.cache.stats().total().refreshes, 0);
}

#[tokio::test]
async fn inline_one_caller_loads_and_the_others_are_served() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.inline(7).await, Ok(1));
    world.source.becomes(2);
    world.passes(12);
    world.source.closes();
    let first = tokio::spawn({
        let prices = prices.clone();
        async move { prices.inline(7).await }
    });
    world.source.begun.notified().await;
    world.source.begun.notified().await;
    assert_eq!(prices.inline(7).await, Ok(1), "stale, served");
    world.source.opens();
    assert_eq!(first.await.unwrap(), Ok(2), "who was elected has loaded");
    assert_eq!(prices.inline(7).await, Ok(2));
}

#[tokio::test]
async fn a_value_is_kept_for_the_case_that_its_loader_fails() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.kept(7).await, Ok(1));
    world.passes(60);
    world.source.fails.store(true, SeqCst);
    assert_eq!(prices.kept(7).await, Ok(1));
    assert_eq!(world.loads(), 2, "it was tried");
    for _ in 0..5 {
        assert_eq!(prices.kept(7).await, Ok(1));
    }
    assert_eq!(world.loads(), 2, "and is left alone for a second");
    world.passes(1);
    world.source.becomes(3);
    world.source.fails.store(false, SeqCst);
    assert_eq!(prices.kept(7).await, Ok(3));
    assert_eq!(prices.cache.stats().total().stale, 6);
}

#[tokio::test]
async fn without_a_value_a_failure_is_the_callers() {
    let world = World::new();
    let prices = prices(&world);
    world.source.fails.store(true, SeqCst);
    assert_eq!(prices.kept(7).await, Err(Failed::Refused));
    world.source.fails.store(false, SeqCst);
    assert_eq!(prices.kept(7).await, Ok(1));
    world.source.fails.store(true, SeqCst);
    world.passes(3700);
    assert_eq!(prices.kept(7).await, Err(Failed::Refused), "past its window");
}

#[tokio::test(start_paused = true)]
async fn past_the_soft_timeout_the_stale_value_is_served_and_the_load_goes_on_and_fills() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.soft(7).await, Ok(1));
    world.passes(60);
    world.source.becomes(2);
    world.source.closes();
    assert_eq!(prices.soft(7).await, Ok(1), "the load takes too long");
    assert_eq!(prices.cache.stats().total().soft_timeouts, 1);
    world.source.opens();
    assert!(comes_true(|| prices.cache.stats().total().fills == 2).await);
    assert_eq!(prices.soft(7).await, Ok(2));
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn within_the_soft_timeout_the_loaded_value_is_served() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.soft(7).await, Ok(1));
    world.passes(60);
    world.source.becomes(2);
    assert_eq!(prices.soft(7).await, Ok(2));
    assert_eq!(prices.cache.stats().total().stale, 0);
}

/// What was made of a stale value would outlive its window.
#[tokio::test]
async fn what_is_made_of_a_stale_value_is_not_stored() {
    let world = World::new();
    let prices = prices(&world);
    assert_eq!(prices.kept(7).await, Ok(1));
    world.passes(60);
    world.source.fails.store(true, SeqCst);
    assert_eq!(prices.outer(7).await, Ok(1));
    assert_eq!(prices.cache.stats().of("outer:<id>").fills, 0);
    assert_eq!(prices.cache.stats().of("outer:<id>").unkept, 1);
    world.source.fails.store(false, SeqCst);
    world.source.becomes(2);
    world.passes(1);
    assert_eq!(prices.outer(7).await, Ok(2));
    assert_eq!(prices.cache.stats().of("outer:<id>").fills, 1);
}
