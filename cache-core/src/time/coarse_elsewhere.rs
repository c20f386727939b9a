//! Where the kernel has no coarse clocks: the exact ones.

#![allow(clippy::disallowed_methods, reason = "this is the seam the ban leads to")]

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{StoreTime, millis};

pub(super) const BEHIND: Duration = Duration::ZERO;

pub(super) fn monotonic() -> Duration {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed()
}

pub(super) fn wall() -> StoreTime {
    StoreTime(millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}
