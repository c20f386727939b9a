//! One flush: lock, read, apply, remember how far, commit. Refuses to apply what the database says is applied, and to go on while
//! anybody else flushes the same journal.

use std::collections::{BTreeSet, HashMap};

use cache_core::WriteScope as _;
use cache_core::journal::{Journal, Position, Record};
use cache_core::store::PendRequest;
use cache_core::subject::{EntryKey, Kind, Subject};
use cache_core::{Cache, Cacheable};
use sqlx::PgPool;

use super::{Flush, Write, payload};
use crate::{PgTx, begin};

/// How often a write that is alone may be refused before it is put aside: within about a second.
const REFUSED: u32 = 6;
/// The same for one that this release does not understand, since an instance of the release that does may come: about a minute.
const STRANGE: u32 = 20;

/// How many records are looked through in one read.
pub(super) const AT_ONCE: usize = 500;

/// What a flush did.
#[derive(Debug)]
pub(super) enum Step {
    /// So many records are applied now, the last of them here; the store has to be told of these subjects.
    Applied { records: usize, writes: usize, last: Position, subjects: Vec<Subject> },
    /// There was nothing behind this position.
    Nothing(Position),
    /// Somebody else flushes this journal.
    Elsewhere,
}

/// What the database has and the store was not told of yet.
#[derive(Debug, Default)]
pub(super) struct Owed {
    pub(super) subjects: Vec<Subject>,
    pub(super) applied: Position,
}

/// How far a journal is applied, and up to where the store was told.
#[derive(Clone, Copy)]
struct Row {
    applied: Position,
    settled: Position,
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
    /// The name of the type of its writes.
    pub(super) holds: &'a str,
}

fn away(error: &impl ToString) -> Trouble {
    Trouble::Away(error.to_string())
}

fn digits(position: Position) -> String {
    format!("{:032x}", position.0)
}

impl Place<'_> {
    /// Takes the queue for one transaction: how far it is applied; `None` while somebody else has it. What was applied by one who died
    /// before the store was told is told now; up to `told` it was, or is about to be.
    async fn lock(&self, tx: &mut PgTx<'_>, told: Position) -> Result<Option<Position>, Trouble> {
        let Some(row) = self.row(tx).await? else { return Ok(None) };
        if row.settled < row.applied && told < row.applied {
            let mut after = row.settled;
            while after < row.applied {
                let mut records = self.journal.read(after, AT_ONCE).await.map_err(|e| away(&e))?;
                records.retain(|record| record.position <= row.applied);
                let Some(last) = records.last().map(|record| record.position) else { break };
                self.settle(&self.subjects(&records), row.applied).await?;
                after = last;
            }
        }
        Ok(Some(row.applied))
    }

    async fn row(&self, tx: &mut PgTx<'_>) -> Result<Option<Row>, Trouble> {
        let journal = self.journal.id().to_string();
        let found: Option<(String, String)> = sqlx::query_as(
            "SELECT position, settled FROM cache_queues WHERE queue = $1 AND journal = $2 FOR UPDATE SKIP LOCKED",
        )
        .bind(self.queue)
        .bind(&journal)
        .fetch_optional(&mut *tx)
        .await
        .map_err(|e| away(&e))?;
        let Some((position, settled)) = found else {
            // The first flush of this journal, or somebody else has it.
            let begun =
                sqlx::query("INSERT INTO cache_queues VALUES ($1, $2, $3, $3, $4) ON CONFLICT DO NOTHING")
                    .bind(self.queue)
                    .bind(&journal)
                    .bind(digits(Position(0)))
                    .bind(self.holds)
                    .execute(&mut *tx)
                    .await
                    .map_err(|e| away(&e))?;
            let nothing = Row { applied: Position(0), settled: Position(0) };
            return Ok((begun.rows_affected() == 1).then_some(nothing));
        };
        let read = |text: &str| {
            u128::from_str_radix(text, 16).map(Position).map_err(|_| {
                Trouble::Away(format!(
                    "`{text}` in cache_queues is no position of the queue `{}`",
                    self.queue
                ))
            })
        };
        Ok(Some(Row { applied: read(&position)?, settled: read(&settled)? }))
    }

    /// Remembers what is applied now; the store was told of everything before.
    async fn moves(&self, tx: &mut PgTx<'_>, from: Position, to: Position) -> Result<(), Trouble> {
        sqlx::query("UPDATE cache_queues SET position = $3, settled = $4, holds = $5 WHERE queue = $1 AND journal = $2")
            .bind(self.queue)
            .bind(self.journal.id().to_string())
            .bind(digits(to))
            .bind(digits(from))
            .bind(self.holds)
            .execute(&mut *tx)
            .await
            .map(drop)
            .map_err(|e| away(&e))
    }

    /// What the records change, each once, as far as readers are shown it.
    fn subjects(&self, records: &[Record]) -> Vec<Subject> {
        let shown = records.iter().filter(|record| payload::shown(&record.payload).is_some());
        let subjects: BTreeSet<_> = shown.map(|record| self.subject(&record.key)).collect();
        subjects.into_iter().collect()
    }

    /// What changes under this key.
    pub(super) fn subject(&self, key: &str) -> Subject {
        self.cache.namespace().subject(Kind::Entity, |text| text.literal(key))
    }

    /// Tells the store that the database has these writes.
    pub(super) async fn settle(&self, subjects: &[Subject], applied: Position) -> Result<(), Trouble> {
        self.cache.settle(subjects, self.journal.id(), applied).await.map_err(|e| away(&e))
    }

    /// Shows readers what these records say, where they are not shown it.
    pub(super) async fn stand(&self, records: &[Record]) -> Result<(), Trouble> {
        let shown = |record: &Record| {
            let (field, payload) = payload::shown(&record.payload)?;
            Some((EntryKey { subject: self.subject(&record.key), field }, record.position, payload))
        };
        let shown: Vec<_> = records.iter().filter_map(shown).collect();
        let journal = self.journal.id();
        let writes: Vec<_> = shown
            .iter()
            .map(|(key, position, payload)| PendRequest { key, journal, position: *position, payload })
            .collect();
        self.cache.pend_again(&writes).await.map_err(|e| away(&e))
    }

    /// Applies up to `limit` records, and settles meanwhile what the flush before has applied.
    pub(super) async fn flush<V: Cacheable, F: Flush<V>>(
        &self,
        flush: &F,
        limit: usize,
        before: &Owed,
    ) -> Result<Step, Trouble> {
        let mut tx = begin(self.cache, self.pool).await.map_err(|e| away(&e))?;
        tx.recording().flushes();
        let Some(after) = self.lock(&mut tx, before.applied).await? else { return Ok(Step::Elsewhere) };
        let records = self.journal.read(after, limit).await.map_err(|e| away(&e))?;
        let Some(last) = records.last().map(|record| record.position) else {
            return Ok(Step::Nothing(after));
        };
        let count = records.len();
        let subjects = self.subjects(&records);
        let poison = |attempts, reason| Trouble::Poison { after, records: count, attempts, reason };
        let writes = coalesced(&records, flush).map_err(|reason| poison(STRANGE, reason))?;
        let written = writes.len();
        let told = async {
            self.settle(&before.subjects, before.applied).await?;
            // A process may have died before it showed them, and the store may have lost what was shown: made good before the change
            // is visible, so that nobody sees the old value after the new one.
            self.stand(&records).await
        };
        let (told, flushed) = tokio::join!(told, flush.flush(&mut tx, writes));
        told?;
        match flushed {
            Ok(()) => {}
            Err(error) if is_of_the_writes(&error) => return Err(poison(REFUSED, error.to_string())),
            Err(error) => return Err(away(&error)),
        }
        self.moves(&mut tx, after, last).await?;
        match tx.commit().await {
            Ok(()) => Ok(Step::Applied { records: count, writes: written, last, subjects }),
            // A deferred constraint speaks at COMMIT.
            Err(error) if is_of_the_writes(&error) => Err(poison(REFUSED, error.to_string())),
            Err(error) => Err(away(&error)),
        }
    }

    /// Puts the record behind this position aside, with the reason, and goes on behind it.
    pub(super) async fn bury(&self, after: Position, reason: &str) -> Result<Step, Trouble> {
        let mut tx = begin(self.cache, self.pool).await.map_err(|e| away(&e))?;
        let Some(applied) = self.lock(&mut tx, Position(0)).await? else { return Ok(Step::Elsewhere) };
        if applied != after {
            return Ok(Step::Elsewhere);
        }
        let records = self.journal.read(after, 1).await.map_err(|e| away(&e))?;
        let subjects = self.subjects(&records);
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
        self.moves(&mut tx, after, position).await?;
        tx.commit().await.map_err(|e| away(&e))?;
        tracing::error!(queue = self.queue, key, reason, "a queued write was put into cache_dead_letters");
        Ok(Step::Applied { records: 1, writes: 0, last: position, subjects })
    }
}

/// The writes of these records, one a key, in the order of the last of each.
fn coalesced<V: Cacheable, F: Flush<V>>(records: &[Record], flush: &F) -> Result<Vec<Write<V>>, String> {
    let mut places = HashMap::<&str, usize>::new();
    let mut writes = Vec::<Option<Write<V>>>::new();
    for Record { key, payload: bytes, .. } in records {
        let value =
            payload::decode::<V>(bytes).map_err(|error| format!("a queued write of `{key}`: {error}"))?;
        let earlier = places.get(key.as_str()).and_then(|&place| writes[place].take());
        let value = match earlier {
            Some(earlier) => flush.merge(earlier.value, value),
            None => value,
        };
        places.insert(key, writes.len());
        writes.push(Some(Write { key: key.clone(), value }));
    }
    Ok(writes.into_iter().flatten().collect())
}

/// Whether the data are what the database refuses: the same again would fail again, and other data would not.
pub(crate) fn is_of_the_writes(error: &sqlx::Error) -> bool {
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
