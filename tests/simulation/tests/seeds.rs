//! What every change must pass: many seeds, each rule missed, and nothing left to luck.

use std::num::NonZero;

use cache_simulation::batch;
use cache_simulation::rules::{MUTATIONS, named};
use cache_simulation::run::{Outcome, Told, run};
use cache_simulation::variety::Pairs;

/// The seeds that every test run tries; no mutation's budget is larger, so these are its control.
const SEEDS: u64 = 20_000;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn told(outcome: &Outcome) -> String {
    let why: Vec<_> = outcome.violations.iter().map(ToString::to_string).collect();
    format!("seed {}: {}", outcome.seed, why.join("; "))
}

#[test]
fn every_promise_is_kept_over_twenty_thousand_seeds_in_which_everything_happens() {
    let batch = batch::seeds(0, SEEDS, threads(), None, |_| ());
    if let Some(broken) = batch.broken {
        let again = run(broken.seed, None, Told::Everything);
        panic!("{}\n{}", again.timeline.join("\n"), told(&again));
    }
    assert_eq!(batch.seeds, SEEDS);
    // A simulation that does nothing finds nothing.
    let missing: Vec<_> = batch.counts.iter().filter(|(_, count)| *count < 20).collect();
    assert!(missing.is_empty(), "hardly ever: {missing:?}");
    let (run, possible) = (Pairs::of(&batch.called), Pairs::possible());
    let missing: Vec<_> = possible.0.difference(&run.0).collect();
    assert!(missing.is_empty(), "never together: {missing:?}");
}

#[test]
fn each_rule_that_is_taken_out_is_missed_within_its_budget() {
    let mut silent = Vec::new();
    for mutation in MUTATIONS {
        assert!(mutation.budget <= SEEDS, "{mutation} has no control");
        let batch = batch::seeds(0, mutation.budget, threads(), Some(mutation), |_| ());
        match batch.broken {
            Some(outcome) => println!("{mutation}: {}", told(&outcome)),
            None => silent.push((mutation.name, batch.seeds)),
        }
    }
    assert!(silent.is_empty(), "nobody missed {silent:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    // Also where a rule is broken, since that is what one wants to see again.
    for mutation in [None, named("sealed-flights")] {
        for seed in 0..150 {
            let (one, other) = (run(seed, mutation, Told::Everything), run(seed, mutation, Told::Everything));
            let first = one.timeline.iter().zip(&other.timeline).find(|(one, other)| one != other);
            assert_eq!(first, None, "seed {seed}");
            assert_eq!(one.timeline.len(), other.timeline.len(), "seed {seed}");
            assert_eq!((&one.violations, one.counts), (&other.violations, other.counts), "seed {seed}");
            let silent = run(seed, mutation, Told::Verdict);
            assert_eq!((&silent.violations, silent.counts), (&one.violations, one.counts), "seed {seed}");
            assert!(silent.timeline.is_empty());
        }
    }
}

#[test]
fn a_broken_seed_is_the_smallest_whatever_the_number_of_threads() {
    let mutation = named("confirmed-clear");
    let of = |threads| batch::seeds(0, 2_000, threads, mutation, |_| ()).broken.map(|outcome| outcome.seed);
    let smallest = (0..2_000).find(|seed| !run(*seed, mutation, Told::Verdict).violations.is_empty());
    assert!(smallest.is_some());
    assert_eq!((of(1), of(3)), (smallest, smallest));
}
