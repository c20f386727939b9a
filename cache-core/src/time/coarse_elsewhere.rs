//! Where the kernel has no coarse clocks: the exact ones.

#![allow(clippy::disallowed_methods, reason = "this is the seam the ban leads to")]

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::{StoreTime, millis, nanos};

/// In nanoseconds.
pub(super) const BEHIND: u64 = 0;

pub(super) fn monotonic() -> u64 {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    nanos(ORIGIN.get_or_init(Instant::now).elapsed())
}

pub(super) fn wall() -> StoreTime {
    StoreTime(millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}
