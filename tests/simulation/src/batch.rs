//! Many seeds, one thread a core. Refuses to share anything between seeds but the counters.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::check::{Promise, Violation};
use crate::counts::Counts;
use crate::plan::How;
use crate::rules::Mutation;
use crate::run::{Outcome, Told, run};
use crate::variety::{Choice, Function};

/// What many seeds led to.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// How many were run.
    pub seeds: u64,
    pub counts: Counts,
    /// What was read under which policies.
    pub called: BTreeSet<(Choice, Function, How)>,
    /// The smallest seed that broke a promise.
    pub broken: Option<Outcome>,
}

/// Runs seeds `from..from + count` on this many threads, up to the first that breaks a promise; `progress` is told how many are
/// done, by whichever thread has done some.
pub fn seeds(
    from: u64,
    count: u64,
    threads: usize,
    mutation: Option<&'static Mutation>,
    progress: impl Fn(u64) + Sync,
) -> Batch {
    /// Taken by a thread at once: few enough that all end together.
    const SOME: u64 = 32;
    let (next, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let total = Mutex::new(Batch::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut mine = Batch::default();
                while !stop.load(Ordering::Relaxed) {
                    let first = next.fetch_add(SOME, Ordering::Relaxed);
                    if first >= count {
                        break;
                    }
                    // A block that was begun is finished, so that the smallest broken seed is found by any number of threads.
                    for seed in first..count.min(first + SOME) {
                        let outcome = one(from + seed, mutation);
                        mine.seeds += 1;
                        mine.counts += outcome.counts;
                        mine.called.extend(&outcome.called);
                        if !outcome.violations.is_empty() {
                            mine.keep(outcome);
                            stop.store(true, Ordering::Relaxed);
                            break;
                        }
                    }
                    progress(done.fetch_add(SOME, Ordering::Relaxed) + SOME);
                }
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                total.seeds += mine.seeds;
                total.counts += mine.counts;
                total.called.append(&mut mine.called);
                mine.broken.into_iter().for_each(|outcome| total.keep(outcome));
            });
        }
    });
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A panic belongs to its seed, too.
fn one(seed: u64, mutation: Option<&'static Mutation>) -> Outcome {
    let panicked = |_| Outcome {
        seed,
        violations: vec![Violation::of_run(Promise::NoPanic)],
        counts: Counts::default(),
        called: BTreeSet::new(),
        timeline: Vec::new(),
    };
    catch_unwind(|| run(seed, mutation, Told::Verdict)).unwrap_or_else(panicked)
}

impl Batch {
    fn keep(&mut self, outcome: Outcome) {
        if self.broken.as_ref().is_none_or(|kept| kept.seed > outcome.seed) {
            self.broken = Some(outcome);
        }
    }
}
