//! `cargo xtask simulate`; `--help` says what it does.

use cache_simulation::run::{Told, run};

fn main() {
    let seed: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let count: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let mutation = std::env::args().nth(3).and_then(|name| cache_simulation::rules::named(&name));
    if count == 1 {
        let outcome = run(seed, mutation, Told::Everything);
        for line in &outcome.timeline {
            println!("{line}");
        }
        println!("{:?}", outcome.violations);
        return;
    }
    let begin = std::time::Instant::now();
    let batch = cache_simulation::batch::seeds(seed, count, 2, mutation, |_| ());
    for (name, count) in batch.counts.iter() {
        println!("{name:<24} {count}");
    }
    println!("{} seeds in {:?}", batch.seeds, begin.elapsed());
    if let Some(broken) = batch.broken {
        println!("{} {:?}", broken.seed, broken.violations);
    }
}
