//! Templates for which the cache does little are noticed by the engine, told once, and listed.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::advice::Finding;
use cache_core::testkit::StoppedClock;
use cache_core::{Builder, Cache, MemoryStore, cached};
use tracing::instrument::WithSubscriber;

struct World {
    cache: Cache,
    clock: Arc<StoppedClock>,
}

impl World {
    fn new(setting: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = Arc::new(StoppedClock::default());
        let store = MemoryStore::with_clock(clock.clone());
        let builder = Cache::builder("advice").store(store).clock(clock.clone());
        Self { cache: setting(builder).build().unwrap(), clock }
    }

    #[cached(key = "traced:<id>:<trace>", ttl = "10s")]
    async fn traced(&self, id: u8, trace: u32) -> u8 {
        let _ = trace;
        id
    }

    #[cached(key = "large:<id>", ttl = "1h")]
    async fn large(&self, id: u32) -> Vec<u8> {
        vec![u8::try_from(id % 256).unwrap_or(0); 20_000]
    }

    #[cached(key = "fine:<id>", ttl = "1h")]
    async fn fine(&self, id: u8) -> u8 {
        id
    }

    async fn run(&self) {
        for round in 0..30_000_u32 {
            self.traced(1, round).await;
            self.fine(u8::try_from(round % 50).unwrap_or(0)).await;
            if round % 100 == 0 {
                self.large(round).await;
            }
            self.clock.advance(Duration::from_millis(20));
        }
    }
}

/// Lines of the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_the_engine_notices_is_told_once_and_listed() {
    let (world, log) = (World::new(|builder| builder), Log::default());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    world.run().with_subscriber(subscriber).await;

    let advice = world.cache.advice();
    let [large, traced] = &advice[..] else { panic!("{advice:?}") };
    assert_eq!((large.template.as_str(), traced.template.as_str()), ("large:<>", "traced:<>:<>"));
    assert!(matches!(large.finding, Finding::CheapLoads { bytes: 20_000.., .. }), "{large:?}");
    assert!(matches!(traced.finding, Finding::ReadOnce { keys: 100.., .. }), "{traced:?}");

    let told = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines.iter().all(|line| line.contains("WARN") && line.contains("advice::")), "{told}");
}

#[tokio::test]
async fn without_advice_nothing_is_noticed() {
    let world = World::new(Builder::without_advice);
    world.run().await;
    assert_eq!(world.cache.advice(), []);
    assert_eq!(world.cache.stats().of("traced:<>:<>").misses, 30_000);
}
