//! How a queue is begun. Refuses what cannot work: no name, no batch, no tables, a name that holds another type.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cache_core::error::BuildError;
use cache_core::journal::{Drains, Journal, Position};
use cache_core::{Cache, Cacheable};
use sqlx::PgPool;
use tokio::sync::watch;

use super::flusher::Flusher;
use super::stats::Counters;
use super::step::{AT_ONCE, Place, Trouble};
use super::{Flush, Queue, Shared, Task, payload};

/// How a queue is begun.
#[derive(Debug)]
pub struct QueueBuilder {
    name: String,
    batch: usize,
    linger: Duration,
}

impl QueueBuilder {
    pub(super) fn new(name: String) -> Self {
        Self { name, batch: 100, linger: Duration::from_millis(20) }
    }

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
    /// A batch of 0, an empty name, a queue that holds writes of another type, or a database without the tables of
    /// [`migrate`](crate::migrate).
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
        if !mistakes.is_empty() {
            return Err(BuildError::new(mistakes));
        }
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let (wanted, applied) = (watch::Sender::new(Position(0)), watch::Sender::new(Position(0)));
        let shared = Arc::new(Shared {
            name,
            holds: payload::type_name::<V>(),
            cache: cache.clone(),
            pool: pool.clone(),
            journal,
            batch,
            linger,
            counters: Counters::default(),
            wanted,
            applied,
            pushes: Arc::default(),
        });
        enters(&shared).map_err(|mistake| BuildError::new(vec![mistake]))?;
        let known = shared.place().known().await.map_err(|mistake| BuildError::new(vec![mistake]))?;
        tracing::info!(
            queue = shared.name,
            journal = shared.journal.describe(),
            "{}",
            shared.journal.survives()
        );
        match known {
            Some(applied) => shared.shows_again(applied).await,
            None => tracing::warn!(
                queue = shared.name,
                "the database does not say how far the queue is applied: what the cache's store has lost of what waits is shown when it is flushed"
            ),
        }
        super::registers(cache, pool);
        let drains: Arc<dyn Drains> = shared.clone();
        cache.drained_by(Arc::downgrade(&drains));
        let (ends, ending) = watch::channel(false);
        let flusher = Flusher::new(shared.clone(), flush, ending);
        let task = Task { ends, _handle: tokio::spawn(flusher.run::<V>()) };
        Ok(Queue { shared, _task: Arc::new(task), value: PhantomData })
    }
}

impl Shared {
    /// Shows readers what waits in the journal: its process may have died before it had, or with the store.
    async fn shows_again(&self, applied: Position) {
        let (mut last, place) = (applied, self.place());
        while let Ok(records) = self.journal.read(last, AT_ONCE).await
            && let Some(record) = records.last()
        {
            last = record.position;
            if let Err(Trouble::Away(why) | Trouble::Poison { reason: why, .. }) = place.stand(&records).await
            {
                // What was acknowledged stands in the store, unless that lost it; the flush shows it again.
                tracing::warn!(queue = self.name, why, "what waits could not be shown again at start");
                return;
            }
        }
    }
}

/// The queues of this process: a name and a journal hold one type.
static LIVE: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// Enters a queue.
///
/// # Errors
/// Another one of its name and journal holds another type.
fn enters(queue: &Arc<Shared>) -> Result<(), String> {
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    live.retain(|known| known.strong_count() > 0);
    let is_same = |known: &Arc<Shared>| known.name == queue.name && known.journal.id() == queue.journal.id();
    let other =
        live.iter().filter_map(Weak::upgrade).find(|known| is_same(known) && known.holds != queue.holds);
    match other {
        Some(other) => Err(two_types(&queue.place(), &other.holds)),
        None => {
            live.push(Arc::downgrade(queue));
            Ok(())
        }
    }
}

fn two_types(place: &Place<'_>, holds: &str) -> String {
    let (queue, journal, wanted) = (place.queue, place.journal.describe(), place.holds);
    format!(
        "the queue `{queue}` holds writes of type `{holds}` in {journal}, and would be given `{wanted}`: give one of them another name and journal, or let the release that wrote the others drain it first"
    )
}

impl Place<'_> {
    /// How far the queue is applied; `None` if the database does not answer. From now on the queue's row says what it holds.
    ///
    /// # Errors
    /// A database without tables, or a queue that holds something else.
    async fn known(&self) -> Result<Option<Position>, String> {
        let (queue, journal) = (self.queue, self.journal);
        let row: Result<(String, String), sqlx::Error> = async {
            sqlx::query("SELECT FROM cache_dead_letters LIMIT 0").execute(self.pool).await?;
            sqlx::query(
                "INSERT INTO cache_queues VALUES ($1, $2, repeat('0', 32), repeat('0', 32), $3) ON CONFLICT DO NOTHING",
            )
            .bind(queue)
            .bind(journal.id().to_string())
            .bind(self.holds)
            .execute(self.pool)
            .await?;
            sqlx::query_as("SELECT position, holds FROM cache_queues WHERE queue = $1 AND journal = $2")
                .bind(queue)
                .bind(journal.id().to_string())
                .fetch_one(self.pool)
                .await
        }
        .await;
        let (position, holds) = match row {
            Ok(row) => row,
            Err(error) if error.as_database_error().is_some() => {
                return Err(format!(
                    "the queue `{queue}` needs its tables: call `cache_sqlx::migrate(&pool)` at start ({error})"
                ));
            }
            Err(_) => return Ok(None),
        };
        let position = u128::from_str_radix(&position, 16)
            .map(Position)
            .map_err(|_| format!("`{position}` in cache_queues is no position of the queue `{queue}`"))?;
        if holds != self.holds && !journal.read(position, 1).await.is_ok_and(|records| records.is_empty()) {
            return Err(two_types(self, &holds));
        }
        Ok(Some(position))
    }
}
