//! When keys are read again, by watching some of them. Refuses locks: a slot is one number, and who loses a race loses a sample.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Keys of a template that are watched at once.
const SLOTS: u64 = 128;
/// After so many reads a key is known well enough.
const KNOWN: u64 = 16;
/// Of the keys that may take the place of another one, one in so many is looked at.
const SHARE: u64 = 16;
/// Resolution of time.
const TICK_MS: u64 = 100;
/// How long a key is watched at the most.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
const BUCKETS: usize = 28;

/// How long a key is watched: four lifetimes, 10 s to 6 h.
pub(super) fn window(ttl: Duration) -> Duration {
    ttl.saturating_mul(4).clamp(Duration::from_secs(10), LONGEST)
}

/// Some keys of a template.
#[derive(Debug)]
pub(super) struct Gaps {
    slots: [AtomicU64; SLOTS as usize],
    /// How many gaps had this many binary digits, in ticks.
    lengths: [AtomicU64; BUCKETS],
    keys: AtomicU64,
    once: AtomicU64,
}

impl Default for Gaps {
    fn default() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self { slots: array::from_fn(zero), lengths: array::from_fn(zero), keys: zero(0), once: zero(0) }
    }
}

/// A watched key: 24 bits of its hash, the tick of its last read in 28, its reads in 12. None is 0.
#[derive(Clone, Copy)]
struct Slot(u64);

impl Slot {
    fn new(tag: u64, tick: u64, reads: u64) -> Self {
        Self((tag << 40) | ((tick & 0xfff_ffff) << 12) | reads.min(0xfff))
    }

    fn tag(self) -> u64 {
        self.0 >> 40
    }

    fn tick(self) -> u64 {
        (self.0 >> 12) & 0xfff_ffff
    }

    fn reads(self) -> u64 {
        self.0 & 0xfff
    }
}

/// What the watched keys tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Keys that were watched to the end.
    pub(super) keys: u64,
    pub(super) once: u64,
    pub(super) gaps: u64,
    /// At least half of the gaps were this long.
    pub(super) gap: Duration,
}

impl Gaps {
    pub(super) fn reads(&self, hash: u64, now: impl FnOnce() -> Duration, window: impl FnOnce() -> Duration) {
        let place = &self.slots[usize::try_from(hash % SLOTS).unwrap_or_default()];
        let (slot, tag) = (Slot(place.load(Ordering::Relaxed)), hash >> 40);
        let is_it = slot.tag() == tag;
        let is_free = slot.0 == 0;
        let is_known = is_it && slot.reads() >= KNOWN;
        let is_passed_over = !is_it && !is_free && !(hash / SLOTS).is_multiple_of(SHARE);
        if is_known || is_passed_over {
            return;
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let tick = (millis(now()) / TICK_MS) & 0xfff_ffff;
        // Wraps after ten months: a gap that was too long to be true ends as one that is not counted.
        let gap = tick.wrapping_sub(slot.tick()) & 0xfff_ffff;
        let put =
            |new: Slot| place.compare_exchange(slot.0, new.0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_free {
            put(Slot::new(tag, tick, 1));
        } else if is_it {
            if put(Slot::new(tag, tick, slot.reads() + 1)) {
                let digits = usize::try_from(u64::BITS - gap.leading_zeros()).unwrap_or_default();
                self.lengths[digits.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
            }
        } else if gap * TICK_MS > millis(window()) && put(Slot::new(tag, tick, 1)) {
            self.keys.fetch_add(1, Ordering::Relaxed);
            self.once.fetch_add(u64::from(slot.reads() == 1), Ordering::Relaxed);
        }
    }

    pub(super) fn seen(&self) -> Seen {
        let lengths = self.lengths.each_ref().map(|length| length.load(Ordering::Relaxed));
        let gaps: u64 = lengths.iter().sum();
        let mut longer = gaps;
        let mut digits = 0;
        // The last length that half of the gaps still have, or more.
        for (place, count) in lengths.iter().enumerate() {
            if longer * 2 < gaps {
                break;
            }
            digits = place;
            longer -= count;
        }
        let shortest = if digits == 0 { 0 } else { 1 << (digits - 1) };
        Seen {
            keys: self.keys.load(Ordering::Relaxed),
            once: self.once.load(Ordering::Relaxed),
            gaps,
            gap: Duration::from_millis(shortest * TICK_MS),
        }
    }
}
