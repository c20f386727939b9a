//! Until when a connection behind sentinels may be used, and from when its successor may be. Refuses to count from an answer: a
//! sentinel vouches for the moment at which it was asked, no later one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Clock;

/// How long a question to the sentinels whose answers named nobody else vouches for the connection.
const LENGTH: Duration = Duration::from_secs(1);
/// How long a server was named before it is used: its predecessor's connections have lapsed by then, wherever they are. What is
/// more than [`LENGTH`] is for sentinels that hear of a failover from each other, and for clocks that run unevenly.
pub(super) const HANDOVER: Duration = Duration::from_millis(1200);

/// Whether commands may be sent. Without an end until it was begun.
#[derive(Debug)]
pub(super) struct Lease {
    /// Nanoseconds of the monotonic clock.
    until: AtomicU64,
}

/// No end.
const ENDLESS: u64 = u64::MAX;

impl Default for Lease {
    fn default() -> Self {
        Self { until: AtomicU64::new(ENDLESS) }
    }
}

impl Lease {
    /// From now on it lapses: sentinels that were asked then named this server.
    pub(super) fn begin(&self, asked: Duration) {
        self.until.store(end(asked), Ordering::Relaxed);
    }

    /// Sentinels that were asked then named nobody else.
    pub(super) fn renew(&self, asked: Duration) {
        self.until.fetch_max(end(asked), Ordering::Relaxed);
    }

    /// How much is left of it; nothing where it has no end.
    pub(super) fn left(&self, clock: &dyn Clock) -> Option<Duration> {
        let until = self.until.load(Ordering::Relaxed);
        let left = || Duration::from_nanos(until.saturating_sub(nanos(clock.monotonic())));
        (until != ENDLESS).then(left)
    }

    pub(super) fn has_lapsed(&self, clock: &dyn Clock) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        // Where nobody hands over, no clock is read.
        until != ENDLESS && nanos(clock.monotonic()) >= until
    }
}

fn end(asked: Duration) -> u64 {
    nanos(asked.saturating_add(LENGTH)).min(ENDLESS - 1)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(ENDLESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::StoreTime;

    #[derive(Debug)]
    struct At(Duration);

    impl Clock for At {
        fn wall(&self) -> StoreTime {
            StoreTime::default()
        }

        fn monotonic(&self) -> Duration {
            self.0
        }
    }

    fn lapsed(lease: &Lease, millis: u64) -> bool {
        lease.has_lapsed(&At(Duration::from_millis(millis)))
    }

    #[test]
    fn a_lease_lapses_a_second_after_the_last_question_was_asked() {
        let lease = Lease::default();
        assert!(!lapsed(&lease, u64::MAX), "nobody began it");
        lease.begin(Duration::from_millis(500));
        assert!(!lapsed(&lease, 1499));
        assert!(lapsed(&lease, 1500));
        lease.renew(Duration::from_millis(700));
        assert!(!lapsed(&lease, 1699));
        lease.renew(Duration::from_millis(600));
        assert!(!lapsed(&lease, 1699), "an earlier question takes nothing back");
        assert!(lapsed(&lease, 1700));
    }

    #[test]
    fn a_successor_waits_for_longer_than_a_lease() {
        assert!(HANDOVER > LENGTH);
    }
}
