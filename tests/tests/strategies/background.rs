//! Loads that somebody else does: refresh-ahead, and what a function must be for it.

use cache_core::{KeyPart, cached};

use super::*;

#[derive(Clone)]
struct Prices {
    cache: Cache,
    source: Arc<Source>,
}

impl Prices {
    #[cached(key = "ahead:<id>:<name>:<parts>:<generic>", ttl = "10s", refresh_ahead = "80%")]
    async fn ahead<T>(&self, id: u64, name: &str, parts: &[i64], generic: T) -> Result<u64, Failed>
    where
        T: KeyPart + Clone + Send + Sync + 'static,
    {
        let _ = generic;
        self.source.seen.lock().unwrap().push(format!("{id} {name} {parts:?}"));
        self.source.load().await
    }

    #[cached(key = "moved:<name>", ttl = "10s", refresh_ahead = "80%")]
    async fn moved(&self, name: String) -> Result<u64, Failed> {
        self.source.seen.lock().unwrap().push(name);
        self.source.load().await
    }
}

#[cached(key = "free:<id>", ttl = "10s", refresh_ahead = "50%", ignores = [source])]
async fn free(cache: &Cache, id: u64, source: Arc<Source>) -> Result<u64, Failed> {
    source.load().await
}

#[tokio::test]
async fn after_its_share_of_the_lifetime_the_first_reader_has_it_loaded_behind_its_back() {
    let world = World::new();
    let prices = Prices { cache: world.cache(), source: world.source.clone() };
    let read = || prices.ahead(7, "a:b", &[1, 2], "x".to_owned());
    assert_eq!(read().await, Ok(1));
    world.source.becomes(2);
    world.passes(7);
    assert_eq!(read().await, Ok(1));
    tokio::task::yield_now().await;
    assert_eq!(world.loads(), 1, "too early");
    world.passes(1);
    assert_eq!(read().await, Ok(1), "nobody waits");
    assert!(comes_true(|| prices.cache.stats().total().fills == 2).await);
    world.passes(9);
    assert_eq!(read().await, Ok(2), "it has a lifetime of its own");
    assert_eq!(*world.source.seen.lock().unwrap(), ["7 a:b [1, 2]"; 2], "with the same arguments");
}

#[tokio::test]
async fn what_nobody_reads_is_not_loaded_again() {
    let world = World::new();
    let prices = Prices { cache: world.cache(), source: world.source.clone() };
    assert_eq!(prices.moved("a".into()).await, Ok(1));
    world.passes(100);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.loads(), 1);
}

#[tokio::test]
async fn a_body_may_move_what_the_background_needs_again() {
    let world = World::new();
    let prices = Prices { cache: world.cache(), source: world.source.clone() };
    assert_eq!(prices.moved("a".into()).await, Ok(1));
    world.passes(9);
    assert_eq!(prices.moved("a".into()).await, Ok(1));
    assert!(comes_true(|| world.loads() == 2).await);
    assert_eq!(*world.source.seen.lock().unwrap(), ["a", "a"]);
}

#[tokio::test]
async fn no_more_run_at_once_than_there_are_places() {
    let world = World::new();
    let cache = world.builder().background_loads(1).build().unwrap();
    let read = |id| free(&cache, id, world.source.clone());
    for id in [1, 2] {
        assert_eq!(read(id).await, Ok(1));
    }
    world.passes(6);
    world.source.closes();
    for id in [1, 2] {
        assert_eq!(read(id).await, Ok(1));
    }
    assert!(comes_true(|| world.loads() == 3).await);
    for _ in 0..10 {
        assert_eq!(read(2).await, Ok(1));
    }
    assert_eq!(world.loads(), 3, "the place is taken");
    world.source.opens();
    assert!(comes_true(|| cache.stats().total().fills == 3).await);
    assert_eq!(read(2).await, Ok(1));
    assert!(comes_true(|| world.loads() == 4).await);
}

#[tokio::test]
async fn a_load_that_fails_in_the_background_leaves_the_value_and_rests() {
    let world = World::new();
    let cache = world.cache();
    let read = || free(&cache, 1, world.source.clone());
    assert_eq!(read().await, Ok(1));
    world.passes(6);
    world.source.fails.store(true, SeqCst);
    assert_eq!(read().await, Ok(1));
    assert!(comes_true(|| cache.stats().total().load_errors == 1).await);
    for _ in 0..10 {
        assert_eq!(read().await, Ok(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(world.loads(), 2, "a failing loader is not hammered");
    world.passes(1);
    assert_eq!(read().await, Ok(1));
    assert!(comes_true(|| world.loads() == 3).await);
}
