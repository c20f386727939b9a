//! Runs the checker over a system: which promises hold, and the shortest way to break one. Refuses to print.

use std::time::{Duration, Instant};

use stateright::{Checker, Model};

use crate::promise::{Promise, Verdicts};
use crate::system::{Checked, Story, System};

/// What the checker found.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Which promises hold in every moment that can be reached.
    pub verdicts: Verdicts,
    /// How many moments were looked at; it stops where all promises are broken.
    pub states: usize,
    /// How long that took.
    pub took: Duration,
}

/// Looks at every moment that can be reached.
pub fn check<S: System>(system: &S, threads: usize) -> Outcome {
    let begin = Instant::now();
    let checked = Checked { system: system.clone(), promises: Promise::ALL.to_vec() };
    let checker = checked.checker().threads(threads).spawn_bfs().join();
    let broken = checker.discoveries();
    let broken = Promise::ALL.into_iter().filter(|promise| broken.contains_key(promise.letter()));
    Outcome {
        verdicts: Verdicts::without(broken),
        states: checker.unique_state_count(),
        took: begin.elapsed(),
    }
}

/// The steps of a shortest way to break a promise, in words; `None` if it holds.
pub fn counterexample<S: System>(system: &S, promise: Promise) -> Option<Vec<String>> {
    // One promise and one thread: the search is by length, and ends with the first that it finds.
    let checked = Checked { system: system.clone(), promises: vec![promise] };
    let checker = checked.checker().spawn_bfs().join();
    let path = checker.discoveries().remove(promise.letter())?.into_vec();
    let mut steps = Vec::new();
    for (state, action) in path {
        let Some(action) = action else { continue };
        let mut story = Story::listening();
        system.step(&state, action, &mut story);
        steps.push(story.told());
    }
    Some(steps)
}
