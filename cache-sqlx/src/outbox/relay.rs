//! Delivers for as long as the relay lives. Refuses to give up, and to let one row that the store rejects hold the others up.

use std::sync::Arc;
use std::time::Duration;

use cache_core::error::StoreErrorKind;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::stats;
use super::step::{Step, step, waits};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// A row this old, beyond what its writer may take, is one that should have been delivered.
const BEHIND: Duration = Duration::from_secs(30);
/// How often the log is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Deliverer {
    shared: Arc<Shared>,
    /// How many rows it claims next; fewer while the store rejects one of them.
    size: usize,
    /// The row that it rejects; those behind it go on.
    after: i64,
    pause: Duration,
    /// Whether nothing was there the last time.
    is_idle: bool,
    is_failing: bool,
    told: Option<Instant>,
}

impl Deliverer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let size = shared.batch;
        Self { shared, size, after: 0, pause: FIRST_PAUSE, is_idle: false, is_failing: false, told: None }
    }

    pub(super) async fn run(mut self, mut ends: watch::Receiver<bool>) {
        // Between two steps only: what is claimed is delivered, or rolled back with the process.
        while !*ends.borrow_and_update() {
            let pause = self.once().await;
            if !pause.is_zero() {
                tokio::select! {
                    _ = ends.changed() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }

    /// How long to rest then.
    async fn once(&mut self) -> Duration {
        let found = match self.is_idle {
            true => waits(&self.shared).await,
            false => Ok(true),
        };
        let stepped = match found {
            Ok(true) => step(&self.shared, self.after, self.size).await,
            Ok(false) => Ok(Step::Nothing),
            Err(error) => Err(error),
        };
        self.is_idle = matches!(stepped, Ok(Step::Nothing)) && self.after == 0;
        match stepped {
            Ok(Step::Delivered { rows, age }) => {
                self.went_well();
                self.tells(age).await;
                let was_full = rows == self.size;
                self.size = (self.size * 2).min(self.shared.batch);
                if was_full {
                    return Duration::ZERO;
                }
                self.pause = FIRST_PAUSE;
                self.rests()
            }
            Ok(Step::Nothing) if self.after > 0 => {
                // Once more from the beginning, with the row that was rejected.
                self.after = 0;
                self.rests()
            }
            Ok(Step::Nothing) => {
                self.went_well();
                self.rests()
            }
            Ok(Step::Undelivered { first, rows, age, error }) => {
                self.shared.counters.retried();
                self.tells(age).await;
                if error.kind() != StoreErrorKind::Rejected {
                    return self.fails(&error);
                }
                if rows > 1 {
                    self.size = (rows / 2).max(1);
                    return Duration::ZERO;
                }
                if self.after == 0 {
                    tracing::error!(%error, id = first, "the store rejects a row of cache_outbox; it stays, and those behind it go on");
                }
                self.after = first;
                Duration::ZERO
            }
            Err(error) => {
                self.shared.counters.retried();
                self.fails(&error)
            }
        }
    }

    fn rests(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.shared.poll);
        pause.min(self.shared.poll)
    }

    fn went_well(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("the outbox is delivered again");
        }
    }

    fn fails(&mut self, error: &dyn std::error::Error) -> Duration {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(%error, "the outbox is not delivered for now; trying on");
        }
        self.rests()
    }

    /// Tells the log when it is behind.
    async fn tells(&mut self, age: Duration) {
        let is_time = self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY);
        if !is_time || age < self.shared.young.saturating_add(BEHIND) {
            return;
        }
        self.told = Some(Instant::now());
        let Shared { pool, cache, counters, .. } = &*self.shared;
        if let Ok(waiting) = stats::waiting(pool, cache.namespace()).await {
            let stats = counters.stats(waiting);
            tracing::warn!(
                waiting = stats.waiting,
                oldest = ?stats.oldest.unwrap_or(age),
                "the outbox is behind: instances that reach the store may be served what was written over"
            );
        }
    }
}
