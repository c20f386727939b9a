//! Wall and monotonic time behind one seam, so that tests and simulations own both. Refuses to be bypassed: clippy bans the
//! standard clocks elsewhere.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod coarse;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "coarse_elsewhere.rs"]
mod coarse;

use std::fmt;
use std::time::Duration;

/// Milliseconds since the Unix epoch on the clock of a store (for Redis, the server's own clock).
///
/// Entries carry their expiry in this unit, so that machines whose clocks differ agree about an entry's age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StoreTime(pub u64);

impl StoreTime {
    /// This time moved into the future; saturates.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Whole milliseconds of a duration, saturating at the end of `u64`.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whole nanoseconds of a duration, saturating at the end of `u64`.
pub(crate) fn nanos(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000_000);
    whole.saturating_add(u64::from(duration.subsec_nanos()))
}

/// A source of time. The default is the system's; the test kit has a stopped one.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Milliseconds since the Unix epoch; may jump when the machine's clock is set.
    fn wall(&self) -> StoreTime;

    /// Time since an arbitrary origin; never goes back.
    fn monotonic(&self) -> Duration;

    /// The same in nanoseconds, cheaper to read: some milliseconds ahead, or exact.
    fn ahead(&self) -> u64 {
        nanos(self.monotonic())
    }

    /// [`wall`](Self::wall), cheaper to read: some milliseconds ahead, or exact.
    fn wall_ahead(&self) -> StoreTime {
        self.wall()
    }
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
    /// The same moment on the kernel's coarse clock, or earlier, in nanoseconds.
    coarse_origin: u64,
}

impl Default for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the seam the ban leads to")]
    fn default() -> Self {
        // In this order: read later, the origin is further ahead, and so is what is counted from the coarse one.
        let coarse_origin = coarse::monotonic();
        Self { origin: std::time::Instant::now(), coarse_origin }
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the seam the ban leads to")]
    fn wall(&self) -> StoreTime {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        StoreTime(millis(since))
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    #[inline]
    fn ahead(&self) -> u64 {
        coarse::monotonic().wrapping_sub(self.coarse_origin).wrapping_add(coarse::BEHIND)
    }

    fn wall_ahead(&self) -> StoreTime {
        coarse::wall().after(Duration::from_nanos(coarse::BEHIND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_clock_is_never_behind_the_exact_one() {
        let clock = SystemClock::default();
        for _ in 0..100_000 {
            let (exact, wall) = (clock.monotonic(), clock.wall());
            assert!(clock.ahead() >= nanos(exact));
            assert!(clock.wall_ahead() >= wall);
        }
    }
}
