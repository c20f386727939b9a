//! Writes that are acknowledged once a journal has them, and reach Postgres in batches. Refuses to apply one twice, to change the
//! order of one key's, and to acknowledge what may be lost.

mod applied;
mod builder;
mod dead;
mod error;
mod flusher;
mod payload;
mod push;
mod stats;
mod step;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use applied::registers;
pub use builder::QueueBuilder;
use cache_core::journal::{self, Drains, Journal, Position, WriteBehind};
use cache_core::site::QueueSite;
use cache_core::store::BoxFuture;
use cache_core::time::{Clock, SystemClock};
use cache_core::{Cache, Cacheable};
pub use dead::DeadLetter;
pub use error::{QueueError, QueueErrorKind};
use sqlx::PgPool;
pub use stats::QueueStats;
pub(crate) use step::is_of_the_writes;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::push::Pushes;
use self::stats::Counters;
use self::step::Place;
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
    /// The name of the type of its writes.
    holds: String,
    cache: Cache,
    pool: PgPool,
    journal: Arc<dyn Journal>,
    batch: usize,
    linger: Duration,
    counters: Counters,
    /// The last position that somebody in this process queued or waits for.
    wanted: watch::Sender<Position>,
    applied: watch::Sender<Position>,
    pushes: Arc<Pushes>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name)
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The journal has a write of this process; `applied` is what was applied before it was appended.
    ///
    /// # Errors
    /// It will never reach the database.
    fn is_new(&self, position: Position, applied: Position) -> Result<(), QueueError> {
        if position <= applied {
            let journal = self.journal.describe();
            return Err(QueueError::not_queued(format!(
                "{journal} is older than the database, which has applied a later state of it, and would pass over this write: restore \
                 that state, or begin another journal"
            )));
        }
        self.counters.queued.add();
        self.wants(position);
        Ok(())
    }

    fn place(&self) -> Place<'_> {
        let Self { cache, pool, journal, name, holds, .. } = self;
        Place { cache, pool, journal: &**journal, queue: name, holds }
    }

    /// Waits until this position is applied.
    async fn reaches(&self, position: Position) {
        self.wants(position);
        // It ends when the task does, with the last handle, which somebody has who waits.
        drop(self.applied.subscribe().wait_for(|applied| *applied >= position).await);
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

impl Queue<()> {
    /// A queue of this name. Instances that share a journal share the queue, and one of them at a time drains it.
    pub fn builder(name: impl Into<String>) -> QueueBuilder {
        QueueBuilder::new(name.into())
    }
}

impl<V: Cacheable> Queue<V> {
    /// Queues a write; returns when the journal has it.
    ///
    /// # Errors
    /// [`QueueErrorKind`] says what became of the write.
    pub async fn push(&self, key: &str, value: &V) -> Result<Position, QueueError> {
        let payload = payload::encode(value, 0).map_err(QueueError::not_queued)?;
        let applied = *self.shared.applied.borrow();
        let position = self.shared.journal.append(key, payload).await?;
        self.shared.is_new(position, applied)?;
        Ok(position)
    }

    /// Waits until everything queued before is in the database.
    pub async fn flushed(&self, position: Position) {
        self.shared.reaches(position).await;
    }

    /// Waits until everything that anybody has queued before is in the database: for a shutdown that leaves the journal empty.
    pub async fn drain(&self) {
        self.shared.drained().await;
    }

    /// What the queue did, and how much waits.
    ///
    /// # Errors
    /// The journal's, where it does not say how much it holds.
    pub async fn stats(&self) -> Result<QueueStats, QueueError> {
        let journal = &self.shared.journal;
        let depth = journal.depth().await?;
        let applied = *self.shared.applied.borrow();
        let oldest = journal.read(applied, 1).await?;
        let lag = oldest.first().map(|record| SystemClock::default().wall().since(record.at));
        Ok(self.shared.counters.stats(depth, lag))
    }
}

impl<V: Cacheable> WriteBehind<V> for Queue<V> {
    type Error = QueueError;

    fn write_behind<'a>(
        &'a self,
        site: &'static QueueSite,
        key: String,
        value: &V,
    ) -> BoxFuture<'a, Result<(), QueueError>> {
        let payload = payload::encode(value, journal::kind::<V>(site.template));
        Box::pin(async move { self.shared.push_shown(key, payload.map_err(QueueError::not_queued)?).await })
    }
}

impl Drains for Shared {
    fn drained(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            // What is behind this position came later.
            let mut last = *self.applied.borrow();
            while let Ok(records) = self.journal.read(last, step::AT_ONCE).await
                && let Some(record) = records.last()
            {
                last = record.position;
            }
            self.reaches(last).await;
        })
    }
}
