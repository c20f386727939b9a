//! Reads when Redis is gone: answered by Postgres, at once. A killed Redis refuses connections; a frozen one takes them and
//! says nothing, which costs a read its 50 ms deadline until the breaker is open, and one read every 250 ms after that.

use std::time::{Duration, Instant};

use cache_core::{Cache, RedisStore, cached};
use cache_test_support::{Redis, fresh_database};
use sqlx::PgPool;

use super::figures::{Line, Samples, compared};
use crate::torture::rows;

const KEYS: u16 = 100;
const TASKS: u64 = 4;
/// What a read waits for Redis by default; those that waited in vain took at least this long.
const DEADLINE: Duration = Duration::from_millis(50);
/// What a killed Redis may add to the 99th percentile.
const TARGET_MS: f64 = 5.0;

#[derive(Clone)]
struct Hot {
    cache: Cache,
    pool: PgPool,
}

impl Hot {
    async fn bare(&self, key: u16) -> sqlx::Result<i64> {
        let id = i32::from(key);
        sqlx::query_scalar("SELECT version FROM hot WHERE id = $1").bind(id).fetch_one(&self.pool).await
    }

    #[cached(key = "measured:<key>", ttl = "1h")]
    async fn find(&self, key: u16) -> sqlx::Result<i64> {
        self.bare(key).await
    }
}

pub(super) async fn run(time: Duration) -> Result<Vec<Line>, String> {
    let database = fresh_database().map_err(|error| error.to_string())?;
    let redis = Redis::start().map_err(|error| error.to_string())?;
    let pool = PgPool::connect(&database).await.map_err(|error| error.to_string())?;
    rows::create(&pool, KEYS).await.map_err(|error| error.to_string())?;
    let store = RedisStore::connect(&redis.url()).await.map_err(|error| error.to_string())?;
    let cache = Cache::builder("bench").store(store).build().map_err(|error| error.to_string())?;
    let hot = Hot { cache, pool };

    // Warms connections, statements and entries.
    measured(&hot, time / 5).await?;
    let mut lines = Vec::new();
    let mut phase = async |case, target| -> Result<(), String> {
        let degraded = hot.cache.stats().total().degraded;
        let (mut bare, mut cached) = measured(&hot, time).await?;
        lines.extend(compared("degrade", case, &mut bare, &mut cached, [None, target]));
        let reads = cached.count().max(1) as f64;
        let degraded = (hot.cache.stats().total().degraded - degraded) as f64;
        let waited = cached.over(DEADLINE) as f64;
        let line = |side, value, ratio| Line {
            bench: "degrade",
            case,
            side,
            value,
            unit: "n",
            ratio: Some(ratio),
            target: None,
        };
        lines.push(line("degraded", degraded, degraded / reads));
        lines.push(line("cached >= 50 ms", waited, waited / reads));
        Ok(())
    };
    phase("redis up", None).await?;
    redis.kill();
    phase("redis killed", Some(TARGET_MS)).await?;
    redis.restart().map_err(|error| error.to_string())?;
    reconnected(&hot).await?;
    phase("redis back", None).await?;
    redis.pause();
    phase("redis frozen", None).await?;
    redis.resume();
    Ok(lines)
}

/// Waits until the cache is in use again.
async fn reconnected(hot: &Hot) -> Result<(), String> {
    let begin = Instant::now();
    let hits = hot.cache.stats().total().hits;
    while hot.cache.stats().total().hits == hits {
        hot.find(0).await.map_err(|error| error.to_string())?;
        if begin.elapsed() > Duration::from_secs(30) {
            return Err("the cache did not come back within 30 s of Redis".to_owned());
        }
    }
    Ok(())
}

/// Bare and cached reads in turns.
async fn measured(hot: &Hot, time: Duration) -> Result<(Samples, Samples), String> {
    let tasks = (0..TASKS).map(|task| tokio::spawn(measure(hot.clone(), time, task)));
    let (mut bare, mut cached) = (Samples::default(), Samples::default());
    for task in tasks.collect::<Vec<_>>() {
        let (one, other) =
            task.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        bare.extend(one);
        cached.extend(other);
    }
    Ok((bare, cached))
}

async fn measure(hot: Hot, time: Duration, seed: u64) -> sqlx::Result<(Samples, Samples)> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut bare, mut cached) = (Samples::default(), Samples::default());
    let end = Instant::now() + time;
    while Instant::now() < end {
        let key = rng.u16(..KEYS);
        let begin = Instant::now();
        hot.bare(key).await?;
        let between = Instant::now();
        hot.find(key).await?;
        cached.add(between.elapsed());
        bare.add(between - begin);
    }
    Ok((bare, cached))
}
