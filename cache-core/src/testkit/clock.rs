//! A clock that stands still until it is told otherwise.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::time::{Clock, StoreTime};

/// A stopped clock: wall and monotonic time move only by [`StoppedClock::advance`].
#[derive(Debug)]
pub struct StoppedClock(Mutex<Duration>);

impl Default for StoppedClock {
    /// Stands at an arbitrary moment long after the epoch.
    fn default() -> Self {
        Self(Mutex::new(Duration::from_secs(1_700_000_000)))
    }
}

impl StoppedClock {
    /// Moves on.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    fn read(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for StoppedClock {
    fn wall(&self) -> StoreTime {
        StoreTime(crate::time::millis(self.read()))
    }

    fn monotonic(&self) -> Duration {
        self.read()
    }
}
