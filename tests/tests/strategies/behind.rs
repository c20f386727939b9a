//! What loads in the background owe to those who wait for them, to those who caused them, and to the places they take.

use std::thread::{self, ThreadId};

use cache_core::testkit::Command;
use cache_core::{WriteError, cached, invalidates};
use tokio::time::sleep;
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use super::*;

#[derive(Clone)]
struct Prices {
    cache: Cache,
    source: Arc<Source>,
}

impl Prices {
    #[cached(key = "behind_soft:<id>", ttl = "10s", stale_if_error = "1h", soft_timeout = "100ms")]
    async fn soft(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }

    #[invalidates(keys = ["behind_soft:<id>"])]
    async fn set(&self, id: u64) -> Result<(), WriteError> {
        let _ = id;
        Ok(())
    }

    #[cached(key = "behind_ahead:<id>", ttl = "10s", refresh_ahead = "50%")]
    async fn ahead(&self, id: u64) -> Result<u64, Failed> {
        self.source.load().await
    }
}

fn prices(world: &World) -> Prices {
    Prices { cache: world.cache(), source: world.source.clone() }
}

fn spawned(prices: &Prices) -> tokio::task::JoinHandle<Result<u64, Failed>> {
    let prices = prices.clone();
    tokio::spawn(async move { prices.soft(7).await })
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_while_a_load_runs_waits_for_it_as_long_as_the_first_one() {
    let world = World::new();
    let (here, there) = (prices(&world), prices(&world));
    assert_eq!(here.soft(7).await, Ok(1));
    world.passes(60);
    world.source.becomes(2);
    world.source.closes();
    let first = spawned(&here);
    assert!(comes_true(|| world.loads() == 2).await);
    let others = [spawned(&here), spawned(&there)];
    sleep(Duration::from_millis(50)).await;
    assert!(others.iter().all(|other| !other.is_finished()));
    world.source.opens();
    for read in [first].into_iter().chain(others) {
        assert_eq!(read.await.unwrap(), Ok(2));
    }
    assert_eq!((world.loads(), here.cache.stats().total().joined), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_while_a_load_runs_waits_no_longer_than_the_soft_timeout() {
    let world = World::new();
    let (here, there) = (prices(&world), prices(&world));
    assert_eq!(here.soft(7).await, Ok(1));
    world.passes(60);
    world.source.closes();
    let since = tokio::time::Instant::now();
    let reads = [spawned(&here), spawned(&here), spawned(&there)];
    for read in reads {
        assert_eq!(read.await.unwrap(), Ok(1));
    }
    assert!(since.elapsed() <= Duration::from_millis(101), "{:?}", since.elapsed());
    let timeouts = [&here, &there].map(|prices| prices.cache.stats().total().soft_timeouts);
    assert_eq!((timeouts, world.loads()), ([2, 1], 2));
}

/// The write drops what was loaded, so it is nobody's but his for whom it was begun.
#[tokio::test(start_paused = true)]
async fn whoever_comes_while_a_load_runs_does_not_take_what_a_write_has_outdated() {
    let world = World::new();
    let here = prices(&world);
    assert_eq!(here.soft(7).await, Ok(1));
    world.passes(60);
    let fill = world.store.hold(Command::Fill);
    world.source.becomes(2);
    let first = spawned(&here);
    fill.reached().await;
    let second = spawned(&here);
    assert!(comes_true(|| here.cache.stats().total().misses == 3).await);
    world.source.becomes(3);
    here.set(7).await.unwrap();
    fill.release();
    assert_eq!(first.await.unwrap(), Ok(2), "it began before the write");
    assert_eq!(second.await.unwrap(), Ok(1), "so did this one, with a value that stood then");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_gives_its_place_back() {
    let world = World::new();
    let cache = world.builder().background_loads(1).build().unwrap();
    let prices = Prices { cache, source: world.source.clone() };
    for id in [1, 2] {
        assert_eq!(prices.ahead(id).await, Ok(1));
    }
    world.passes(6);
    world.source.closes();
    assert_eq!(prices.ahead(1).await, Ok(1));
    sleep(Duration::from_secs(299)).await;
    assert_eq!(prices.ahead(2).await, Ok(1));
    assert!(!comes_true(|| world.loads() > 3).await, "the place is taken");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(prices.cache.stats().total().load_timeouts, 1);
    assert_eq!(prices.ahead(2).await, Ok(1));
    assert!(comes_true(|| world.loads() == 4).await);
}

/// Writes down which of this thread's spans follow from which. It is everybody's: a span that is first met where nobody listens
/// is not told to those who listen elsewhere.
#[derive(Clone)]
struct Links {
    mine: ThreadId,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Links {
    fn write(&self, line: String) {
        if thread::current().id() == self.mine {
            self.seen.lock().unwrap().push(line);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Links {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().name() == "cache.load" {
            let parents = context.span_scope(id).into_iter().flatten().map(|span| span.name());
            self.write(parents.collect::<Vec<_>>().join(" in "));
        }
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
        let [span, follows] = [span, follows].map(|id| context.span(id).unwrap().name());
        self.write(format!("{span} from {follows}"));
    }
}

#[tokio::test]
async fn a_load_in_the_background_is_linked_to_the_request_that_caused_it() {
    let links = Links { mine: thread::current().id(), seen: Arc::default() };
    tracing::subscriber::set_global_default(Registry::default().with(links.clone())).unwrap();
    let world = World::new();
    let prices = prices(&world);
    let request = tracing::info_span!("request");
    let read = || tracing::Instrument::instrument(prices.ahead(7), request.clone());
    assert_eq!(read().await, Ok(1));
    world.passes(6);
    assert_eq!(read().await, Ok(1));
    assert!(comes_true(|| prices.cache.stats().total().fills == 2).await);
    let links = links.seen.lock().unwrap().clone();
    assert_eq!(links, ["cache.load in request", "cache.refresh from request", "cache.load in cache.refresh"]);
}
