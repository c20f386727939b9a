//! The kernel's coarse clocks: what was true at its last tick, for a tenth of the price. Refuses to be exact.

use rustix::time::{ClockId, Timespec, clock_gettime};

use super::StoreTime;

/// How far they may be behind: a tick (4 or 10 ms), and what the kernel's own timer is late on a virtual machine that did not run.
/// In nanoseconds.
pub(super) const BEHIND: u64 = 20_000_000;

/// Nanoseconds; a kernel counts none before its zero.
#[allow(clippy::cast_sign_loss, reason = "not negative")]
fn since(time: Timespec) -> u64 {
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

pub(super) fn monotonic() -> u64 {
    since(clock_gettime(ClockId::MonotonicCoarse))
}

pub(super) fn wall() -> StoreTime {
    StoreTime(since(clock_gettime(ClockId::RealtimeCoarse)) / 1_000_000)
}
