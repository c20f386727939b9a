//! How often a key was missed lately, roughly: whether it is worth keeping. Refuses to be exact: two keys may share a counter, and
//! then one of them is kept sooner.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Counters: keys that may be told apart.
const KEYS: usize = 1 << 16;

/// Counts misses, and halves all counts after every so many.
#[derive(Debug)]
pub(super) struct Admission {
    counts: Box<[AtomicU8]>,
    /// Misses until all counts are halved.
    period: u64,
    misses: AtomicU64,
}

impl Admission {
    /// For an L1 of about so many entries.
    pub(super) fn new(entries: u64) -> Self {
        let counts = (0..KEYS).map(|_| AtomicU8::new(0)).collect();
        Self {
            counts,
            period: entries.saturating_mul(10).clamp(1_000, KEYS as u64 * 8),
            misses: AtomicU64::new(0),
        }
    }

    /// The key with this hash was missed; how often that was lately.
    pub(super) fn missed(&self, hash: u64) -> u8 {
        if (self.misses.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.period) {
            self.counts.iter().for_each(|count| {
                count.store(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            });
        }
        let place = usize::try_from(hash % KEYS as u64).unwrap_or_default();
        let Some(count) = self.counts.get(place) else { return u8::MAX };
        let now = count.load(Ordering::Relaxed).saturating_add(1);
        count.store(now, Ordering::Relaxed);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_misses_and_forgotten_in_time() {
        let admission = Admission::new(100);
        assert_eq!([admission.missed(7), admission.missed(8), admission.missed(7)], [1, 1, 2]);
        for other in 0..10_000 {
            admission.missed(1_000 + other);
        }
        assert_eq!(admission.missed(7), 1, "halved until nothing was left");
    }
}
