//! One hot key, four processes, a thousand reads a second, a load of 0.4 s, an expiry every 5 s: how often it is loaded at each,
//! and who waits. Refuses to hide waiting: reads come at their times, whatever became of those before, and are measured from there.

mod child;
mod fleet;
mod judge;
mod plot;
mod reader;
mod side;

use std::path::Path;
use std::time::Duration;

use cache_test_support::{redis_url, unique_name};

pub use child::{ARGUMENT, run as run_child};
use judge::Verdict;
use side::Side;

use super::figures::Line;

/// Processes that read.
const PROCESSES: u32 = 4;
/// Reads a second, of all processes together.
const RATE: u32 = 1_000;
/// What a load takes.
const LOAD: Duration = Duration::from_millis(400);
/// An entry's lifetime.
const TTL: Duration = Duration::from_secs(5);
/// A read that took this long was no hit: a hit takes less than a hundredth of it, and a load twenty times as long.
const WAITED: Duration = Duration::from_millis(20);
/// A side is measured this long unless it is said otherwise: six lifetimes.
pub(super) const TIME: Duration = Duration::from_secs(30);

const BENCH: &str = "stampede";

pub(super) async fn run(time: Duration, svg: Option<&Path>) -> Result<Vec<Line>, String> {
    let redis = redis_url().map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    let mut verdicts = Vec::new();
    for side in Side::ALL {
        eprintln!("==> {}: {}, {} s", side.name(), side.about(), time.as_secs());
        let namespace = unique_name("bench");
        let url = redis.clone();
        let log = tokio::task::spawn_blocking(move || fleet::run(side, &namespace, &url, time))
            .await
            .map_err(|error| error.to_string())??;
        let verdict = judge::judge(side, log)?;
        lines.extend(lines_of(side, &verdict));
        verdicts.push((side, verdict));
    }
    if let Some(path) = svg {
        std::fs::write(path, plot::draw(&verdicts))
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    Ok(lines)
}

fn lines_of(side: Side, verdict: &Verdict) -> Vec<Line> {
    let theory = side.loads_in_theory();
    let line = |figure, value, unit, ratio, target| Line {
        bench: BENCH,
        case: side.name(),
        side: figure,
        value,
        unit,
        ratio,
        target,
    };
    let count = |n: usize| n as f64;
    let protects = |target| side.protects().then_some(target);
    let reads = count(verdict.reads.max(1));
    vec![
        line("loads/expiry", verdict.loads, "", Some(verdict.loads / theory), protects(1.0)),
        line("in theory", theory, "", None, None),
        line("most at one", count(verdict.most), "n", None, protects(1.0)),
        line("loads/5 s", verdict.loads_a_lifetime, "", None, None),
        line("p50", verdict.p50, "ms", None, None),
        line("p99", verdict.p99, "ms", None, None),
        line("max", verdict.max, "ms", None, None),
        line("waited", count(verdict.waited), "n", Some(count(verdict.waited) / reads), None),
        line("waited anyway", count(verdict.waited_in_vain), "n", None, side.spares_all().then_some(0.0)),
        line("degraded", verdict.degraded as f64, "n", None, None),
        line("expiries", count(verdict.rounds), "n", None, None),
        line("reads", count(verdict.reads), "n", None, None),
    ]
}
