//! One clock for all processes of a host. Refuses the wall clock: it is stepped, and then what happened before what is a guess.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the kernel's monotonic clock, which all processes since boot share and nobody can set.
#[must_use]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or_default() * 1_000_000_000 + nanos.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::now;

    #[test]
    fn time_never_goes_back() {
        let mut last = now();
        for _ in 0..1_000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
    }
}
