//! What a queue counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::journal::Depth;

/// A count that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn add_many(&self, many: usize) {
        self.0.fetch_add(many as u64, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) queued: Count,
    records: Count,
    writes: Count,
    batches: Count,
    pub(super) retries: Count,
    pub(super) dead: Count,
}

impl Counters {
    pub(super) fn applied(&self, records: usize, writes: usize) {
        self.records.add_many(records);
        self.writes.add_many(writes);
        self.batches.add();
    }

    pub(super) fn stats(&self, depth: Depth, lag: Option<Duration>) -> QueueStats {
        QueueStats {
            waiting: depth.records,
            waiting_bytes: depth.bytes,
            lag: lag.unwrap_or_default(),
            queued: self.queued.value(),
            applied: self.records.value(),
            written: self.writes.value(),
            batches: self.batches.value(),
            retries: self.retries.value(),
            dead: self.dead.value(),
        }
    }
}

/// What a queue did in this process since it began, and how much waits in its journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Records in the journal that are not applied, those of all processes.
    pub waiting: u64,
    /// Bytes they take, rounded up to what is given back at once.
    pub waiting_bytes: u64,
    /// How long ago the oldest of them was queued, by this clock and that of the process that queued it; zero where none waits.
    pub lag: Duration,
    /// Writes that this process queued.
    pub queued: u64,
    /// Records that this process applied.
    pub applied: u64,
    /// Writes they came to, one a key and batch.
    pub written: u64,
    /// Transactions.
    pub batches: u64,
    /// Batches that were tried again.
    pub retries: u64,
    /// Writes put into `cache_dead_letters`.
    pub dead: u64,
}
