//! Numbers that are merged in the store and written to Postgres now and then: views, last seen. Refuses to hold a caller up for the
//! database, and to write a batch twice.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cache_core::error::{BuildError, StoreError};
use cache_core::tally::{Taken, Tally};
use sqlx::PgPool;
use tokio::sync::watch;

/// The journal by which a counter's row in `cache_queues` is known.
const ROW: &str = "counter";
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// Writes numbers to the database.
///
/// ```no_run
/// use cache_sqlx::FlushNumbers;
/// use sqlx::PgConnection;
///
/// struct Views;
///
/// impl FlushNumbers for Views {
///     async fn flush(&self, connection: &mut PgConnection, numbers: &[(String, i64)]) -> sqlx::Result<()> {
///         let (slugs, counts): (Vec<&str>, Vec<i64>) = numbers.iter().map(|(slug, n)| (slug.as_str(), *n)).unzip();
///         sqlx::query(
///             "UPDATE articles SET views = views + new.n
///              FROM UNNEST($1::text[], $2::bigint[]) new (slug, n) WHERE articles.slug = new.slug",
///         )
///         .bind(slugs)
///         .bind(counts)
///         .execute(connection)
///         .await
///         .map(drop)
///     }
/// }
/// ```
pub trait FlushNumbers: Send + Sync + 'static {
    /// Adds what was counted, or sets what is greater: each key once, with the number that its numbers came to. If the database refuses the data, it runs
    /// again with each key alone, and what is refused then is dropped.
    fn flush(
        &self,
        connection: &mut sqlx::PgConnection,
        numbers: &[(String, i64)],
    ) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Counts in the store, and a task that writes what was counted to the database. Clones share both; the task ends with the last clone, and what
/// waits then waits for the next one.
#[derive(Clone)]
pub struct Counter {
    tally: Arc<dyn Tally>,
    wakes: watch::Sender<u64>,
    flushed: watch::Receiver<u64>,
    _ends: Arc<watch::Sender<bool>>,
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").field("tally", &self.tally).finish_non_exhaustive()
    }
}

/// How a counter is begun.
#[derive(Debug)]
pub struct CounterBuilder {
    name: String,
    every: Duration,
    batch: usize,
}

impl Counter {
    /// A counter of this name, which is also that of its row in `cache_queues`. Instances that share a tally share it.
    pub fn builder(name: impl Into<String>) -> CounterBuilder {
        CounterBuilder { name: name.into(), every: Duration::from_secs(1), batch: 1000 }
    }

    /// Merges a number into what waits for a key: one round trip to the store, none to the database.
    ///
    /// # Errors
    /// The store's: the number is not counted, or, if the answer was lost, it may be.
    pub async fn count(&self, key: &str, number: i64) -> Result<(), StoreError> {
        self.tally.merge(key, number).await
    }

    /// What was counted for a key and may not be in the database yet; 0 where nothing waits.
    ///
    /// # Errors
    /// The store's.
    pub async fn waiting(&self, key: &str) -> Result<i64, StoreError> {
        self.tally.waiting(key).await
    }

    /// Writes what was counted before to the database, and returns when it is there.
    pub async fn flush(&self) {
        let mut wanted = 0;
        // The round that is under way may have taken its numbers before.
        self.wakes.send_modify(|last| {
            *last += 1;
            wanted = *last;
        });
        drop(self.flushed.clone().wait_for(|done| *done >= wanted).await);
    }
}

impl CounterBuilder {
    /// How often what was counted is written, every second unless told.
    #[must_use]
    pub fn every(self, every: Duration) -> Self {
        Self { every, ..self }
    }

    /// About how many keys one transaction takes, 1,000 unless told.
    #[must_use]
    pub fn batch(self, keys: usize) -> Self {
        Self { batch: keys, ..self }
    }

    /// Begins to write what the tally has into the pool's database, in a task of the current tokio runtime.
    ///
    /// # Errors
    /// A batch of 0, a pause of 0, no name, or a database without the tables of [`migrate`](crate::migrate).
    pub async fn start(
        self,
        pool: &PgPool,
        tally: impl Tally,
        flush: impl FlushNumbers,
    ) -> Result<Counter, BuildError> {
        let Self { name, every, batch } = self;
        let mut mistakes = Vec::new();
        if name.is_empty() || name.len() > 200 || name.contains('\0') {
            mistakes.push(
                "a counter needs a name of 1 to 200 bytes, which also names its row in the database"
                    .to_owned(),
            );
        }
        if batch == 0 {
            mistakes
                .push(format!("the counter `{name}` would write 0 keys at a time: give `batch` at least 1"));
        }
        if every.is_zero() {
            mistakes
                .push(format!("the counter `{name}` would write without a pause: give `every` some time"));
        }
        let row = sqlx::query(
            "INSERT INTO cache_queues VALUES ($1, $2, repeat('0', 32), repeat('0', 32), 'numbers') ON CONFLICT DO NOTHING",
        );
        if mistakes.is_empty()
            && let Err(error) = row.bind(&name).bind(ROW).execute(pool).await
        {
            mistakes.push(format!(
                "the counter `{name}` needs its row in cache_queues: call `cache_sqlx::migrate(&pool)` at start ({error})"
            ));
        }
        if !mistakes.is_empty() {
            return Err(BuildError::new(mistakes));
        }
        let tally: Arc<dyn Tally> = Arc::new(tally);
        tracing::info!(
            counter = name,
            "{}: what waits is lost with it, and survives the death of this process only if it lies elsewhere",
            tally.describe()
        );
        let (wakes, (flushed, done), (ends, ending)) =
            (watch::Sender::new(0), watch::channel(0), watch::channel(false));
        let writer = Writer { name, pool: pool.clone(), tally: tally.clone(), flush, batch };
        tokio::spawn(writer.run(every, wakes.subscribe(), flushed, ending));
        Ok(Counter { tally, wakes, flushed: done, _ends: Arc::new(ends) })
    }
}

struct Writer<F> {
    name: String,
    pool: PgPool,
    tally: Arc<dyn Tally>,
    flush: F,
    batch: usize,
}

impl<F: FlushNumbers> Writer<F> {
    async fn run(
        self,
        every: Duration,
        mut wakes: watch::Receiver<u64>,
        flushed: watch::Sender<u64>,
        mut ending: watch::Receiver<bool>,
    ) {
        let mut pause = every;
        loop {
            let round = async {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    woken = wakes.changed() => if woken.is_err() { std::future::pending().await },
                }
                let wanted = *wakes.borrow_and_update();
                (wanted, self.drain().await)
            };
            let (wanted, drained) = tokio::select! {
                biased;
                // The last handle is gone. A transaction that was under way is rolled back, or was made: its row says which.
                _ = ending.wait_for(|ends| *ends) => return,
                round = round => round,
            };
            match drained {
                Ok(()) => {
                    pause = every;
                    flushed.send_replace(wanted);
                }
                Err(error) => {
                    pause = (pause * 2).min(LAST_PAUSE.max(every));
                    tracing::warn!(counter = self.name, error, "numbers could not be written; trying on");
                }
            }
        }
    }

    /// Writes all that waits.
    async fn drain(&self) -> Result<(), String> {
        while let Some(id) = self.write().await? {
            self.tally.done(id).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    /// Writes a batch, unless it is written already; which one that was. It is taken under the lock of the counter's row: taken before, another
    /// process might write it, and the one after it, and leave no trace of it in the row.
    async fn write(&self) -> Result<Option<u128>, String> {
        let said = |error: sqlx::Error| error.to_string();
        let mut transaction = self.pool.begin().await.map_err(said)?;
        let last: String = sqlx::query_scalar(
            "SELECT position FROM cache_queues WHERE queue = $1 AND journal = $2 FOR UPDATE",
        )
        .bind(&self.name)
        .bind(ROW)
        .fetch_one(&mut *transaction)
        .await
        .map_err(said)?;
        let Some(Taken { id, numbers }) = self.tally.take(self.batch).await.map_err(|e| e.to_string())?
        else {
            return Ok(None);
        };
        let digits = format!("{id:032x}");
        if last != digits {
            self.write_all(&mut transaction, &numbers).await.map_err(said)?;
            sqlx::query(
                "UPDATE cache_queues SET position = $3, settled = $3 WHERE queue = $1 AND journal = $2",
            )
            .bind(&self.name)
            .bind(ROW)
            .bind(&digits)
            .execute(&mut *transaction)
            .await
            .map_err(said)?;
            transaction.commit().await.map_err(said)?;
        }
        Ok(Some(id))
    }

    async fn write_all(
        &self,
        transaction: &mut sqlx::PgConnection,
        numbers: &[(String, i64)],
    ) -> sqlx::Result<()> {
        use sqlx::Connection;
        let mut savepoint = transaction.begin().await?;
        match self.flush.flush(&mut savepoint, numbers).await {
            Ok(()) => return savepoint.commit().await,
            Err(error) if crate::queue::is_of_the_writes(&error) => savepoint.rollback().await?,
            Err(error) => return Err(error),
        }
        for one in numbers {
            let mut savepoint = transaction.begin().await?;
            match self.flush.flush(&mut savepoint, std::slice::from_ref(one)).await {
                Ok(()) => savepoint.commit().await?,
                Err(error) if crate::queue::is_of_the_writes(&error) => {
                    savepoint.rollback().await?;
                    tracing::error!(counter = self.name, key = one.0, %error, "a number was refused and dropped");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
