//! What a caller does while somebody else loads, and how long a load may take.

use cache_core::cached;

use super::*;

#[derive(Clone)]
struct Prices {
    cache: Cache,
    source: Arc<Source>,
}

impl Prices {
    #[cached(key = "none:<id>", ttl = "10s", stampede = "none")]
    async fn none(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "flight:<id>", ttl = "10s", stampede = "flight")]
    async fn flight(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "bounded:<id>", ttl = "10s", on_wait = "wait(300ms)")]
    async fn bounded(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "stale:<id>", ttl = "10s", stale_if_error = "1h", on_wait = "stale")]
    async fn stale(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "load:<id>", ttl = "10s", on_wait = "load")]
    async fn load(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "hard:<id>", ttl = "10s", hard_timeout = "2s")]
    async fn hard(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[cached(key = "both:<id>", ttl = "10s", stale_if_error = "1h", hard_timeout = "2s")]
    async fn both(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }
}

fn two(world: &World) -> [Prices; 2] {
    [(), ()].map(|()| Prices { cache: world.cache(), source: world.source.clone() })
}

/// Starts a read that waits in its load.
macro_rules! begun {
    ($world:expr, $prices:expr, $read:ident) => {{
        $world.source.closes();
        let before = $world.loads();
        let prices = $prices.clone();
        let read = tokio::spawn(async move { prices.$read(7).await });
        assert!(comes_true(|| $world.loads() == before + 1).await);
        read
    }};
}

#[tokio::test]
async fn with_none_everybody_loads_and_one_fills() {
    let world = World::new();
    let [here, there] = two(&world);
    let first = begun!(world, here, none);
    let second = begun!(world, here, none);
    let third = begun!(world, there, none);
    world.source.opens();
    for read in [first, second, third] {
        assert_eq!(read.await.unwrap(), Ok(1));
    }
    let fills = here.cache.stats().total().fills + there.cache.stats().total().fills;
    assert_eq!((world.loads(), fills), (3, 1));
}

#[tokio::test]
async fn with_a_flight_each_process_loads_once() {
    let world = World::new();
    let [here, there] = two(&world);
    let first = begun!(world, here, flight);
    let joiner = tokio::spawn({
        let here = here.clone();
        async move { here.flight(7).await }
    });
    let other = begun!(world, there, flight);
    assert!(comes_true(|| here.cache.stats().total().misses == 2).await);
    world.source.opens();
    for read in [first, joiner, other] {
        assert_eq!(read.await.unwrap(), Ok(1));
    }
    assert_eq!(world.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_wait_ends_in_a_load() {
    let world = World::new();
    let [here, there] = two(&world);
    let first = begun!(world, here, bounded);
    let since = tokio::time::Instant::now();
    let ticking = tokio::spawn({
        let clock = world.clock.clone();
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                clock.advance(Duration::from_millis(10));
            }
        }
    });
    let second = tokio::spawn(async move { there.bounded(7).await });
    while world.loads() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_millis(500), "{waited:?}");
    ticking.abort();
    world.source.opens();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(1), Ok(1)));
}

#[tokio::test]
async fn who_may_take_a_stale_value_does_not_wait() {
    let world = World::new();
    let [here, there] = two(&world);
    assert_eq!(here.stale(7).await, Ok(1));
    world.passes(60);
    world.source.becomes(2);
    let first = begun!(world, here, stale);
    assert_eq!(here.stale(7).await, Ok(1), "in the same process");
    assert_eq!(there.stale(7).await, Ok(1), "in another one");
    world.source.opens();
    assert_eq!(first.await.unwrap(), Ok(2));
    assert_eq!(there.stale(7).await, Ok(2));
}

#[tokio::test]
async fn who_loads_instead_does_not_wait_either_and_does_not_fill() {
    let world = World::new();
    let [here, there] = two(&world);
    let first = begun!(world, here, load);
    let second = begun!(world, here, load);
    let third = begun!(world, there, load);
    world.source.opens();
    for read in [first, second, third] {
        assert_eq!(read.await.unwrap(), Ok(1));
    }
    let fills = here.cache.stats().total().fills + there.cache.stats().total().fills;
    assert_eq!((world.loads(), fills), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn past_the_hard_timeout_there_is_an_error() {
    let world = World::new();
    let [here, _] = two(&world);
    world.source.closes();
    assert_eq!(here.hard(7).await, Err(Failed::Late));
    assert_eq!(here.cache.stats().total().load_timeouts, 1);
    world.source.opens();
    assert_eq!(here.hard(7).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn past_the_hard_timeout_a_value_that_is_kept_is_served() {
    let world = World::new();
    let [here, _] = two(&world);
    assert_eq!(here.both(7).await, Ok(1));
    world.passes(60);
    world.source.closes();
    assert_eq!(here.both(7).await, Ok(1));
    assert_eq!(here.cache.stats().total().load_timeouts, 1);
}
