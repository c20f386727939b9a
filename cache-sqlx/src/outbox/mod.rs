//! The outbox: a table in which writes leave what they change while Redis cannot be reached, and the relay that delivers it. Refuses
//! to delete what the store has not confirmed, and to touch rows of other namespaces.

mod relay;
mod stats;
mod step;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_core::Cache;
use cache_core::error::BuildError;
use sqlx::PgPool;
pub use stats::RelayStats;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::stats::Counters;
pub(crate) use self::table::{PgTable, leave, standing_leaving};

/// Delivers what writes have left in the outbox: invalidates it in the store, then deletes it. Run one in every instance, or in as
/// many as you like: rows that one is delivering, the others pass over. Dropped, it finishes the rows at hand and ends.
///
/// ```no_run
/// # async fn demo(pool: sqlx::PgPool, store: cache_core::RedisStore) -> Result<(), Box<dyn std::error::Error>> {
/// use cache_core::Cache;
/// use cache_core::policy::OnUnfenced;
///
/// cache_sqlx::migrate(&pool).await?;
/// let cache = Cache::builder("shop").store(store).on_unfenced(OnUnfenced::Outbox).build()?;
/// let relay = cache_sqlx::Relay::builder().start(&cache, &pool).await?;
/// // … until the service ends:
/// relay.stop().await;
/// # Ok(()) }
/// ```
#[must_use = "a relay ends when it is dropped"]
pub struct Relay {
    shared: Arc<Shared>,
    ends: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    cache: Cache,
    pool: PgPool,
    batch: usize,
    poll: Duration,
    /// How long rows of writers that may live are left to them.
    young: Duration,
    counters: Counters,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ends.send_replace(true);
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("cache", &self.shared.cache).finish_non_exhaustive()
    }
}

/// How a relay is begun.
#[derive(Clone, Copy, Debug)]
pub struct RelayBuilder {
    batch: usize,
    poll: Duration,
    young: Duration,
}

impl Relay {
    /// A relay with the defaults.
    pub fn builder() -> RelayBuilder {
        RelayBuilder { batch: 200, poll: Duration::from_secs(1), young: Duration::from_secs(5) }
    }

    /// What it did, and how much waits. Counts the rows that wait: with a million of them that takes the database a moment.
    ///
    /// # Errors
    /// The database's.
    pub async fn stats(&self) -> sqlx::Result<RelayStats> {
        let waiting = stats::waiting(&self.shared.pool, self.shared.cache.namespace()).await?;
        Ok(self.shared.counters.stats(waiting))
    }

    /// Ends it after the rows at hand.
    pub async fn stop(mut self) {
        self.ends.send_replace(true);
        // A panic in it is told where it happens.
        drop((&mut self.task).await);
    }
}

impl RelayBuilder {
    /// How many rows it claims at once at most, 200 unless told: they are in memory together, and their entries are fenced together
    /// for as long as the store takes.
    pub fn batch(self, rows: usize) -> Self {
        Self { batch: rows, ..self }
    }

    /// How often it looks at least while nothing waits, every second unless told: that long after the store is back its readers may be
    /// served what was written meanwhile. Each look is one statement.
    pub fn poll(self, every: Duration) -> Self {
        Self { poll: every, ..self }
    }

    /// How old the row of a write that could be fenced must be, 5 s unless told, by the database's clock: its writer is about to
    /// invalidate and delete it by itself. Only with `Outbox::Always`; younger costs an invalidation too many.
    pub fn leave_to_writer(self, age: Duration) -> Self {
        Self { young: age, ..self }
    }

    /// Begins to deliver, in a task of the current tokio runtime, and lets the cache ask this database whether it may trust its store.
    ///
    /// # Errors
    /// A batch or a `poll` of 0, a cache that is off, or a database without the table of [`migrate`](crate::migrate).
    pub async fn start(self, cache: &Cache, pool: &PgPool) -> Result<Relay, BuildError> {
        let Self { batch, poll, young } = self;
        let mut mistakes = Vec::new();
        if batch == 0 {
            mistakes.push("the relay would take 0 rows at a time: give `batch` at least 1".to_owned());
        }
        if poll.is_zero() {
            mistakes.push(
                "the relay would ask the database without a pause: give `poll` at least 1 ms".to_owned(),
            );
        }
        if cache.is_off() {
            mistakes.push(
                "the cache is off: its relay would delete what it cannot deliver; start none".to_owned(),
            );
        }
        if mistakes.is_empty()
            && let Err(error) = sqlx::query("SELECT FROM cache_outbox LIMIT 0").execute(pool).await
            && error.as_database_error().is_some()
        {
            mistakes.push(format!(
                "the relay needs its table: call `cache_sqlx::migrate(&pool)` at start ({error})"
            ));
        }
        if !mistakes.is_empty() {
            return Err(BuildError::new(mistakes));
        }
        crate::heal(cache, pool);
        cache.outbox_in(Arc::new(PgTable::new(pool.clone())));
        let (cache, pool, counters) = (cache.clone(), pool.clone(), Counters::default());
        let shared = Arc::new(Shared { cache, pool, batch, poll, young, counters });
        let (ends, ending) = watch::channel(false);
        let task = tokio::spawn(relay::Deliverer::new(shared.clone()).run(ending));
        Ok(Relay { shared, ends, task })
    }
}
