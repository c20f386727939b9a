//! A repository that writes the same rows in every way.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cache_core::journal::Costs;
use cache_core::{
    Cache, Cacheable, FileJournal, RedisJournal, RedisStore, cached, invalidates, writes_behind,
    writes_through,
};
use cache_sqlx::{Flush, PgTx, Queue, Write};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, FromRow, PgPool};

use super::Servers;

/// Rows of the table.
pub(super) const ROWS: i64 = 512 * 64;
/// Records that a queue writes in one transaction.
const BATCH: usize = 100;

const UPDATE: &str = "UPDATE measured SET value = $2 WHERE id = $1";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow, Cacheable)]
pub(super) struct Measured {
    id: i64,
    value: i64,
}

struct Save;

impl Flush<Measured> for Save {
    async fn flush(&self, tx: &mut PgTx<'_>, writes: Vec<Write<Measured>>) -> sqlx::Result<()> {
        let (ids, values): (Vec<_>, Vec<_>) =
            writes.into_iter().map(|write| (write.value.id, write.value.value)).unzip();
        let update = "UPDATE measured SET value = new.value
                      FROM UNNEST($1::bigint[], $2::bigint[]) new (id, value) WHERE measured.id = new.id";
        sqlx::query(update).bind(ids).bind(values).execute(&mut *tx).await.map(drop)
    }
}

#[derive(Clone)]
pub(super) struct App {
    cache: Cache,
    pool: PgPool,
    file: Queue<Measured>,
    redis: Queue<Measured>,
    last: Arc<AtomicI64>,
    /// Goes with the last handle.
    _folder: Arc<Folder>,
}

/// A folder for a journal.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl App {
    pub(super) async fn start(servers: &Servers) -> Result<Self, String> {
        let told = |error: sqlx::Error| error.to_string();
        let pool =
            PgPoolOptions::new().max_connections(40).connect(&servers.postgres.url()).await.map_err(told)?;
        pool.execute(
            "CREATE TABLE measured (id bigint PRIMARY KEY, value bigint NOT NULL) WITH (fillfactor = 50)",
        )
        .await
        .map_err(told)?;
        let insert = "INSERT INTO measured SELECT id, 0 FROM generate_series(0, $1 - 1) AS id";
        sqlx::query(insert).bind(ROWS).execute(&pool).await.map_err(told)?;
        if servers.counts_statements {
            pool.execute("CREATE EXTENSION pg_stat_statements").await.map_err(told)?;
        }
        cache_sqlx::migrate(&pool).await.map_err(told)?;

        let store = RedisStore::connect(&servers.cache.url()).await.map_err(|error| error.to_string())?;
        let cache = Cache::builder("bench").store(store).build().map_err(|error| error.to_string())?;
        let far = RedisStore::connect(&servers.journal.url()).await.map_err(|error| error.to_string())?;
        let redis = RedisJournal::open(&far, "bench", "measured", Costs::Nothing);
        let redis = redis.await.map_err(|error| error.to_string())?;
        let folder =
            Arc::new(Folder(std::env::temp_dir().join(cache_test_support::unique_name("bench_journal"))));
        let file = FileJournal::open(&folder.0).await.map_err(|error| error.to_string())?;
        let begun = |name: &str| Queue::builder(name).batch(BATCH);
        let file = begun("file").start(&cache, &pool, file, Save).await.map_err(|error| error.to_string())?;
        let redis =
            begun("redis").start(&cache, &pool, redis, Save).await.map_err(|error| error.to_string())?;
        Ok(Self { cache, pool, file, redis, last: Arc::default(), _folder: folder })
    }

    /// A value that no row has had.
    pub(super) fn next(&self) -> i64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) async fn update(&self, id: i64, value: i64) -> sqlx::Result<()> {
        sqlx::query(UPDATE).bind(id).bind(value).execute(&self.pool).await.map(drop)
    }

    pub(super) async fn transaction(&self, id: i64, value: i64) -> sqlx::Result<()> {
        let mut tx = self.pool.begin().await?;
        sqlx::query(UPDATE).bind(id).bind(value).execute(&mut *tx).await?;
        tx.commit().await
    }

    #[invalidates(key = "counted:<id>", begin = self.pool)]
    pub(super) async fn invalidate(&self, tx: &mut PgTx<'_>, id: i64, value: i64) -> sqlx::Result<()> {
        sqlx::query(UPDATE).bind(id).bind(value).execute(tx).await.map(drop)
    }

    #[writes_through(key = "counted:<return.id>", begin = self.pool)]
    pub(super) async fn write_through(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        value: i64,
    ) -> sqlx::Result<Measured> {
        let update = "UPDATE measured SET value = $2 WHERE id = $1 RETURNING id, value";
        sqlx::query_as(update).bind(id).bind(value).fetch_one(tx).await
    }

    #[writes_behind(key = "filed:<id>", queue = self.file)]
    pub(super) async fn by_file(&self, id: i64, value: i64) -> sqlx::Result<Measured> {
        Ok(Measured { id, value })
    }

    #[writes_behind(key = "queued:<id>", queue = self.redis)]
    pub(super) async fn by_redis(&self, id: i64, value: i64) -> sqlx::Result<Measured> {
        Ok(Measured { id, value })
    }

    #[cached(key = "counted:<id>", ttl = "1h")]
    async fn find(&self, id: i64) -> sqlx::Result<Measured> {
        self.row(id).await
    }

    async fn row(&self, id: i64) -> sqlx::Result<Measured> {
        sqlx::query_as("SELECT id, value FROM measured WHERE id = $1").bind(id).fetch_one(&self.pool).await
    }

    /// Waits until the database has everything that is queued.
    pub(super) async fn drained(&self) -> Result<(), String> {
        for queue in [&self.file, &self.redis] {
            while queue.stats().await.map_err(|error| error.to_string())?.waiting > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }

    /// Whether what was written through is what the rows hold. The queues write the same rows by other names, so those are written once
    /// more.
    pub(super) async fn check(&self) -> Result<(), String> {
        for id in (0..ROWS).step_by(997) {
            self.write_through(id, self.next()).await.map_err(|error| error.to_string())?;
            let (read, row) = (self.find(id).await, self.row(id).await);
            match (read, row) {
                (Ok(read), Ok(row)) if read == row => {}
                (read, row) => return Err(format!("{read:?} was read where the row is {row:?}")),
            }
        }
        Ok(())
    }
}
