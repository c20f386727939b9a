//! A hit in Redis through `#[cached]`, beside a bare GET that is decoded: the same value, the same number of callers, in turns. Refuses to
//! count a read that was not a hit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::{Cache, Cacheable, RedisStore, cached};
use cache_test_support::Redis;
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};

use super::figures::{Line, Samples, TIMES};

/// Callers at once, and how many times the reads of bare GETs there should be.
const CASES: [(&str, usize, Option<f64>); 3] =
    [("1 caller", 1, None), ("64 callers", 64, Some(0.95)), ("512 callers", 512, Some(1.5))];
/// Sides take turns of this length.
const SLICE: Duration = Duration::from_millis(250);
const KEYS: u64 = 1_000;

const BENCH: &str = "l2";

/// About 200 bytes as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Cacheable)]
struct Profile {
    id: u64,
    name: String,
    email: String,
    about: String,
}

impl Profile {
    fn new(id: u64) -> Self {
        let about =
            "likes long walks, short queries, and values that are never older than they say; ".repeat(2);
        Self { id, name: format!("user number {id}"), email: format!("user{id}@example.com"), about }
    }
}

#[derive(Clone)]
struct Profiles {
    cache: Cache,
    raw: MultiplexedConnection,
}

impl Profiles {
    #[cached(key = "profile:<id>", ttl = "1h")]
    async fn find(&self, id: u64) -> Result<Arc<Profile>, String> {
        Ok(Arc::new(Profile::new(id)))
    }

    async fn bare(&self, id: u64) -> Result<Arc<Profile>, String> {
        let key = format!("raw:profile:{id}");
        let mut raw = self.raw.clone();
        let bytes: Vec<u8> =
            redis::cmd("GET").arg(key).query_async(&mut raw).await.map_err(|error| error.to_string())?;
        rmp_serde::from_slice(&bytes).map(Arc::new).map_err(|error| error.to_string())
    }

    async fn store(&self, id: u64) -> Result<(), String> {
        let bytes = rmp_serde::to_vec_named(&Profile::new(id)).map_err(|error| error.to_string())?;
        let mut raw = self.raw.clone();
        let mut set = redis::cmd("SET");
        set.arg(format!("raw:profile:{id}")).arg(bytes);
        set.query_async::<()>(&mut raw).await.map_err(|error| error.to_string())?;
        self.find(id).await.map(drop)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Raw,
    Cached,
}

/// What a side did in its turns.
#[derive(Default)]
struct Taken {
    samples: Samples,
    time: Duration,
}

pub(super) async fn run(time: Duration) -> Result<Vec<Line>, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let redis = Redis::start().map_err(|error| told(&error))?;
    let client = redis::Client::open(redis.url()).map_err(|error| told(&error))?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let raw =
        client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| told(&error))?;
    let store = RedisStore::connect(&redis.url()).await.map_err(|error| told(&error))?;
    let cache = Cache::builder("bench").store(store).build().map_err(|error| told(&error))?;
    let profiles = Profiles { cache, raw };
    for id in 0..KEYS {
        profiles.store(id).await?;
        let (bare, found) = (profiles.bare(id).await?, profiles.find(id).await?);
        if bare != found {
            return Err(format!("{found:?} was read where {bare:?} was stored"));
        }
    }
    let mut lines = Vec::new();
    for (case, callers, target) in CASES {
        eprintln!("==> {case}: {} s for each of two sides, in turns", time.as_secs());
        let mut taken = [Taken::default(), Taken::default()];
        let before = profiles.cache.stats().total();
        for turn in 0..(time.as_millis() / SLICE.as_millis()).max(1) * 2 {
            let side = if turn % 2 == 0 { Side::Raw } else { Side::Cached };
            take(&profiles, side, callers, &mut taken[usize::from(side == Side::Cached)]).await?;
        }
        let after = profiles.cache.stats().total();
        let (hits, reads) = (after.hits - before.hits, taken[1].samples.count() as u64);
        if hits != reads {
            return Err(format!("{hits} of {reads} reads were hits: the figures are of something else"));
        }
        lines.extend(lines_of(case, target, taken));
    }
    Ok(lines)
}

async fn take(profiles: &Profiles, side: Side, callers: usize, taken: &mut Taken) -> Result<(), String> {
    let begin = Instant::now();
    let tasks: Vec<_> =
        (0..callers).map(|caller| tokio::spawn(reading(profiles.clone(), side, caller as u64))).collect();
    for task in tasks {
        taken.samples.extend(task.await.map_err(|error| error.to_string())??);
    }
    taken.time += begin.elapsed();
    Ok(())
}

async fn reading(profiles: Profiles, side: Side, seed: u64) -> Result<Samples, String> {
    let (mut rng, mut samples) = (fastrand::Rng::with_seed(seed), Samples::default());
    let end = Instant::now() + SLICE;
    loop {
        let id = rng.u64(..KEYS);
        let begin = Instant::now();
        if begin >= end {
            return Ok(samples);
        }
        let found = match side {
            Side::Raw => profiles.bare(id).await?,
            Side::Cached => profiles.find(id).await?,
        };
        samples.add(begin.elapsed());
        if found.id != id {
            return Err(format!("{} was read for {id}", found.id));
        }
    }
}

fn lines_of(case: &'static str, target: Option<f64>, [mut raw, mut cached]: [Taken; 2]) -> Vec<Line> {
    let rate = |taken: &Taken| taken.samples.count() as f64 / taken.time.as_secs_f64().max(f64::MIN_POSITIVE);
    let line =
        |side, value, unit, ratio, target| Line { bench: BENCH, case, side, value, unit, ratio, target };
    let (bare, ours) = (rate(&raw), rate(&cached));
    let mut lines = vec![
        line("raw", bare, "/s", None, None),
        line("cached", ours, "/s", Some(ours / bare), None),
        line("cached/raw", ours / bare, TIMES, None, target),
    ];
    for (share, [raw_side, cached_side]) in
        [(0.5, ["raw p50", "cached p50"]), (0.99, ["raw p99", "cached p99"])]
    {
        let (one, other) = (raw.samples.percentile(share), cached.samples.percentile(share));
        lines.push(line(raw_side, one, "ms", None, None));
        // Not worse than the bare one.
        let most = target.filter(|_| share > 0.9).map(|_| one);
        lines.push(line(cached_side, other, "ms", Some(other / one), most));
    }
    lines
}
