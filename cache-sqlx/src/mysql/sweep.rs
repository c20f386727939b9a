//! Removes outcomes that nobody will ask for any more, in batches and in the background. Refuses to wait for a connection: a row
//! that stays is small, and is removed another time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::time::{Clock, SystemClock};
use sqlx::MySqlPool;

use super::outcome::Outcome;
use super::sql;

/// Rows gather for this long.
const PAUSE: Duration = Duration::from_secs(1);
/// Rows a transaction.
const BATCH: usize = 200;
/// More than these are left to the look for old ones.
const LIMIT: usize = 20_000;
/// Rows of processes that died are looked for this often, and a server that refuses is tried again.
const LOOK: Duration = Duration::from_secs(60 * 60);
/// No row is read after it but by the successor of its server, which has a day to be asked.
const OLD: &str = "SELECT id FROM cache_outcomes WHERE made_at < UTC_TIMESTAMP() - INTERVAL 1 DAY LIMIT 1000";

/// The outcomes of one database that may go.
#[derive(Debug)]
pub(super) struct Sweep {
    pool: MySqlPool,
    clock: SystemClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ids: Vec<Outcome>,
    is_running: bool,
    looked_at: Option<Duration>,
    /// The server has refused; nothing is tried before.
    rests_until: Option<Duration>,
}

impl Sweep {
    pub(super) fn new(pool: MySqlPool) -> Arc<Self> {
        Arc::new(Self { pool, clock: SystemClock::default(), state: Mutex::default() })
    }

    /// Has these removed soon. Removing one that is still asked for says "not committed, or finished long ago" in place of
    /// "committed", which is the same for its fence.
    pub(super) fn add(self: &Arc<Self>, ids: impl IntoIterator<Item = Outcome>) {
        // Without a runtime they are left to the look for old ones.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut state = self.state();
        if state.rests_until.is_some_and(|end| self.clock.monotonic() < end) {
            return;
        }
        state.ids.extend(ids);
        state.ids.truncate(LIMIT);
        if !state.ids.is_empty() && !std::mem::replace(&mut state.is_running, true) {
            runtime.spawn(self.clone().run());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server that refuses (for lack of a right, say) is left alone for a while; a lost connection is no reason to.
    fn rest(&self, error: &sqlx::Error) {
        if error.as_database_error().is_none() {
            tracing::debug!(%error, "outcomes of finished transactions are still in their table");
            return;
        }
        tracing::warn!(%error, "outcomes of finished transactions are still in cache_outcomes: the user of this pool may not remove them, or the server is read-only");
        self.state().rests_until = Some(self.clock.monotonic() + LOOK);
    }

    async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let Some(ids) = self.next() else { return };
            if let Err(error) = self.remove(ids).await {
                self.rest(&error);
            }
        }
    }

    /// What is to be done, or nothing, and then nobody does it.
    fn next(&self) -> Option<Vec<Outcome>> {
        let mut state = self.state();
        if state.ids.is_empty() || self.pool.is_closed() {
            state.is_running = false;
            return None;
        }
        Some(std::mem::take(&mut state.ids))
    }

    async fn remove(&self, mut ids: Vec<Outcome>) -> sqlx::Result<()> {
        let Some(mut connection) = self.pool.try_acquire() else {
            self.state().ids.append(&mut ids);
            return Ok(());
        };
        let now = self.clock.monotonic();
        if self.state().looked_at.is_none_or(|at| now >= at + LOOK) {
            let old: Vec<Vec<u8>> = sqlx::query_scalar(OLD).fetch_all(&mut *connection).await?;
            ids.extend(old.iter().filter_map(|bytes| Outcome::from_bytes(bytes)));
            self.state().looked_at = Some(now);
        }
        for batch in ids.chunks(BATCH) {
            if let Err(error) = sqlx::raw_sql(sql::removal(batch)).execute(&mut *connection).await {
                // It is inside the transaction.
                if sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_err() {
                    drop(connection.detach());
                }
                return Err(error);
            }
        }
        Ok(())
    }
}
