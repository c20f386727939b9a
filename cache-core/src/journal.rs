//! The seam to a write-behind journal: what was acknowledged and is not in the database yet. Refuses to interpret payloads, and
//! to give up a record before it is told that it was applied.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::JournalError;
use crate::schema::{self, Cacheable};
use crate::site::{QueueSite, shape};
use crate::store::BoxFuture;
pub use crate::subject::{JournalId, Position};
use crate::time::StoreTime;

/// One acknowledged write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub position: Position,
    /// When it was appended, on the clock of who appended it. For measuring lag; nothing is decided by it.
    pub at: StoreTime,
    /// What it changes: writes of one key are applied in the order of their positions.
    pub key: String,
    /// The write, encoded.
    pub payload: Bytes,
}

/// How much waits in a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Records that were not trimmed yet.
    pub records: u64,
    /// Bytes they take, rounded up to what is given back at once.
    pub bytes: u64,
}

/// What an acknowledged record outlives: the death of the process that appended it, always, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// The sudden end of the process's host, too.
    Host,
    /// The same, except for what was acknowledged in the last of these intervals.
    HostUpTo(Duration),
    /// The process's host, since it lies on a server elsewhere. The sudden end of that server costs this much.
    Server(Costs),
}

/// What the sudden end of a server costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Costs {
    /// Nothing: each record is on the disk before it is acknowledged.
    Nothing,
    /// The records of about the last second.
    LastSecond,
    /// The records since its last snapshot, or all.
    SinceSnapshot,
}

impl fmt::Display for Survives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str(
                "acknowledged writes survive the death of this process and the sudden end of its host",
            ),
            Self::HostUpTo(interval) => write!(
                f,
                "acknowledged writes survive the death of this process; the sudden end of its host costs those of the last {interval:?}"
            ),
            Self::Server(costs) => {
                let costs = match costs {
                    Costs::Nothing => "costs nothing",
                    Costs::LastSecond => "costs those of about the last second",
                    Costs::SinceSnapshot => "costs those since its last snapshot, or all",
                };
                write!(
                    f,
                    "acknowledged writes survive the death of this process and its host; the sudden end of the server {costs}, and its failover what was not replicated"
                )
            }
        }
    }
}

/// A write-behind journal.
pub trait Journal: Send + Sync + fmt::Debug + 'static {
    /// Appends a record. `Ok` only once it survives what [`survives`](Self::survives) says. Records whose appends were awaited one
    /// after the other stand in that order. Dropped, the record may be appended or not.
    fn append<'a>(&'a self, key: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Position, JournalError>>;

    /// As [`append`](Self::append) for each key and payload, in any order; a journal that can makes all durable at once. Dropped, each
    /// may be appended or not.
    fn append_many<'a>(
        &'a self,
        records: &'a [(String, Bytes)],
    ) -> BoxFuture<'a, Vec<Result<Position, JournalError>>> {
        Box::pin(async move {
            let mut positions = Vec::with_capacity(records.len());
            for (key, payload) in records {
                positions.push(self.append(key, payload.clone()).await);
            }
            positions
        })
    }

    /// Up to `limit` durable records behind a position, in order; all of them, before any later one.
    fn read(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, JournalError>>;

    /// Everything up to a position is in the database for good, and need not be kept.
    fn trim(&self, applied: Position) -> BoxFuture<'_, Result<(), JournalError>>;

    /// Resolves when a record may stand behind a position; soon enough if it cannot tell.
    fn grown(&self, beyond: Position) -> BoxFuture<'_, ()>;

    /// How much waits.
    fn depth(&self) -> BoxFuture<'_, Result<Depth, JournalError>>;

    /// Who counts the positions.
    fn id(&self) -> JournalId;

    /// What an acknowledged record outlives.
    fn survives(&self) -> Survives;

    /// One line that names the journal and where it is, without secrets.
    fn describe(&self) -> String;
}

impl<J: Journal + ?Sized> Journal for Arc<J> {
    fn append<'a>(&'a self, key: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Position, JournalError>> {
        (**self).append(key, payload)
    }

    fn append_many<'a>(
        &'a self,
        records: &'a [(String, Bytes)],
    ) -> BoxFuture<'a, Vec<Result<Position, JournalError>>> {
        (**self).append_many(records)
    }

    fn read(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, JournalError>> {
        (**self).read(after, limit)
    }

    fn trim(&self, applied: Position) -> BoxFuture<'_, Result<(), JournalError>> {
        (**self).trim(applied)
    }

    fn grown(&self, beyond: Position) -> BoxFuture<'_, ()> {
        (**self).grown(beyond)
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, JournalError>> {
        (**self).depth()
    }

    fn id(&self) -> JournalId {
        (**self).id()
    }

    fn survives(&self) -> Survives {
        (**self).survives()
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// What a queued write is known by to those who read its key: the value's type and the template.
#[must_use]
pub fn kind<V: Cacheable>(template: &str) -> u64 {
    xxh3_64_with_seed(shape(template).as_bytes(), schema::fingerprint::<V>())
}

/// A queue, seen by `#[writes_behind]`: takes values of one type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take values of type `{V}`",
    note = "`queue` names a `cache_sqlx::Queue<…>` of the type that the cached function with this key reads"
)]
pub trait WriteBehind<V> {
    /// Why a write is not acknowledged.
    type Error;

    /// Queues a write of the key with this text, and shows it to the cached functions with the site's template. The value is
    /// encoded before this returns; the future is done once the write is durable and visible.
    fn write_behind<'a>(
        &'a self,
        site: &'static QueueSite,
        key: String,
        value: &V,
    ) -> BoxFuture<'a, Result<(), Self::Error>>;
}

/// A queue, seen by writes that must come after what it holds.
pub trait Drains: Send + Sync + fmt::Debug + 'static {
    /// Waits until everything queued before is in the database.
    fn drained(&self) -> BoxFuture<'_, ()>;
}

/// Knows how far journals are applied: whoever can read the database that they are flushed to.
pub trait Applied: Send + Sync + fmt::Debug + 'static {
    /// The position up to which everything of a journal is in the database; `None` if it cannot be told, or of another database's journal.
    fn applied(&self, journal: JournalId) -> BoxFuture<'_, Option<Position>>;

    /// Tells one from another: a second one of the same name takes the place of the first.
    fn name(&self) -> &str;

    /// Whether it can still be asked.
    fn is_alive(&self) -> bool {
        true
    }
}
