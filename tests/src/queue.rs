//! A queue of numbers, for processes that are killed: each number leaves a row, so that whatever is missing, twice or out of order shows.

use std::sync::Arc;
use std::time::Duration;

use cache_core::journal::{Costs, Journal as Seam};
use cache_core::{Cache, Cacheable, FileJournal, RedisJournal, RedisStore};
use cache_sqlx::{Flush, PgTx, Queue, Write};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

/// How many keys are written side by side.
pub const KEYS: i64 = 5;

/// Where the numbers end up: in the order in which they were applied.
pub const TABLE: &str =
    "CREATE TABLE numbers (at bigserial PRIMARY KEY, key bigint NOT NULL, number bigint NOT NULL)";

/// Numbers of one key, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Cacheable)]
pub struct Numbers {
    /// The key.
    pub key: i64,
    /// What was queued, none left out.
    pub numbers: Vec<i64>,
}

/// Inserts each number.
#[derive(Debug)]
pub struct Insert;

impl Flush<Numbers> for Insert {
    async fn flush(&self, tx: &mut PgTx<'_>, writes: Vec<Write<Numbers>>) -> sqlx::Result<()> {
        let each = |write: Write<Numbers>| {
            let Numbers { key, numbers } = write.value;
            numbers.into_iter().map(move |number| (key, number))
        };
        let (keys, numbers): (Vec<i64>, Vec<i64>) = writes.into_iter().flat_map(each).unzip();
        sqlx::query(
            "INSERT INTO numbers (key, number)
             SELECT key, number FROM UNNEST($1::bigint[], $2::bigint[]) WITH ORDINALITY AS new (key, number, place) ORDER BY place",
        )
        .bind(keys)
        .bind(numbers)
        .execute(&mut *tx)
        .await
        .map(drop)
    }

    fn merge(&self, earlier: Numbers, mut later: Numbers) -> Numbers {
        later.numbers.splice(0..0, earlier.numbers);
        later
    }
}

/// A journal by its place.
#[derive(Debug)]
pub struct Journal(Arc<dyn Seam>);

impl Journal {
    /// A folder, or `redis://…#name`. Waits for the server, and for the folder while another process ends.
    pub async fn open(place: &str) -> Self {
        loop {
            let opened: Result<Arc<dyn Seam>, _> = match place.split_once('#') {
                Some((url, name)) => {
                    let store = RedisStore::connect(url).await.expect("the server is one");
                    RedisJournal::open(&store, "queue", name, Costs::SinceSnapshot)
                        .await
                        .map(|journal| Arc::new(journal) as _)
                }
                None => FileJournal::open(place).await.map(|journal| Arc::new(journal) as _),
            };
            match opened {
                Ok(journal) => return Self(journal),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    /// How much waits in it.
    pub async fn waiting(&self) -> u64 {
        self.0.depth().await.map_or(u64::MAX, |depth| depth.records)
    }

    /// Another handle.
    #[must_use]
    pub fn again(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Begins to drain it.
pub async fn begin(cache: &Cache, pool: &PgPool, journal: Journal) -> Queue<Numbers> {
    let builder = Queue::builder("numbers").linger(Duration::from_millis(1));
    builder.start(cache, pool, journal.0, Insert).await.expect("it can be begun")
}
