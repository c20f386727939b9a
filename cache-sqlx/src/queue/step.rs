//! One flush: lock, read, apply, remember how far, commit. Refuses to apply what the database says is applied, and to go on while
//! anybody else flushes the same journal.

use std::collections::HashMap;

use cache_core::journal::{Journal, Position, Record};
use cache_core::{Cache, Cacheable};
use sqlx::PgPool;

use super::{Flush, Write, payload};
use crate::{PgTx, begin};

/// How often a write that is alone may be refused before it is put aside: within about a second.
const REFUSED: u32 = 6;
/// The same for one that this release does not understand, since an instance of the release that does may come: about a minute.
const STRANGE: u32 = 20;

/// What a flush did.
#[derive(Debug)]
pub(super) enum Step {
    /// So many records are applied now, the last of them here.
    Applied { records: usize, writes: usize, last: Position },
    /// There was nothing behind this position.
    Nothing(Position),
    /// Somebody else flushes this journal.
    Elsewhere,
}

/// Why a flush did nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The database or the journal: the same again, later.
    Away(String),
    /// The writes themselves, from this position on, so many; to be tried so often when one is alone.
    Poison { after: Position, records: usize, attempts: u32, reason: String },
}

pub(super) struct Place<'a> {
    pub(super) cache: &'a Cache,
    pub(super) pool: &'a PgPool,
    pub(super) journal: &'a dyn Journal,
    pub(super) queue: &'a str,
}

fn away(error: &impl ToString) -> Trouble {
    Trouble::Away(error.to_string())
}

fn digits(position: Position) -> String {
    format!("{:032x}", position.0)
}

impl Place<'_> {
    /// Takes the queue for one transaction: how far it is applied; `None` while somebody else has it.
    async fn lock(&self, tx: &mut PgTx<'_>) -> Result<Option<Position>, Trouble> {
        let journal = self.journal.id().to_string();
        let lock = || {
            sqlx::query_scalar::<_, String>(
                "SELECT position FROM cache_queues WHERE queue = $1 AND journal = $2 FOR UPDATE SKIP LOCKED",
            )
        };
        let mut found =
            lock().bind(self.queue).bind(&journal).fetch_optional(&mut *tx).await.map_err(|e| away(&e))?;
        if found.is_none() {
            // The first flush of this journal, or somebody else has it.
            let begun = sqlx::query("INSERT INTO cache_queues VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                .bind(self.queue)
                .bind(&journal)
                .bind(digits(Position(0)))
                .execute(&mut *tx)
                .await
                .map_err(|e| away(&e))?;
            if begun.rows_affected() == 1 {
                found = Some(digits(Position(0)));
            }
        }
        let Some(found) = found else { return Ok(None) };
        let position = u128::from_str_radix(&found, 16);
        position.map(|position| Some(Position(position))).map_err(|_| {
            Trouble::Away(format!("`{found}` in cache_queues is no position of the queue `{}`", self.queue))
        })
    }

    async fn moves(&self, tx: &mut PgTx<'_>, to: Position) -> Result<(), Trouble> {
        sqlx::query("UPDATE cache_queues SET position = $3 WHERE queue = $1 AND journal = $2")
            .bind(self.queue)
            .bind(self.journal.id().to_string())
            .bind(digits(to))
            .execute(&mut *tx)
            .await
            .map(drop)
            .map_err(|e| away(&e))
    }

    /// Applies up to `limit` records.
    pub(super) async fn flush<V: Cacheable, F: Flush<V>>(
        &self,
        flush: &F,
        limit: usize,
    ) -> Result<Step, Trouble> {
        let mut tx = begin(self.cache, self.pool).await.map_err(|e| away(&e))?;
        let Some(after) = self.lock(&mut tx).await? else { return Ok(Step::Elsewhere) };
        let records = self.journal.read(after, limit).await.map_err(|e| away(&e))?;
        let Some(last) = records.last().map(|record| record.position) else {
            return Ok(Step::Nothing(after));
        };
        let count = records.len();
        let poison = |attempts, reason| Trouble::Poison { after, records: count, attempts, reason };
        let writes = coalesced(records, flush).map_err(|reason| poison(STRANGE, reason))?;
        let written = writes.len();
        match flush.flush(&mut tx, writes).await {
            Ok(()) => {}
            Err(error) if is_of_the_writes(&error) => return Err(poison(REFUSED, error.to_string())),
            Err(error) => return Err(away(&error)),
        }
        self.moves(&mut tx, last).await?;
        match tx.commit().await {
            Ok(()) => Ok(Step::Applied { records: count, writes: written, last }),
            // A deferred constraint speaks at COMMIT.
            Err(error) if is_of_the_writes(&error) => Err(poison(REFUSED, error.to_string())),
            Err(error) => Err(away(&error)),
        }
    }

    /// Puts the record behind this position aside, with the reason, and goes on behind it.
    pub(super) async fn bury(&self, after: Position, reason: &str) -> Result<Step, Trouble> {
        let mut tx = begin(self.cache, self.pool).await.map_err(|e| away(&e))?;
        let Some(applied) = self.lock(&mut tx).await? else { return Ok(Step::Elsewhere) };
        if applied != after {
            return Ok(Step::Elsewhere);
        }
        let records = self.journal.read(after, 1).await.map_err(|e| away(&e))?;
        let Some(Record { position, key, payload, .. }) = records.into_iter().next() else {
            return Ok(Step::Nothing(after));
        };
        sqlx::query("INSERT INTO cache_dead_letters (queue, key, payload, reason) VALUES ($1, $2, $3, $4)")
            .bind(self.queue)
            // Postgres takes no NUL in a text.
            .bind(key.replace('\0', "\u{fffd}"))
            .bind(&payload[..])
            .bind(reason.replace('\0', "\u{fffd}"))
            .execute(&mut *tx)
            .await
            .map_err(|e| away(&e))?;
        self.moves(&mut tx, position).await?;
        tx.commit().await.map_err(|e| away(&e))?;
        tracing::error!(queue = self.queue, key, reason, "a queued write was put into cache_dead_letters");
        Ok(Step::Applied { records: 1, writes: 0, last: position })
    }
}

/// The writes of these records, one a key, in the order of the last of each.
fn coalesced<V: Cacheable, F: Flush<V>>(records: Vec<Record>, flush: &F) -> Result<Vec<Write<V>>, String> {
    let mut places = HashMap::<String, usize>::new();
    let mut writes = Vec::<Option<Write<V>>>::new();
    for Record { key, payload: bytes, .. } in records {
        let value =
            payload::decode::<V>(&bytes).map_err(|error| format!("a queued write of `{key}`: {error}"))?;
        let earlier = places.get(&key).and_then(|&place| writes[place].take());
        let value = match earlier {
            Some(earlier) => flush.merge(earlier.value, value),
            None => value,
        };
        places.insert(key.clone(), writes.len());
        writes.push(Some(Write { key, value }));
    }
    Ok(writes.into_iter().flatten().collect())
}

/// Whether the data are what the database refuses: the same again would fail again, and other data would not.
fn is_of_the_writes(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        // Cardinality, data, constraint, trigger, WITH CHECK OPTION, RAISE. A table that is missing or may not be written (42) is
        // nobody's data.
        Some(code) => ["21", "22", "23", "27", "44", "P0"].iter().any(|class| code.starts_with(class)),
        None => matches!(
            error,
            sqlx::Error::Encode(_)
                | sqlx::Error::Decode(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::RowNotFound
        ),
    }
}
