//! Stops asking a store that does not answer. Refuses to judge single failures: it opens after a few in a row, and lets
//! one call through from time to time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failures in a row that open it: one slow reply is nothing, three are a store in trouble.
const THRESHOLD: u32 = 3;
/// How long it stays open before one call may try: short, since a dead store answers the try at once.
const REST: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    opened: Option<Duration>,
}

impl Breaker {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call may be made at this monotonic time.
    pub(crate) fn allows(&self, now: Duration) -> bool {
        let mut state = self.state();
        match state.opened {
            None => true,
            Some(since) if now >= since + REST => {
                // This caller tries; the others wait another while for what it learns.
                state.opened = Some(now);
                true
            }
            Some(_) => false,
        }
    }

    /// A call was answered.
    pub(crate) fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// A call was not answered.
    pub(crate) fn failed(&self, now: Duration) {
        let mut state = self.state();
        state.failures += 1;
        if state.failures >= THRESHOLD && state.opened.is_none() {
            state.opened = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_call_through() {
        let breaker = Breaker::default();
        let at = Duration::from_millis;
        for _ in 0..2 {
            breaker.failed(at(0));
        }
        breaker.succeeded();
        for _ in 0..3 {
            assert!(breaker.allows(at(1)));
            breaker.failed(at(1));
        }
        assert!(!breaker.allows(at(100)));
        assert!(breaker.allows(at(251)));
        assert!(!breaker.allows(at(252)), "only one call tries");
        breaker.succeeded();
        assert!(breaker.allows(at(253)));
    }
}
