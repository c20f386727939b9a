//! The end of a run: everything arrives, every retry ends, and the quiet system is read once more. Refuses faults.

use std::time::Duration;

use super::Driver;
use crate::check::Violation;
use crate::plan::Call;

/// How long a quiet system is left alone before it is read: longer than any retry pauses.
const QUIET: Duration = Duration::from_secs(6);
/// The same, when fences of dead writers without a transaction are to be lifted.
const LONG_QUIET: Duration = Duration::from_secs(75);

impl Driver {
    pub(super) fn ends(&self, violations: Vec<Violation>) -> Vec<Violation> {
        let mut state = self.world.lock();
        for app in &self.apps {
            let stats = app.cache.stats();
            let (reads, writes) = (stats.total(), stats.writes());
            let counts = &mut state.counts;
            counts.hits += reads.hits;
            counts.negative_hits += reads.negative_hits;
            counts.l1_hits += reads.l1_hits;
            counts.overtaken += stats.l1().overtaken;
            counts.loads += reads.loads;
            counts.joins += reads.joined;
            counts.refreshes += reads.refreshes;
            counts.stale_reads += reads.stale;
            counts.soft_timeouts += reads.soft_timeouts;
            counts.hard_timeouts += reads.load_timeouts;
            counts.failed_loads += reads.load_errors;
            counts.learned_tags += reads.tags_learned;
            counts.circles += reads.circles;
            counts.bounded_reads += reads.bounded;
            counts.memoized += reads.memoized;
            counts.unkept += reads.unkept;
            counts.background_loads += ["row:<id>", "list", "story:<id>"]
                .map(|template| stats.of(template).refreshes)
                .iter()
                .sum::<u64>();
            counts.fills += reads.fills;
            counts.refused_fills += reads.fills_refused;
            counts.fence_bypasses += reads.fence_bypasses;
            counts.healed_fences += reads.fences_healed;
            counts.degraded_reads += reads.degraded;
            counts.waits_in_vain += reads.lease_waits_exceeded;
            counts.unfenced += writes.refused;
            counts.unclear += writes.unconfirmed;
        }
        let lost: Vec<_> =
            state.facts.writes.values().filter(|write| write.lost.is_some()).copied().collect();
        state.counts.lost_fences += lost.len() as u64;
        state.counts.forsaken_writes += lost.iter().filter(|write| write.forsaken).count() as u64;
        violations
    }

    /// Everything arrives and every retry ends.
    pub(super) async fn come_to_rest(&mut self) {
        let until = {
            let mut state = self.world.lock();
            let quiet = if state.rng.u8(..8) == 0 { LONG_QUIET } else { QUIET };
            state.now + quiet
        };
        loop {
            let next = {
                let mut state = self.world.lock();
                let due: Vec<_> = (0..state.messages.len())
                    .filter(|place| state.is_deliverable(&state.messages[*place]))
                    .collect();
                if due.is_empty() { None } else { Some(due[state.rng.usize(..due.len())]) }
            };
            match next {
                Some(place) => {
                    self.world.lock().deliver(place);
                    tokio::task::yield_now().await;
                }
                None if self.world.lock().now >= until => break,
                None => self.pass(Duration::from_millis(200)).await,
            }
        }
        if self.living.iter().all(Option::is_none) {
            self.start_instance(0);
        }
    }

    /// Every read that the run made, and every row.
    pub(super) fn rest_calls(&self) -> Vec<Call> {
        let mut calls: Vec<Call> = (0..self.plan.rows.len()).map(Call::Row).collect();
        for call in self.plan.calls.iter().flat_map(Call::reads) {
            if !calls.contains(call) {
                calls.push(call.clone());
            }
        }
        calls
    }
}
