//! The hot key, read in each of the ways. All share one loader, which takes its time and writes down when it ran.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::{Cache, RedisStore, cached};
use redis::{AsyncCommands, aio::MultiplexedConnection};

use super::side::Side;
use super::{LOAD, TTL};
use crate::time::now;

/// When a load began and ended.
pub(super) type Span = (u64, u64);

/// The hot key, and one that is loaded in no time.
const HOT: u32 = 1;
const QUICK: u32 = 2;

/// One process's way to the hot key.
#[derive(Clone)]
pub(super) struct Reader {
    side: Side,
    cache: Cache,
    plain: Plain,
    loads: Arc<Mutex<Vec<Span>>>,
}

impl Reader {
    pub(super) async fn connect(side: Side, namespace: &str, url: &str) -> Result<Self, String> {
        let store = RedisStore::connect(url).await.map_err(|error| error.to_string())?;
        let cache = Cache::builder(namespace).store(store).build().map_err(|error| error.to_string())?;
        let plain = Plain::connect(namespace, url).await.map_err(|error| error.to_string())?;
        let reader = Self { side, cache, plain, loads: Arc::default() };
        // Opens what a first read opens; and lets each process see that the function loads other keys in no time, so that nobody
        // expects the hot one to take long.
        reader.read_key(QUICK).await;
        Ok(reader)
    }

    /// Reads the hot key.
    pub(super) async fn read(&self) {
        self.read_key(HOT).await;
    }

    async fn read_key(&self, key: u32) {
        match self.side {
            Side::XFetch if key != HOT => 0,
            Side::Nothing => self.nothing(key).await,
            Side::Flight => self.flight(key).await,
            Side::XFetch => self.plain.read(1.0, || self.load(HOT)).await,
            Side::Lease => self.lease(key).await,
            Side::XFetchInline => self.xfetch_inline(key).await,
            Side::XFetchBehind => self.xfetch_behind(key).await,
            Side::Ahead => self.ahead(key).await,
        };
    }

    /// Takes out what was written down.
    pub(super) fn loads(&self) -> Vec<Span> {
        std::mem::take(&mut self.loads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads that Redis did not answer in time: the machine was busy with something else, and they loaded without a lease.
    pub(super) fn degraded(&self) -> u64 {
        self.cache.stats().total().degraded
    }

    async fn load(&self, key: u32) -> u64 {
        if key == QUICK {
            return 0;
        }
        let begin = now();
        tokio::time::sleep(LOAD).await;
        let end = now();
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).push((begin, end));
        end
    }

    #[cached(key = "nothing:<key>", ttl = "5s", stampede = "none")]
    async fn nothing(&self, key: u32) -> u64 {
        self.load(key).await
    }

    #[cached(key = "flight:<key>", ttl = "5s", stampede = "flight")]
    async fn flight(&self, key: u32) -> u64 {
        self.load(key).await
    }

    #[cached(key = "leased:<key>", ttl = "5s")]
    async fn lease(&self, key: u32) -> u64 {
        self.load(key).await
    }

    #[cached(key = "early:<key>", ttl = "5s", stampede = "xfetch")]
    async fn xfetch_inline(&self, key: u32) -> u64 {
        self.load(key).await
    }

    #[cached(key = "behind:<key>", ttl = "5s", stampede = "xfetch", refresh = "background")]
    async fn xfetch_behind(&self, key: u32) -> u64 {
        self.load(key).await
    }

    #[cached(key = "ahead:<key>", ttl = "5s", refresh_ahead = "80%")]
    async fn ahead(&self, key: u32) -> u64 {
        self.load(key).await
    }
}

/// XFetch by GET and SET.
#[derive(Clone)]
struct Plain {
    redis: MultiplexedConnection,
    name: String,
}

impl Plain {
    async fn connect(namespace: &str, url: &str) -> redis::RedisResult<Self> {
        let redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        Ok(Self { redis, name: format!("{namespace}:plain") })
    }

    /// Early by the paper's rule: `now - delta * beta * ln(rand) >= expiry`.
    async fn read(&self, beta: f64, load: impl AsyncFnOnce() -> u64) -> u64 {
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

    fn is_due(&self, now: u64, beta: f64) -> bool {
        let luck = 1.0 - fastrand::f64();
        now as f64 - self.delta as f64 * beta * luck.ln() >= self.expiry as f64
    }
}
