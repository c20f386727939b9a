//! Notices templates for which the cache does little, and says what to do. Refuses to cost a hit more than a look at one number:
//! no lock, mostly no clock, and no randomness: which keys are watched follows from their hashes.

mod gaps;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gaps::{Gaps, Seen};

use crate::observe::Counts;

/// Reads in a period that say anything about it.
const TRAFFIC: u64 = 1_000;
/// Keys, gaps or fills that say anything about the others.
const ENOUGH: u64 = 100;
/// A period is at least this long.
const PERIOD: Duration = Duration::from_secs(60);
/// Smaller entries are not worth a word.
const LARGE: u64 = 4 << 10;
/// Bytes a microsecond that a hit moves and decodes: about a gigabit a second.
const SPEED: u64 = 100;

/// A template for which the cache does little. As text: the template, the figures, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// The key template, its placeholders blanked: `user:<>`.
    pub template: String,
    /// What was noticed.
    pub finding: Finding,
}

/// What was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// Nine keys in ten were not read a second time.
    ReadOnce {
        /// Keys that were watched to the end.
        keys: u64,
        /// Those among them that were read once.
        once: u64,
        /// How long each was watched.
        within: Duration,
    },
    /// Less than 30 % of the reads were hits.
    FewHits {
        /// Reads of the period.
        reads: u64,
        /// Hits among them.
        hits: u64,
    },
    /// Entries are gone when their keys are read again.
    ShortLife {
        /// Their lifetime.
        ttl: Duration,
        /// At least half of the gaps between two reads of one key were this long or longer.
        gap: Duration,
        /// Gaps that were measured.
        gaps: u64,
    },
    /// To move and decode an entry takes longer than to load it.
    CheapLoads {
        /// Bytes of an entry, on average.
        bytes: u64,
        /// What a load takes, on average.
        load: Duration,
        /// Entries that were measured.
        fills: u64,
    },
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.template, self.finding)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadOnce { keys, once, within } => write!(
                f,
                "{once} of {keys} keys were not read again within {within:?}, so their entries only push out others: leave the attribute out, or put less into the key"
            ),
            Self::FewHits { reads, hits } => write!(
                f,
                "{hits} of {reads} reads were hits ({} %): look whether its keys are shared between callers, whether writes invalidate more than they change, and whether the ttl is too short",
                hits * 100 / (*reads).max(1)
            ),
            Self::ShortLife { ttl, gap, gaps } => write!(
                f,
                "half of {gaps} gaps between two reads of a key were {gap:?} or more, and its entries live {ttl:?}: raise the ttl"
            ),
            Self::CheapLoads { bytes, load, fills } => write!(
                f,
                "{fills} entries have {bytes} bytes on average, and their loads took {load:?}: to move and decode an entry takes longer; leave the attribute out, or return less"
            ),
        }
    }
}

/// Watches one template.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    gaps: Gaps,
    fills: AtomicU64,
    filled_bytes: AtomicU64,
    filled_micros: AtomicU64,
    /// Milliseconds; 0 before the first period.
    judged_at: AtomicU64,
    period: Mutex<Period>,
}

#[derive(Debug, Default)]
struct Period {
    /// Reads and hits when it began.
    reads: u64,
    hits: u64,
    /// Whether it is not the first one, in which the store may be cold.
    has_predecessor: bool,
    found: Vec<Finding>,
}

impl Watch {
    /// A key was read. `hash` is the key's; the clock is looked at for few keys, and for those only until enough is known.
    pub(crate) fn reads(&self, hash: u64, now: impl FnOnce() -> Duration, ttl: impl FnOnce() -> Duration) {
        self.gaps.reads(hash, now, || gaps::window(ttl()));
    }

    /// An entry was stored.
    pub(crate) fn fills(&self, bytes: usize, load: Duration) {
        self.fills.fetch_add(1, Ordering::Relaxed);
        self.filled_bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.filled_micros.fetch_add(u64::try_from(load.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A read missed: if a period is over, what is new of all that was noticed. Each finding is new once.
    pub(crate) fn misses(
        &self,
        now: Duration,
        ttl: Duration,
        counts: impl FnOnce() -> Counts,
    ) -> Vec<Finding> {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).max(1);
        let last = self.judged_at.load(Ordering::Relaxed);
        let is_over =
            last == 0 || now.saturating_sub(last) >= u64::try_from(PERIOD.as_millis()).unwrap_or(u64::MAX);
        let takes =
            || self.judged_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !(is_over && takes()) {
            return Vec::new();
        }
        let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts();
        let hits = counts.hits + counts.negative_hits;
        let reads = hits + counts.misses;
        let figures = Figures {
            reads: reads - period.reads,
            hits: hits - period.hits,
            seen: self.gaps.seen(),
            fills: self.fills.load(Ordering::Relaxed),
            bytes: self.filled_bytes.load(Ordering::Relaxed),
            micros: self.filled_micros.load(Ordering::Relaxed),
            ttl,
        };
        let found = judge(&figures, period.has_predecessor);
        // Hits are counted on until there are enough reads to judge them by.
        if last == 0 || figures.reads >= TRAFFIC {
            (period.reads, period.hits, period.has_predecessor) = (reads, hits, last != 0);
        }
        let is_new = |finding: &Finding| !period.found.iter().any(|known| known.kind() == finding.kind());
        let new: Vec<_> = found.into_iter().filter(is_new).collect();
        period.found.extend(&new);
        new
    }

    /// All that was noticed so far.
    pub(crate) fn found(&self) -> Vec<Finding> {
        self.period.lock().unwrap_or_else(PoisonError::into_inner).found.clone()
    }
}

impl Finding {
    fn kind(&self) -> std::mem::Discriminant<Self> {
        std::mem::discriminant(self)
    }
}

struct Figures {
    reads: u64,
    hits: u64,
    seen: Seen,
    fills: u64,
    bytes: u64,
    micros: u64,
    ttl: Duration,
}

fn judge(figures: &Figures, is_warm: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let Figures { reads, hits, seen, fills, bytes, micros, ttl } = figures;
    if seen.keys >= ENOUGH && seen.once * 10 >= seen.keys * 9 {
        found.push(Finding::ReadOnce { keys: seen.keys, once: seen.once, within: gaps::window(*ttl) });
    }
    if seen.gaps >= ENOUGH && seen.gap > *ttl {
        found.push(Finding::ShortLife { ttl: *ttl, gap: seen.gap, gaps: seen.gaps });
    }
    // What is more to the point was said already; and a store that is cold says nothing.
    if found.is_empty() && is_warm && *reads >= TRAFFIC && hits * 10 < reads * 3 {
        found.push(Finding::FewHits { reads: *reads, hits: *hits });
    }
    if *fills >= ENOUGH && bytes / fills >= LARGE && bytes / SPEED > *micros {
        let load = Duration::from_micros(micros / fills);
        found.push(Finding::CheapLoads { bytes: bytes / fills, load, fills: *fills });
    }
    found
}

#[cfg(test)]
mod tests;
