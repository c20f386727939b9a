//! One seed from beginning to end, in a runtime of its own. Refuses to leave anything behind for the next.

use std::collections::BTreeSet;

use crate::check::Violation;
use crate::counts::Counts;
use crate::driver::Driver;
use crate::plan::{How, Plan};
use crate::rules::{Broken, Mutation};
use crate::timeline::Timeline;
use crate::variety::{Choice, Function};
use crate::world::World;

/// What a seed led to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    /// Promises that were broken.
    pub violations: Vec<Violation>,
    pub counts: Counts,
    /// What was read under which policies.
    pub called: BTreeSet<(Choice, Function, How)>,
    /// What happened, if it was asked for.
    pub timeline: Vec<String>,
}

/// Runs a seed; `told` keeps a timeline.
#[must_use]
pub fn run(seed: u64, mutation: Option<&'static Mutation>, told: Told) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed);
    let plan = Plan::of(&mut rng);
    let lacks = mutation.and_then(|mutation| {
        mutation.broken.iter().find_map(|broken| match broken {
            Broken::Store(rule) => Some(*rule),
            Broken::Engine(_) => None,
        })
    });
    let timeline = if told == Told::Everything { Timeline::kept() } else { Timeline::default() };
    let world = World::new(rng, &plan.rows, plan.odds, lacks, timeline);
    world.lock().choice = plan.choices[0];
    world.lock().say(|_| format!("the plan: {plan:?}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    let violations = runtime.block_on(Driver::new(world.clone(), plan, mutation).run());
    drop(runtime);
    let mut state = world.lock();
    let timeline = std::mem::take(&mut state.timeline).lines();
    let called = std::mem::take(&mut state.called);
    Outcome { seed, violations, counts: state.counts, called, timeline }
}

/// How much is told of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Its verdict.
    Verdict,
    /// Everything that happened.
    Everything,
}
