//! Randomness behind one seam: writer ids, lease tokens, generations, jitter and luck. Refuses global state, so that a
//! simulation can seed all of it.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A source of random numbers shared by a cache and its store.
pub trait Rng: Send + Sync + fmt::Debug + 'static {
    /// 64 uniformly random bits.
    fn bits(&self) -> u64;

    /// A number in the open interval (0, 1), safe to take a logarithm of.
    fn unit(&self) -> f64 {
        // 53 random bits, centred in their cells: neither 0 nor 1 can come out.
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let cell = (self.bits() >> 11) as f64;
        (cell + 0.5) / 9_007_199_254_740_992.0
    }
}

/// A generator seeded from the operating system, so that ids of different processes do not meet.
#[derive(Debug)]
pub struct SystemRng(Mutex<fastrand::Rng>);

impl Default for SystemRng {
    #[allow(clippy::disallowed_methods, reason = "this is the seam the ban leads to")]
    fn default() -> Self {
        let mut seed = [0; 8];
        let seed = match getrandom::fill(&mut seed) {
            Ok(()) => u64::from_le_bytes(seed),
            // Without an entropy source the standard library's hash keys are the next best thing.
            Err(_) => fastrand::u64(..),
        };
        Self::seeded(seed)
    }
}

impl SystemRng {
    /// A generator that repeats itself: equal seeds give equal numbers.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(fastrand::Rng::with_seed(seed)))
    }
}

impl Rng for SystemRng {
    fn bits(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }
}
