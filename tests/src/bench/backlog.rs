//! A million writes are queued while the database is away: they wait in the journal, and this process does not grow with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cache_core::journal::{Costs, Journal};
use cache_core::{Cache, FileJournal, RedisJournal, RedisStore};
use cache_sqlx::Queue;
use cache_test_support::Redis;
use sqlx::postgres::PgPoolOptions;

use super::figures::Line;
use crate::queue::{Insert, Numbers};

const WRITES: u64 = 1_000_000;
const FIRST: u64 = 100_000;
/// Callers side by side.
const CALLERS: u64 = 64;
/// What the later nine tenths may cost, in MiB: less than they weigh.
const TARGET: f64 = 16.0;

/// Memory of this process in MiB.
fn resident() -> Result<f64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| format!("/proc: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| "the system does not say how large this process is".to_owned())
}

pub(super) async fn run() -> Result<Vec<Line>, String> {
    let redis = Redis::start().map_err(|error| error.to_string())?;
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let store = RedisStore::connect(&redis.url()).await.map_err(|error| said(&error))?;
    let cache = Cache::builder("bench").store(store.clone()).build().map_err(|error| said(&error))?;
    let folder = tempfile::TempDir::new().map_err(|error| said(&error))?;
    let file = FileJournal::open(folder.path()).await.map_err(|error| said(&error))?;
    let mut lines = queue(&cache, "file journal", file).await?;
    let stream = RedisJournal::open(&store, "bench", "numbers", Costs::SinceSnapshot).await;
    lines.extend(queue(&cache, "Redis journal", stream.map_err(|error| said(&error))?).await?);
    Ok(lines)
}

async fn queue(cache: &Cache, case: &'static str, journal: impl Journal) -> Result<Vec<Line>, String> {
    // Nobody listens there.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(200))
        .connect_lazy("postgres://nobody@127.0.0.1:1/nothing")
        .map_err(|error| error.to_string())?;
    let queue = Queue::builder("numbers").start(cache, &pool, journal, Insert).await;
    let queue: Queue<Numbers> = queue.map_err(|error| error.to_string())?;
    let next = Arc::new(AtomicU64::new(0));
    let until = async |last: u64| {
        let callers = (0..CALLERS).map(|_| {
            let (queue, next) = (queue.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= last {
                        next.fetch_sub(1, Ordering::Relaxed);
                        return Ok::<_, String>(());
                    }
                    let write = Numbers { key: number as i64, numbers: vec![number as i64; 8] };
                    queue.push(&format!("key:{number}"), &write).await.map_err(|error| error.to_string())?;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.map_err(|error| error.to_string())??;
        }
        Ok::<_, String>(())
    };
    let began = Instant::now();
    until(FIRST).await?;
    let before = resident()?;
    until(WRITES).await?;
    let after = resident()?;
    let rate = WRITES as f64 / began.elapsed().as_secs_f64();
    let waiting = queue.stats().await.map_err(|error| error.to_string())?.waiting as f64;
    let line =
        |side, value, unit, ratio, target| Line { bench: "backlog", case, side, value, unit, ratio, target };
    Ok(vec![
        line("waiting", waiting, "", None, None),
        line("queued", rate, "/s", None, None),
        line("at 100,000", before, "MiB", None, None),
        line("at 1,000,000", after, "MiB", Some(after / before), None),
        line("grown by", after - before, "MiB", None, Some(TARGET)),
    ])
}
