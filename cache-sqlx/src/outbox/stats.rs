//! What a relay counts, and what the table says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::key::Namespace;
use sqlx::PgPool;

const WAITING: &str = include_str!("waiting.sql");

#[derive(Debug, Default)]
pub(super) struct Counters {
    delivered: AtomicU64,
    batches: AtomicU64,
    retries: AtomicU64,
}

/// What stands in the table.
pub(super) struct Waiting {
    rows: u64,
    unreached: u64,
    oldest: Option<Duration>,
}

pub(super) async fn waiting(pool: &PgPool, namespace: &Namespace) -> sqlx::Result<Waiting> {
    let (rows, unreached, oldest): (i64, i64, Option<f64>) =
        sqlx::query_as(WAITING).bind(namespace.as_str()).fetch_one(pool).await?;
    let oldest = oldest.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
    Ok(Waiting { rows: rows.unsigned_abs(), unreached: unreached.unsigned_abs(), oldest })
}

impl Counters {
    pub(super) fn delivered(&self, rows: usize) {
        self.delivered.fetch_add(rows as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self, Waiting { rows, unreached, oldest }: Waiting) -> RelayStats {
        RelayStats {
            waiting: rows,
            unreached,
            oldest,
            delivered: self.delivered.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}

/// What waits in the outbox of a namespace, and what a relay did since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStats {
    /// Rows that stand in the table.
    pub waiting: u64,
    /// Those of them that were left because the store could not be reached; the others are mostly their writers' to delete.
    pub unreached: u64,
    /// How old the oldest is, by the database's clock.
    pub oldest: Option<Duration>,
    /// Rows that this relay delivered.
    pub delivered: u64,
    /// In so many transactions.
    pub batches: u64,
    /// Times that the store or the database did not let it.
    pub retries: u64,
}
