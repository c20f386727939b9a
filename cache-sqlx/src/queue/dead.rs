//! Writes that were put aside: to look at, to queue again, to give up. Refuses to drop one that was queued again but not
//! acknowledged.

use cache_core::Cacheable;
use sqlx::FromRow;

use super::{Queue, QueueError, payload};

/// A write that the database refused again and again.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number, for [`Queue::replay`].
    pub id: i64,
    /// What it changes.
    pub key: String,
    /// The write as it was queued.
    pub payload: Vec<u8>,
    /// What the database said.
    pub reason: String,
}

impl DeadLetter {
    /// The value that was queued.
    ///
    /// # Errors
    /// Bytes of another type.
    pub fn value<V: Cacheable>(&self) -> Result<V, cache_core::codec::CodecError> {
        payload::decode(&self.payload)
    }
}

impl<V: Cacheable> Queue<V> {
    /// Up to a thousand writes that were put aside, those of longest ago first.
    ///
    /// # Errors
    /// The database's.
    pub async fn dead_letters(&self) -> sqlx::Result<Vec<DeadLetter>> {
        sqlx::query_as(
            "SELECT id, key, payload, reason FROM cache_dead_letters WHERE queue = $1 ORDER BY id LIMIT 1000",
        )
        .bind(&self.shared.name)
        .fetch_all(&self.shared.pool)
        .await
    }

    /// Queues a write again that was put aside; `false` if there is none of this number. It comes behind what was queued meanwhile, also for
    /// its own key. Should the process die in the middle, it may be queued and put aside, and be applied twice if it is replayed
    /// again.
    ///
    /// # Errors
    /// Those of [`push`](Self::push), and the database's; the write stays where it was.
    pub async fn replay(&self, id: i64) -> Result<bool, QueueError> {
        let failed = |error: sqlx::Error| QueueError::not_queued(error);
        let mut transaction = self.shared.pool.begin().await.map_err(failed)?;
        let found: Option<(String, Vec<u8>)> = sqlx::query_as(
            "DELETE FROM cache_dead_letters WHERE queue = $1 AND id = $2 RETURNING key, payload",
        )
        .bind(&self.shared.name)
        .bind(id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let Some((key, payload)) = found else { return Ok(false) };
        let applied = *self.shared.applied.borrow();
        let position = self.shared.journal.append(&key, payload.into()).await?;
        self.shared.is_new(position, applied)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }
}
