//! What the reads and loads of a side come to. Pure: times in, figures out.

use std::time::Duration;

use super::side::Side;
use super::{LOAD, TTL, WAITED};
use crate::bench::figures::Samples;

/// Loads within this time of an expiry's first one are of the same expiry: what they load is not newer than what it loads.
const ROUND: Duration = Duration::from_nanos(2 * LOAD.as_nanos() as u64);
/// Near the borders of an entry's life, it is not held against a read that it waited.
const MARGIN: Duration = Duration::from_millis(10);

/// What the processes said: nanoseconds on the host's clock.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// When each was due, and how long after that it was answered.
    pub(super) reads: Vec<(u64, u64)>,
    /// Begin and end of each.
    pub(super) loads: Vec<(u64, u64)>,
    /// Reads that Redis did not answer within its deadline of 50 ms.
    pub(super) degraded: u64,
    /// When reads ended.
    pub(super) end: u64,
}

/// A side's figures, from the end of its cold start.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Loads an expiry, on average.
    pub(super) loads: f64,
    /// The most at one of them.
    pub(super) most: usize,
    /// Expiries, early reloads included.
    pub(super) rounds: usize,
    /// Loads in the time of one lifetime: early reloads make more of them.
    pub(super) loads_a_lifetime: f64,
    pub(super) reads: usize,
    /// Milliseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
    pub(super) degraded: u64,
    /// Reads that were no hits by what they took.
    pub(super) waited: usize,
    /// Those among them that were due while a value stood.
    pub(super) waited_in_vain: usize,
}

pub(super) fn judge(side: Side, mut log: Log) -> Result<Verdict, String> {
    log.loads.sort_unstable();
    let rounds = rounds(&log.loads);
    let Some(cold) = rounds.first().and_then(|round| round.first()).map(|(begin, _)| begin + nanos(ROUND))
    else {
        return Err(format!("`{}` never loaded", side.name()));
    };
    let warm = rounds.get(1..).unwrap_or_default();
    // The last one may have been cut off by the end.
    let whole: Vec<_> = warm
        .iter()
        .filter(|round| round.first().is_some_and(|(begin, _)| begin + nanos(ROUND) <= log.end))
        .collect();
    if whole.is_empty() {
        return Err(format!("`{}` saw no expiry: measure longer than {} s", side.name(), 2 * TTL.as_secs()));
    }
    let (loads, most) = (
        whole.iter().map(|round| round.len()).sum::<usize>(),
        whole.iter().map(|round| round.len()).max().unwrap_or_default(),
    );
    let lives: Vec<_> = log.loads.iter().map(|load| life(side, *load)).collect();
    let mut samples = Samples::default();
    let (mut waited, mut waited_in_vain) = (0, 0);
    for &(due, took) in log.reads.iter().filter(|(due, _)| *due >= cold) {
        samples.add(Duration::from_nanos(took));
        if took >= nanos(WAITED) {
            waited += 1;
            waited_in_vain += usize::from(lives.iter().any(|&(begin, end)| (begin..end).contains(&due)));
        }
    }
    let measured = log.end.saturating_sub(cold) as f64;
    Ok(Verdict {
        loads: loads as f64 / whole.len() as f64,
        most,
        rounds: whole.len(),
        loads_a_lifetime: log.loads.iter().filter(|(begin, _)| (cold..log.end).contains(begin)).count()
            as f64
            * TTL.as_nanos() as f64
            / measured,
        degraded: log.degraded,
        reads: samples.count(),
        p50: samples.percentile(0.5),
        p99: samples.percentile(0.99),
        max: samples.percentile(1.0),
        waited,
        waited_in_vain,
    })
}

/// Loads by the expiry that they are of.
fn rounds(loads: &[(u64, u64)]) -> Vec<Vec<(u64, u64)>> {
    let mut rounds: Vec<Vec<(u64, u64)>> = Vec::new();
    for &load in loads {
        match rounds.last_mut() {
            Some(round) if load.0 < round[0].0 + nanos(ROUND) => round.push(load),
            _ => rounds.push(vec![load]),
        }
    }
    rounds
}

/// When what a load made stands for sure.
fn life(side: Side, (begin, end): (u64, u64)) -> (u64, u64) {
    let from = if side.lives_from_its_fill() { end } else { begin };
    (end + nanos(MARGIN), from + nanos(TTL) - nanos(MARGIN))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn loads_of_one_expiry_are_counted_together_and_the_cold_start_is_not() {
        let at = |ms: u64| (ms * MS, (ms + 400) * MS);
        let loads = vec![at(0), at(5_000), at(5_300), at(10_000), at(14_900)];
        // One hit, one that waited while no value stood, one that waited although one did; the first is of the cold start.
        let reads =
            vec![(100 * MS, 400 * MS), (2_000 * MS, MS), (5_100 * MS, 300 * MS), (7_000 * MS, 50 * MS)];
        let verdict = judge(Side::Lease, Log { reads, loads, degraded: 0, end: 15_000 * MS }).unwrap();
        assert_eq!((verdict.loads, verdict.most, verdict.rounds), (1.5, 2, 2));
        assert_eq!((verdict.reads, verdict.waited, verdict.waited_in_vain), (3, 2, 1));
        assert_eq!((verdict.p50, verdict.max), (50.0, 300.0));
        assert!((verdict.loads_a_lifetime - 4.0 * 5_000.0 / 14_200.0).abs() < 1e-9);
    }

    #[test]
    fn a_run_without_an_expiry_is_no_figure() {
        let log = Log { loads: vec![(0, 400 * MS)], end: 4_000 * MS, ..Log::default() };
        assert!(judge(Side::Lease, log).unwrap_err().contains("saw no expiry"));
        assert!(judge(Side::Lease, Log::default()).unwrap_err().contains("never loaded"));
    }
}
