//! One store, one clock and one table of numbers, for as many instances as a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use cache_core::testkit::{ChaosStore, StoppedClock};
use cache_core::{Cache, MemoryStore, cached, invalidates};

pub(crate) struct World {
    pub(crate) store: ChaosStore,
    pub(crate) clock: Arc<StoppedClock>,
    source: Arc<Source>,
}

#[derive(Default)]
pub(crate) struct Source {
    pub(crate) value: AtomicI64,
    pub(crate) loads: AtomicU64,
    /// Loads that run now, and the most that ever did.
    running: AtomicU64,
    pub(crate) most: AtomicU64,
    pub(crate) fails: AtomicBool,
}

/// One process of an application.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) cache: Cache,
    pub(crate) source: Arc<Source>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Failed;

impl From<cache_core::WriteError> for Failed {
    fn from(_: cache_core::WriteError) -> Self {
        Self
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(StoppedClock::default());
        let store = ChaosStore::new(MemoryStore::with_clock(clock.clone()));
        Self { store, clock, source: Arc::default() }
    }

    pub(crate) fn instance(&self) -> Instance {
        let builder = Cache::builder("warm").store(self.store.clone()).clock(self.clock.clone());
        Instance { cache: builder.build().unwrap(), source: self.source.clone() }
    }

    pub(crate) fn loads(&self) -> u64 {
        self.source.loads.load(SeqCst)
    }

    /// Moves the store's clock and tokio's by as much.
    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        tokio::time::sleep(time).await;
    }
}

impl Instance {
    /// A load that takes 10 ms of paused time.
    #[cached(key = "row:<id>", ttl = "1h")]
    pub(crate) async fn find(&self, id: i64) -> Result<Option<i64>, Failed> {
        self.source.loads.fetch_add(1, SeqCst);
        let running = self.source.running.fetch_add(1, SeqCst) + 1;
        self.source.most.fetch_max(running, SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.source.running.fetch_sub(1, SeqCst);
        let fails = id < 0 || self.source.fails.load(SeqCst);
        if fails { Err(Failed) } else { Ok(Some(self.source.value.load(SeqCst) + id)) }
    }

    #[invalidates(key = "row:<id>")]
    pub(crate) async fn rename(&self, id: i64) -> Result<(), Failed> {
        let _ = id;
        self.source.value.fetch_add(100, SeqCst);
        Ok(())
    }

    /// A write whose body waits to be let go.
    #[invalidates(key = "row:<id>", cache = self.cache)]
    pub(crate) async fn rename_slowly(&self, id: i64, gate: &tokio::sync::Semaphore) -> Result<(), Failed> {
        let _ = id;
        gate.acquire().await.map_err(|_| Failed)?.forget();
        Ok(())
    }
}
