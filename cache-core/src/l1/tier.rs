//! The L1 of one cache: a map, the generations that its entries are stamped with, and the lease it holds. Refuses to look at what
//! it keeps.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::admit::Admission;
use super::options::Room;
use super::stamp::Generations;
use super::{Key, L1, Seek, Stamp};
use crate::bus::{HOLDS, Listener, Moment};
use crate::observe::{L1Counters, L1Counts};
use crate::time::{Clock, millis, nanos};

/// What an entry takes beside its value: the key, this struct, and the map's own.
const OVERHEAD: u64 = 200;
/// What an entry is taken to weigh before any is known.
const TYPICAL: u64 = 1_000;

/// A value of a type that only its callers know; `None` says "there is none".
pub(crate) type Value = Option<Arc<dyn Any + Send + Sync>>;

/// What is kept of one call.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) value: Value,
    /// Which of the cache's sites it was read by.
    pub(crate) site: u16,
    /// The fingerprint of its entry in the store.
    pub(crate) print: u64,
    /// Until when it may be served; nanoseconds of the clock.
    until: u64,
    weight: u32,
    stamp: Stamp,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("site", &self.site).field("until", &self.until).finish_non_exhaustive()
    }
}

impl Kept {
    /// What was proved by a command that was sent after the stamp was made; `bytes` is its size in the store. It may be served until
    /// this moment of the clock's `monotonic`.
    pub(crate) fn new(
        value: Value,
        (site, print): (u16, u64),
        until: Duration,
        bytes: usize,
        stamp: Stamp,
    ) -> Self {
        let weight = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { value, site, print, until: nanos(until), weight, stamp }
    }

    /// How long it may be served from this moment of the clock on.
    pub(crate) fn left(&self, now: Duration) -> Duration {
        Duration::from_nanos(self.until.saturating_sub(nanos(now)))
    }
}

#[derive(Clone, Debug)]
struct Weigher {
    by_bytes: bool,
}

impl Weighter<Key, Kept> for Weigher {
    fn weight(&self, key: &Key, kept: &Kept) -> u64 {
        if self.by_bytes { u64::from(kept.weight) + key.extra() as u64 + OVERHEAD } else { 1 }
    }
}

/// Counts what has to go.
#[derive(Clone, Debug, Default)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<Key, Kept> for Evictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _key: Key, _kept: Kept) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Map = Cache<Key, Kept, Weigher, DefaultHashBuilder, Evictions>;

/// The lease that its store holds it by, and what every hit looks at. On a line of its own: a mark writes next to nothing else.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lease {
    /// In nanoseconds of the clock; zero for none.
    until: AtomicU64,
    /// The same moment on the wall clock, in milliseconds: it goes on while the machine is suspended.
    wall: AtomicU64,
}

/// The L1 of one cache.
pub(crate) struct Tier {
    map: Map,
    generations: Generations,
    lease: Lease,
    /// How often it was told to doubt. Held while the lease changes.
    doubts: Mutex<u64>,
    admission: Option<Admission>,
    clock: Arc<dyn Clock>,
    options: L1,
    evictions: Evictions,
    pub(crate) counters: L1Counters,
    /// Keeps what was overtaken by a mark: a rule that a test takes out.
    stamps_late: bool,
}

impl fmt::Debug for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("L1")
            .field("entries", &self.map.len())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What does not end.
const FOR_EVER: u64 = u64::MAX;

impl Tier {
    pub(crate) fn new(options: L1, clock: Arc<dyn Clock>) -> Self {
        let (weight, entries, by_bytes) = match options.room {
            Room::Entries(entries) => (entries, entries, false),
            Room::Bytes(bytes) => (bytes, bytes / (TYPICAL + OVERHEAD), true),
        };
        let evictions = Evictions::default();
        let mut sizes = OptionsBuilder::new();
        sizes
            .weight_capacity(weight)
            .estimated_items_capacity(usize::try_from(entries).unwrap_or(usize::MAX).max(1));
        let weigher = Weigher { by_bytes };
        let hasher = DefaultHashBuilder::default();
        let map = match sizes.build() {
            Ok(sizes) => Map::with_options(sizes, weigher, hasher, evictions.clone()),
            // Both sizes are said: what is left out has defaults.
            Err(_) => Map::with(1, weight, weigher, hasher, evictions.clone()),
        };
        let admission = (options.admit_after > 1).then(|| Admission::new(entries));
        Self {
            map,
            generations: Generations::default(),
            lease: Lease::default(),
            doubts: Mutex::new(0),
            admission,
            clock,
            options,
            evictions,
            counters: L1Counters::default(),
            stamps_late: false,
        }
    }

    /// Breaks the rule that what a mark has overtaken does not go in.
    pub(crate) fn stamping_late(mut self) -> Self {
        self.stamps_late = true;
        self
    }

    /// The value of a call, if it may be served now; then `serves` is told of it.
    #[inline]
    pub(crate) fn find(&self, seek: &Seek<'_>, serves: impl FnOnce(&Kept)) -> Option<Value> {
        // Looked at where it lies: to move it right after it was written costs as much as to find it.
        let found = self.map.get(seek);
        let kept = found.as_ref()?;
        // Whoever stands still after this line began before a write could return that this process has not heard of.
        let now = self.clock.ahead();
        let stands = now < self.lease.until.load(Ordering::Acquire)
            && now < kept.until
            && self.generations.stand(&kept.stamp)
            && self.is_awake();
        if !stands {
            return None;
        }
        serves(kept);
        found.map(|kept| kept.value)
    }

    /// Whether the lease also runs by the wall clock.
    #[inline]
    fn is_awake(&self) -> bool {
        let wall = self.lease.wall.load(Ordering::Acquire);
        wall == FOR_EVER || self.clock.wall_ahead().0 < wall
    }

    /// Where the generations stand now of what is written under these stripes: to be asked before the command is sent.
    pub(crate) fn stamp(&self, stripes: &[u64]) -> Stamp {
        self.generations.stamp(stripes)
    }

    /// What is written under this stripe is on its way, or done.
    pub(crate) fn moves(&self, stripe: u64) {
        self.generations.moves(stripe);
    }

    /// Whether the call is worth keeping; asked once a miss.
    pub(crate) fn admits(&self, print: u64) -> bool {
        self.admission.as_ref().is_none_or(|admission| admission.missed(print) >= self.options.admit_after)
    }

    /// Keeps a value, unless a mark has overtaken it or the time it may be kept for is over. `asked` is when the command was sent
    /// that proved it.
    pub(crate) fn keep(&self, key: Key, mut kept: Kept, asked: Duration) {
        // A store forgets after a while that it is to tell of it.
        let longest = self.options.ttl.map_or(HOLDS, |ttl| ttl.min(HOLDS));
        kept.until = kept.until.min(nanos(asked.saturating_add(longest)));
        if self.stamps_late {
            kept.stamp = self.generations.restamped(&kept.stamp);
        }
        if self.clock.ahead() < kept.until && self.generations.stand(&kept.stamp) {
            self.counters.kept.add();
            self.map.insert(key, kept);
        } else {
            self.counters.overtaken.add();
        }
    }

    /// Nothing that stands is served any more.
    pub(crate) fn flush(&self) {
        self.generations.flush();
        // What nobody is served any more takes no room.
        self.map.clear();
    }

    /// What became of its entries.
    pub(crate) fn counts(&self) -> L1Counts {
        L1Counts {
            entries: self.map.len() as u64,
            evictions: self.evictions.0.load(Ordering::Relaxed),
            flushes: self.generations.flushes(),
            ..self.counters.snapshot()
        }
    }
}

impl Listener for Tier {
    fn now(&self) -> Moment {
        let doubts = *self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        Moment { monotonic: self.clock.monotonic(), wall: self.clock.wall(), doubts }
    }

    fn marked(&self, stripes: &[u64]) {
        stripes.iter().for_each(|stripe| self.moves(*stripe));
    }

    fn doubts(&self) {
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        *doubts += 1;
        self.lease.until.store(0, Ordering::SeqCst);
        drop(doubts);
        self.flush();
    }

    fn vouches(&self, since: Moment, lease: Duration) {
        let doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        if since.doubts != *doubts {
            return;
        }
        let until = nanos(since.monotonic.saturating_add(lease));
        if until <= self.lease.until.load(Ordering::SeqCst) {
            return;
        }
        let wall = if lease == Duration::MAX { FOR_EVER } else { since.wall.0.saturating_add(millis(lease)) };
        self.lease.wall.store(wall, Ordering::SeqCst);
        self.lease.until.store(until, Ordering::SeqCst);
    }
}
