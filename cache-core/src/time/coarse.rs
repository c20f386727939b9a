//! The kernel's coarse clocks: what was true at its last tick, for a tenth of the price. Refuses to be exact.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use super::{StoreTime, millis};

/// How far they may be behind: a tick (4 or 10 ms), and what the kernel's own timer is late on a virtual machine that did not run.
pub(super) const BEHIND: Duration = Duration::from_millis(20);

fn since(time: Timespec) -> Duration {
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

pub(super) fn monotonic() -> Duration {
    since(clock_gettime(ClockId::MonotonicCoarse))
}

pub(super) fn wall() -> StoreTime {
    StoreTime(millis(since(clock_gettime(ClockId::RealtimeCoarse))))
}
