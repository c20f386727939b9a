//! What a fence costs: a transaction of one statement through `PgTx` with one subject, beside the bare one. The difference is
//! the transaction's identity, mark and clear: one statement and two commands to Redis.

use std::time::{Duration, Instant};

use cache_core::{Cache, RedisStore, invalidates};
use cache_sqlx::PgTx;
use cache_test_support::{fresh_database, redis_url, unique_name};
use sqlx::PgPool;

use super::figures::{Line, Samples, compared};
use crate::torture::rows;

const KEYS: u16 = 100;
/// What a fence may add to the median.
const TARGET_MS: f64 = 0.5;

struct Hot {
    cache: Cache,
    pool: PgPool,
}

impl Hot {
    async fn bare(&self, key: u16) -> sqlx::Result<u32> {
        let mut tx = self.pool.begin().await?;
        let version = rows::bump(&mut tx, key).await?;
        tx.commit().await?;
        Ok(version)
    }

    #[invalidates(key = "measured:<key>", within = tx)]
    async fn bump(&self, tx: &mut PgTx<'_>, key: u16) -> sqlx::Result<u32> {
        rows::bump(tx, key).await
    }

    async fn fenced(&self, key: u16) -> sqlx::Result<u32> {
        let mut tx = cache_sqlx::begin(&self.cache, &self.pool).await?;
        let version = self.bump(&mut tx, key).await?;
        tx.commit().await?;
        Ok(version)
    }
}

pub(super) async fn run(time: Duration) -> Result<Vec<Line>, String> {
    let database = fresh_database().map_err(|error| error.to_string())?;
    let redis = redis_url().map_err(|error| error.to_string())?;
    let pool = PgPool::connect(&database).await.map_err(|error| error.to_string())?;
    rows::create(&pool, KEYS).await.map_err(|error| error.to_string())?;
    let store = RedisStore::connect(&redis).await.map_err(|error| error.to_string())?;
    let builder = Cache::builder(&unique_name("bench")).store(store);
    let cache = builder.build().map_err(|error| error.to_string())?;
    let hot = Hot { cache, pool };
    let failed = |error: sqlx::Error| error.to_string();
    // Warms connections and statements.
    measured(&hot, time / 5).await.map_err(failed)?;
    let (mut bare, mut fenced) = measured(&hot, time).await.map_err(failed)?;
    Ok(compared("writes", "one statement", &mut bare, &mut fenced, [Some(TARGET_MS), None]))
}

/// Bare and fenced transactions in turns, one at a time, each on a row of its own.
async fn measured(hot: &Hot, time: Duration) -> sqlx::Result<(Samples, Samples)> {
    let mut rng = fastrand::Rng::with_seed(0);
    let (mut bare, mut fenced) = (Samples::default(), Samples::default());
    let end = Instant::now() + time;
    while Instant::now() < end {
        let key = rng.u16(..KEYS);
        let begin = Instant::now();
        hot.bare(key).await?;
        let between = Instant::now();
        hot.fenced(key).await?;
        fenced.add(between.elapsed());
        bare.add(between - begin);
    }
    Ok((bare, fenced))
}
