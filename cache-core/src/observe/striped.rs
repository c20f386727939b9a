//! Counts that many threads add to at once, each on a line of its own. Refuses to lose one: a line has one thread, or is added to
//! atomically.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Threads that have a line of their own; all others share one.
const OWN: usize = 16;

/// Two counts.
#[derive(Debug)]
pub(crate) struct Striped(Box<[Stripe]>);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; 2]);

/// The line of a thread, free again when that ends.
struct Place(usize);

static FREE: Mutex<(usize, Vec<usize>)> = Mutex::new((0, Vec::new()));

impl Place {
    fn new() -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, given_back) = &mut *free;
        Self(given_back.pop().unwrap_or_else(|| {
            let next = (*begun).min(OWN);
            *begun = next + 1;
            next
        }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0 < OWN {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).1.push(self.0);
        }
    }
}

thread_local! {
    static MINE: Place = Place::new();
}

impl Default for Striped {
    fn default() -> Self {
        Self((0..=OWN).map(|_| Stripe::default()).collect())
    }
}

impl Striped {
    /// Counts one of the first kind, or of the second.
    #[inline]
    pub(crate) fn add(&self, kind: usize) {
        // A thread that ends has no line any more.
        let mine = MINE.try_with(|mine| mine.0).unwrap_or(OWN);
        let Some(count) = self.0.get(mine).and_then(|stripe| stripe.0.get(kind)) else { return };
        if mine < OWN {
            // Nobody else writes here.
            count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        } else {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Both.
    pub(crate) fn snapshot(&self) -> [u64; 2] {
        let sum = |kind: usize| self.0.iter().map(|stripe| stripe.0[kind].load(Ordering::Relaxed)).sum();
        [sum(0), sum(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn no_count_is_lost_however_many_threads_come_and_go() {
        let counts = Striped::default();
        for _ in 0..3 {
            thread::scope(|scope| {
                for _ in 0..OWN * 2 {
                    scope.spawn(|| {
                        for _ in 0..10_000 {
                            counts.add(0);
                            counts.add(1);
                        }
                    });
                }
            });
        }
        let all = 3 * OWN as u64 * 2 * 10_000;
        assert_eq!(counts.snapshot(), [all, all]);
    }
}
