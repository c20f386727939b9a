//! What the options of `#[cached]` do, through the attribute, on the memory store and a clock that is moved by hand.

mod background;
mod behind;
mod bounded;
mod conditions;
mod edges;
mod leases;
mod profiles;
mod stale;
mod waiting;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::error::LoadTimeout;
use cache_core::testkit::{ChaosStore, StoppedClock};
use cache_core::{Builder, Cache, MemoryStore};
use tokio::sync::{Notify, watch};

const SECOND: Duration = Duration::from_secs(1);

/// A source, and the instances that read it.
#[derive(Clone)]
struct World {
    clock: Arc<StoppedClock>,
    store: ChaosStore,
    source: Arc<Source>,
}

/// What is read: a number, and how reading it goes.
struct Source {
    value: AtomicU64,
    fails: AtomicBool,
    loads: AtomicU64,
    /// While this is not so, loads wait.
    open: watch::Sender<bool>,
    begun: Notify,
    seen: Mutex<Vec<String>>,
}

/// Why a load failed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Failed {
    NotFound,
    Refused,
    Late,
}

impl From<LoadTimeout> for Failed {
    fn from(_: LoadTimeout) -> Self {
        Self::Late
    }
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(StoppedClock::default());
        let memory = MemoryStore::with_clock(clock.clone());
        let source = Source {
            value: AtomicU64::new(1),
            fails: AtomicBool::new(false),
            loads: AtomicU64::new(0),
            open: watch::Sender::new(true),
            begun: Notify::new(),
            seen: Mutex::default(),
        };
        Self { clock, store: ChaosStore::new(memory), source: Arc::new(source) }
    }

    fn builder(&self) -> Builder {
        Cache::builder("t").store(self.store.clone()).clock(self.clock.clone())
    }

    fn cache(&self) -> Cache {
        self.builder().build().unwrap()
    }

    fn passes(&self, seconds: u32) {
        self.clock.advance(seconds * SECOND);
    }

    fn loads(&self) -> u64 {
        self.source.loads.load(SeqCst)
    }
}

impl Source {
    async fn load(&self) -> Result<u64, Failed> {
        self.loads.fetch_add(1, SeqCst);
        self.begun.notify_one();
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        let value = self.value.load(SeqCst);
        if self.fails.load(SeqCst) { Err(Failed::Refused) } else { Ok(value) }
    }

    fn becomes(&self, value: u64) {
        self.value.store(value, SeqCst);
    }

    /// From now on loads wait.
    fn closes(&self) {
        self.open.send_replace(false);
    }

    fn opens(&self) {
        self.open.send_replace(true);
    }
}

/// Lets all tasks go on until this is true; gives up after many turns.
async fn comes_true(is: impl Fn() -> bool) -> bool {
    for _ in 0..1000 {
        if is() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}
