//! The hot key, read in each of the ways. All share one loader, which takes its time and writes down when it ran.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cache_core::{Cache, RedisStore, cached};
use redis::{AsyncCommands, aio::MultiplexedConnection};

use super::side::Side;
use super::{LOAD, TTL};
use crate::time::now;

/// When a load began and ended.
pub(super) type Span = (u64, u64);

/// One process's way to the hot key.
pub(super) struct Reader {
    side: Side,
    cache: Cache,
    plain: Plain,
    loads: Mutex<Vec<Span>>,
}

impl Reader {
    pub(super) async fn connect(side: Side, namespace: &str, url: &str) -> Result<Self, String> {
        let store = RedisStore::connect(url).await.map_err(|error| error.to_string())?;
        let cache = Cache::builder(namespace).store(store).build().map_err(|error| error.to_string())?;
        let plain = Plain::connect(namespace, url).await.map_err(|error| error.to_string())?;
        let reader = Self { side, cache, plain, loads: Mutex::default() };
        // Opens what a first read opens. Not by the functions that are measured: how long they take is learned from each load, and
        // one that took no time would make readers impatient.
        reader.opened().await;
        Ok(reader)
    }

    /// Reads the hot key.
    pub(super) async fn read(&self) {
        match self.side {
            Side::Nothing => self.plain.read(None, || self.load()).await,
            Side::XFetch => self.plain.read(Some(1.0), || self.load()).await,
            Side::Lease => self.lease().await,
            Side::XFetchAndLease => self.xfetch().await,
        };
    }

    /// Takes out what was written down.
    pub(super) fn loads(&self) -> Vec<Span> {
        std::mem::take(&mut self.loads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn load(&self) -> u64 {
        let begin = now();
        tokio::time::sleep(LOAD).await;
        let end = now();
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).push((begin, end));
        end
    }

    #[cached(key = "opened", ttl = "5s")]
    async fn opened(&self) -> u64 {
        0
    }

    #[cached(key = "leased", ttl = "5s")]
    async fn lease(&self) -> u64 {
        self.load().await
    }

    #[cached(key = "early", ttl = "5s", stampede = "xfetch")]
    async fn xfetch(&self) -> u64 {
        self.load().await
    }
}

/// What many write themselves: GET, load, SET.
struct Plain {
    redis: MultiplexedConnection,
    name: String,
}

impl Plain {
    async fn connect(namespace: &str, url: &str) -> redis::RedisResult<Self> {
        let redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        Ok(Self { redis, name: format!("{namespace}:plain") })
    }

    /// With a `beta`, early by the paper's rule: `now - delta * beta * ln(rand) >= expiry`.
    async fn read(&self, beta: Option<f64>, load: impl AsyncFnOnce() -> u64) -> u64 {
        let mut redis = self.redis.clone();
        let found = redis.get::<_, Option<String>>(&self.name).await.ok().flatten();
        let found = found.and_then(|text| Kept::parse(&text));
        if let Some(kept) = found.filter(|kept| !kept.is_due(now(), beta)) {
            return kept.value;
        }
        let begin = now();
        let value = load().await;
        let end = now();
        let kept = Kept { expiry: end + nanos(TTL), delta: end - begin, value };
        let lifetime = u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX);
        // A cache that cannot be filled is no reason to fail.
        let _ = redis.pset_ex::<_, _, ()>(&self.name, kept.text(), lifetime).await;
        value
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a plain entry holds; times are of the host's clock, which all processes share.
struct Kept {
    expiry: u64,
    delta: u64,
    value: u64,
}

impl Kept {
    fn text(&self) -> String {
        format!("{} {} {}", self.expiry, self.delta, self.value)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(|word| word.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { expiry: next()?, delta: next()?, value: next()? })
    }

    fn is_due(&self, now: u64, beta: Option<f64>) -> bool {
        beta.is_some_and(|beta| {
            let luck = 1.0 - fastrand::f64();
            now as f64 - self.delta as f64 * beta * luck.ln() >= self.expiry as f64
        })
    }
}
