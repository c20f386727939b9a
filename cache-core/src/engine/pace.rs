//! How long loads take, and so how long others wait for one and how long a lease keeps them from loading. Refuses to let one quick
//! load speak for a slow one: what is slow now and then, or was slow for this very entry, is waited for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// For so long others wait at least: a pause of the machine, a lock or a key that is dearer than the others is no reason to load
/// it again, just when loads are slow. Only a loader that died without giving its lease back, or that hangs, costs that.
const LEAST: Duration = Duration::from_secs(1);
/// And at most.
const MOST: Duration = Duration::from_secs(30);
/// When nothing is known.
const UNKNOWN: Duration = Duration::from_secs(4);

/// The loads of one function in one process.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Moving average in microseconds; 0 when nothing was loaded yet.
    typical: AtomicU64,
    /// The longest one in microseconds, which fades by a sixteenth with each that is shorter.
    longest: AtomicU64,
}

impl Pace {
    /// A load took this long.
    pub(super) fn took(&self, load: Duration) {
        let new = micros(load).max(1);
        let typical = self.typical.load(Ordering::Relaxed);
        let mean = if typical == 0 { new } else { typical - typical / 8 + new / 8 };
        self.typical.store(mean.max(1), Ordering::Relaxed);
        let longest = self.longest.load(Ordering::Relaxed);
        self.longest.store(new.max(longest - longest / 16), Ordering::Relaxed);
    }

    /// How long others wait for a load before they load beside it. `last` is what the load of the entry that has ended took,
    /// where one was seen.
    pub(super) fn patience(&self, last: Duration) -> Duration {
        let (typical, longest) = (self.typical.load(Ordering::Relaxed), self.longest.load(Ordering::Relaxed));
        let longest = [typical.saturating_mul(4), longest.saturating_mul(2), micros(last).saturating_mul(4)]
            .into_iter()
            .fold(0, u64::max);
        match longest {
            0 => UNKNOWN,
            longest => Duration::from_micros(longest).clamp(LEAST, MOST),
        }
    }

    /// How long a lease keeps others from loading: a little less than they wait, so that one of them takes a dead loader's
    /// place instead of all giving up. A load that takes longer still fills unless somebody did.
    pub(super) fn lease(&self, last: Duration) -> Duration {
        self.patience(last) * 3 / 4
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// How long the load of the entry took that a call found, whether it may be served or not; zero when none was found.
#[derive(Debug, Default)]
pub(super) struct Last(AtomicU64);

impl Last {
    pub(super) fn took(&self, load: Duration) {
        self.0.store(micros(load), Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

impl Clone for Last {
    fn clone(&self) -> Self {
        Self(self.0.load(Ordering::Relaxed).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pace(loads: impl IntoIterator<Item = Duration>) -> Pace {
        let pace = Pace::default();
        loads.into_iter().for_each(|load| pace.took(load));
        pace
    }

    #[test]
    fn a_lease_is_a_little_shorter_than_others_wait() {
        for (loads, last, patience) in [
            (vec![], Duration::ZERO, UNKNOWN),
            (vec![MS], Duration::ZERO, LEAST),
            (vec![600 * MS], Duration::ZERO, 2400 * MS),
            (vec![], 400 * MS, 1600 * MS),
            (vec![60_000 * MS], Duration::ZERO, MOST),
            (vec![], Duration::MAX, MOST),
        ] {
            let pace = pace(loads);
            assert_eq!((pace.patience(last), pace.lease(last)), (patience, patience * 3 / 4));
        }
    }

    #[test]
    fn a_slow_load_among_quick_ones_is_remembered_for_a_while() {
        let quick = std::iter::repeat_n(MS, 100);
        let uneven = pace(quick.clone().chain([3000 * MS]));
        assert_eq!(uneven.patience(Duration::ZERO), 6000 * MS);
        quick.for_each(|load| uneven.took(load));
        assert_eq!(uneven.patience(Duration::ZERO), LEAST, "and then forgotten");
    }

    #[test]
    fn an_entry_that_was_dear_is_waited_for_though_the_others_are_cheap() {
        let pace = pace(std::iter::repeat_n(MS, 100));
        assert_eq!(pace.patience(2000 * MS), 8000 * MS);
    }
}
