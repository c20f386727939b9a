//! The engine on the memory store, by scripted interleavings. Each rule has a control that fails without it.

mod batch;
mod bounded;
mod calls;
mod clear;
mod degrade;
mod entries;
mod flights;
mod l1;
mod learned;
mod memo;
mod mixups;
mod nesting;
mod parts;
mod puts;
mod queued;
mod readers;
mod shards;
mod version;
mod writes;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::policy::{Early, Overrides, Policy, Sharing, Stampede};
use crate::scope::Writes;
use crate::site::{Location, ReadSite};
use crate::store::Origin;
use crate::subject::Kind;
use crate::testkit::{ChaosStore, StoppedClock};
use crate::{__private as private, Builder, Cache, Fenced, MemoryStore, WriteError};

const AT: Location = Location { function: "users::find", file: "users.rs", line: 1 };
const HOUR: Duration = Duration::from_secs(3600);

static ROW: ReadSite = ReadSite::new(AT, "row:<id>", "u64", Overrides::ttl(HOUR));

static TAGGED: ReadSite =
    ReadSite { tags: &["rows"], ..ReadSite::new(AT, "rows", "u64", Overrides::ttl(HOUR)) };

const XFETCH: Stampede = Stampede { sharing: Sharing::Lease, early: Early::XFetch { beta: 1.0 } };

static EARLY: ReadSite =
    ReadSite::new(AT, "early:<id>", "u64", Overrides { stampede: Some(XFETCH), ..Overrides::ttl(HOUR) });

/// One store, one clock and one database row, for as many instances as a test wants.
#[derive(Clone)]
struct World {
    memory: MemoryStore,
    store: ChaosStore,
    clock: Arc<StoppedClock>,
    row: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(StoppedClock::default());
        let memory = MemoryStore::with_clock(clock.clone());
        let store = ChaosStore::new(memory.clone());
        Self { memory, store, clock, row: Arc::new(AtomicU64::new(1)) }
    }

    fn builder(&self) -> Builder {
        Cache::builder("t").store(self.store.clone()).clock(self.clock.clone())
    }

    fn instance(&self) -> Instance {
        self.with(self.builder())
    }

    fn with(&self, builder: Builder) -> Instance {
        Instance { cache: builder.build().unwrap(), world: self.clone() }
    }
}

/// One process of an application.
#[derive(Clone)]
struct Instance {
    cache: Cache,
    world: World,
}

fn key(text: &mut private::Text) {
    text.literal("row:");
    text.part(&7);
}

impl Instance {
    /// Reads the row through the cache.
    async fn find(&self) -> Option<u64> {
        self.find_by(async || ()).await
    }

    /// Reads the row; the loader pauses after it has seen it.
    async fn find_by(&self, pause: impl AsyncFnOnce()) -> Option<u64> {
        let load = || async {
            let seen = self.world.row.load(Ordering::SeqCst);
            pause().await;
            Some(seen)
        };
        private::read(&self.cache, &ROW, key, |_| {}, load).await
    }

    /// Reads a list that carries a tag.
    async fn list(&self) -> u64 {
        let load = || async { self.world.row.load(Ordering::SeqCst) };
        let tags = |tags: &mut private::Tags| tags.tag(|text| text.literal("rows"));
        private::read(&self.cache, &TAGGED, |text| text.literal("rows"), tags, load).await
    }

    fn touched(&self) -> Writes {
        let recording = self.cache.recording();
        recording.touch(Kind::Entity, key);
        recording.touch(Kind::Tag, |text| text.literal("rows"));
        recording.finish().unwrap()
    }

    async fn mark(&self) -> Result<Fenced, WriteError> {
        self.cache.fence(self.touched(), Origin::none()).await
    }

    fn commit(&self, value: u64) {
        self.world.row.store(value, Ordering::SeqCst);
    }

    async fn write(&self, value: u64) -> Result<(), WriteError> {
        let fenced = self.mark().await?;
        self.commit(value);
        fenced.clear().await
    }

    fn spawn_find(&self) -> tokio::task::JoinHandle<Option<u64>> {
        let this = self.clone();
        tokio::spawn(async move { this.find().await })
    }

    /// Waits until this many reads of this instance have missed; a missed read is at its flight by then.
    async fn missed(&self, count: u64) {
        until(|| self.cache.stats().total().misses >= count).await;
    }
}

/// Polls a condition that other tasks make true; gives up loudly.
async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the condition never came true");
}

/// Runs a future that must end without waiting for real time.
async fn promptly<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
}
