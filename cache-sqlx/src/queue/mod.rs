//! Writes that are acknowledged once a journal has them, and reach Postgres in batches. Refuses to apply one twice, to change the
//! order of one key's, and to acknowledge what may be lost.

mod dead;
mod error;
mod flusher;
mod payload;
mod stats;
mod step;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use cache_core::error::BuildError;
use cache_core::journal::{Depth, Journal, Position};
use cache_core::{Cache, Cacheable};
pub use dead::DeadLetter;
pub use error::{QueueError, QueueErrorKind};
use sqlx::PgPool;
pub use stats::QueueStats;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::flusher::Flusher;
use self::stats::Counters;
use crate::PgTx;

/// A write on its way to the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write<V> {
    /// What it changes.
    pub key: String,
    /// The value.
    pub value: V,
}

/// Writes a batch to the database.
///
/// ```no_run
/// use cache_sqlx::{Flush, PgTx, Write};
///
/// /// Writes are pairs of a user's id and when he was seen.
/// struct LastSeen;
///
/// impl Flush<(i64, i64)> for LastSeen {
///     async fn flush(&self, tx: &mut PgTx<'_>, writes: Vec<Write<(i64, i64)>>) -> sqlx::Result<()> {
///         let (ids, ats): (Vec<i64>, Vec<i64>) = writes.into_iter().map(|write| write.value).unzip();
///         sqlx::query(
///             "UPDATE users SET seen = new.at
///              FROM UNNEST($1::bigint[], $2::bigint[]) new (id, at) WHERE users.id = new.id",
///         )
///         .bind(ids)
///         .bind(ats)
///         .execute(&mut *tx)
///         .await?;
///         Ok(())
///     }
/// }
/// ```
pub trait Flush<V>: Send + Sync + 'static {
    /// Writes what was queued, each key once, in the order of their last writes. It runs in the transaction that also remembers that it ran:
    /// what it does elsewhere may happen more than once. An error that the data cause (a constraint, a value out of range) makes it
    /// run again with fewer writes, until the one that causes it is put aside.
    fn flush(
        &self,
        tx: &mut PgTx<'_>,
        writes: Vec<Write<V>>,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// What two writes of one key come to. The later one wins, unless told otherwise.
    fn merge(&self, _earlier: V, later: V) -> V {
        later
    }
}

/// A queue of writes and the task that drains it. Clones share both; the task ends with the last clone.
pub struct Queue<V> {
    shared: Arc<Shared>,
    _task: Arc<Task>,
    value: PhantomData<fn(V)>,
}

impl<V> Clone for Queue<V> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), _task: self._task.clone(), value: PhantomData }
    }
}

impl<V> fmt::Debug for Queue<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.shared.name)
            .field("journal", &self.shared.journal)
            .finish_non_exhaustive()
    }
}

struct Shared {
    name: String,
    cache: Cache,
    pool: PgPool,
    journal: Arc<dyn Journal>,
    batch: usize,
    linger: Duration,
    counters: Counters,
    /// The last position that somebody in this process queued or waits for.
    wanted: watch::Sender<Position>,
    applied: watch::Sender<Position>,
}

impl Shared {
    /// The journal has a write of this process.
    fn queued(&self, position: Position) {
        self.counters.queued.add();
        self.wants(position);
    }

    /// Somebody wants to know when this is applied.
    fn wants(&self, position: Position) {
        self.wanted.send_if_modified(|last| {
            let is_later = position > *last;
            *last = position.max(*last);
            is_later
        });
    }
}

/// Ends the flusher when the last handle goes.
struct Task {
    ends: watch::Sender<bool>,
    _handle: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.ends.send_replace(true);
    }
}

/// How a queue is begun.
#[derive(Debug)]
pub struct QueueBuilder {
    name: String,
    batch: usize,
    linger: Duration,
}

impl<V: Cacheable> Queue<V> {
    /// A queue of this name. Instances that share a journal share the queue, and one of them at a time drains it.
    pub fn builder(name: impl Into<String>) -> QueueBuilder {
        QueueBuilder { name: name.into(), batch: 100, linger: Duration::from_millis(20) }
    }

    /// Queues a write; returns when the journal has it.
    ///
    /// # Errors
    /// [`QueueErrorKind`] says what became of the write.
    pub async fn push(&self, key: &str, value: &V) -> Result<Position, QueueError> {
        let payload = payload::encode(value).map_err(QueueError::not_queued)?;
        let applied = *self.shared.applied.borrow();
        let position = self.shared.journal.append(key, payload).await?;
        if position <= applied {
            let journal = self.shared.journal.describe();
            return Err(QueueError::not_queued(format!(
                "{journal} is older than the database, which has applied a later state of it, and would pass over this write: restore \
                 that state, or begin another journal"
            )));
        }
        self.shared.queued(position);
        Ok(position)
    }

    /// Waits until everything queued before is in the database.
    pub async fn flushed(&self, position: Position) {
        self.shared.wants(position);
        // It ends when the task does, with the last handle, which is this one at the earliest.
        drop(self.shared.applied.subscribe().wait_for(|applied| *applied >= position).await);
    }

    /// What the queue did, and how much waits.
    ///
    /// # Errors
    /// The journal's, where it does not say how much it holds.
    pub async fn stats(&self) -> Result<QueueStats, QueueError> {
        let depth: Depth = self.shared.journal.depth().await?;
        Ok(self.shared.counters.stats(depth))
    }
}

impl QueueBuilder {
    /// How many records one transaction takes at most, 100 unless told.
    #[must_use]
    pub fn batch(self, records: usize) -> Self {
        Self { batch: records, ..self }
    }

    /// How long a record waits for others to share its transaction, 20 ms unless told.
    #[must_use]
    pub fn linger(self, linger: Duration) -> Self {
        Self { linger, ..self }
    }

    /// Begins to drain the journal into the pool's database, in a task of the current tokio runtime.
    ///
    /// # Errors
    /// A batch of 0, an empty name, or a database without the tables of [`migrate`](crate::migrate).
    pub async fn start<V: Cacheable, F: Flush<V>>(
        self,
        cache: &Cache,
        pool: &PgPool,
        journal: impl Journal,
        flush: F,
    ) -> Result<Queue<V>, BuildError> {
        let Self { name, batch, linger } = self;
        let mut mistakes = Vec::new();
        if name.is_empty() || name.len() > 200 || name.contains('\0') {
            mistakes.push(
                "a queue needs a name of 1 to 200 bytes, which also names its row in the database".to_owned(),
            );
        }
        if batch == 0 {
            mistakes
                .push(format!("the queue `{name}` would take 0 writes at a time: give `batch` at least 1"));
        }
        if mistakes.is_empty()
            && let Err(error) =
                sqlx::query("SELECT FROM cache_queues, cache_dead_letters LIMIT 0").execute(pool).await
            && error.as_database_error().is_some()
        {
            mistakes.push(format!(
                "the queue `{name}` needs its tables: call `cache_sqlx::migrate(&pool)` at start ({error})"
            ));
        }
        if !mistakes.is_empty() {
            return Err(BuildError::new(mistakes));
        }
        let journal: Arc<dyn Journal> = Arc::new(journal);
        tracing::info!(queue = name, journal = journal.describe(), "{}", journal.survives());
        let counters = Counters::default();
        let (wanted, applied) = (watch::Sender::new(Position(0)), watch::Sender::new(Position(0)));
        let shared = Arc::new(Shared {
            name,
            cache: cache.clone(),
            pool: pool.clone(),
            journal,
            batch,
            linger,
            counters,
            wanted,
            applied,
        });
        let (ends, ending) = watch::channel(false);
        let flusher = Flusher::new(shared.clone(), flush, ending);
        let task = Task { ends, _handle: tokio::spawn(flusher.run::<V>()) };
        Ok(Queue { shared, _task: Arc::new(task), value: PhantomData })
    }
}
