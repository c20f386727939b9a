//! Ten thousand cold callers make one load: in one process, and over four processes with one Redis.

use std::{
    env,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use cache_core::{Cache, MemoryStore, RedisStore, cached, store::Store};
use cache_test_support::{redis_url, unique_name};
use redis::{AsyncCommands, aio::MultiplexedConnection};
use tokio::task::JoinSet;

const CALLERS: u64 = 10_000;
const PROCESSES: u64 = 4;
const VALUE: u32 = 42;

/// Ten thousand commands sent at once wait for each other on one connection, and on a small machine that runs the other
/// tests too the last of them is answered long after the 50 ms that suit a web service. A caller that gives the store up
/// loads for himself, rightly, and then there is more than one load to count.
const READ_DEADLINE: Duration = Duration::from_secs(30);

/// A loader is slow until everybody has missed, but not for longer than others wait for it (5 s before anything is known).
const LONGEST_LOAD: Duration = Duration::from_secs(3);

fn cache(namespace: &str, store: impl Store) -> Cache {
    Cache::builder(namespace).store(store).read_deadline(READ_DEADLINE).build().unwrap()
}

/// Polls a condition until it holds, or until the bound.
async fn until<F: Future<Output = bool>>(bound: Duration, condition: impl Fn() -> F) -> bool {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(bound, poll).await.is_ok()
}

#[cached(key = "cold:<id>", ttl = "1h", ignores = [loads, callers])]
async fn find(cache: &Cache, id: u32, loads: &AtomicU64, callers: u64) -> u32 {
    loads.fetch_add(1, SeqCst);
    until(LONGEST_LOAD, || async { cache.stats().total().misses >= callers }).await;
    VALUE
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_cold_callers_of_one_process_make_one_load() {
    let cache = cache("stampede", MemoryStore::default());
    let loads = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (cache, loads) = (cache.clone(), loads.clone());
        callers.spawn(async move { find(&cache, 1, &loads, CALLERS).await });
    }
    assert_eq!(callers.join_all().await, vec![VALUE; 10_000]);
    assert_eq!(loads.load(SeqCst), 1, "{}", cache.stats());
    assert_eq!(cache.stats().total().loads, 1);
}

/// Counters in Redis that the processes of a test share; next to the cache, not of it.
#[derive(Clone)]
struct Tally {
    redis: MultiplexedConnection,
    namespace: String,
}

impl Tally {
    async fn open(namespace: &str) -> Self {
        let client = redis::Client::open(redis_url().unwrap()).unwrap();
        // The last of ten thousand callers may wait for its turn on this connection too.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(READ_DEADLINE));
        let redis = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        Self { redis, namespace: namespace.to_owned() }
    }

    async fn add(&self, name: &str) {
        self.redis.clone().incr::<_, _, ()>(format!("{}/{name}", self.namespace), 1).await.unwrap();
    }

    async fn of(&self, name: &str) -> u64 {
        let count: Option<u64> = self.redis.clone().get(format!("{}/{name}", self.namespace)).await.unwrap();
        count.unwrap_or(0)
    }
}

#[cached(key = "cold-for-all:<id>", ttl = "1h", ignores = [tally])]
async fn find_together(cache: &Cache, id: u32, tally: &Tally) -> u32 {
    tally.add("loads").await;
    until(LONGEST_LOAD, || async { tally.of("missed").await >= PROCESSES }).await;
    VALUE
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_cold_callers_of_four_processes_make_one_load() {
    let namespace = unique_name("stampede");
    let (redis, tally) = (redis_url().unwrap(), Tally::open(&namespace).await);
    let processes: Vec<Child> = (0..PROCESSES).map(|_| one_of_four(&namespace, &redis)).collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(tally.of("served").await, PROCESSES);
    assert_eq!(tally.of("loads").await, 1);
}

/// This test program again, running only the helper below.
fn one_of_four(namespace: &str, redis: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "helper_calls_as_one_of_four", "--nocapture", "--test-threads=1"])
        .env("CACHE_TEST_STAMPEDE", namespace)
        .env("REDIS_URL", redis)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Does nothing in a normal run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helper_calls_as_one_of_four() {
    let Ok(namespace) = env::var("CACHE_TEST_STAMPEDE") else { return };
    let store = RedisStore::connect(&redis_url().unwrap()).await.unwrap();
    let cache = cache(&namespace, store);
    let tally = Tally::open(&namespace).await;
    tally.add("ready").await;
    assert!(until(READ_DEADLINE, || async { tally.of("ready").await == PROCESSES }).await);

    let mut callers = JoinSet::new();
    for _ in 0..CALLERS / PROCESSES {
        let (cache, tally) = (cache.clone(), tally.clone());
        callers.spawn(async move { find_together(&cache, 1, &tally).await });
    }
    let all_missed = {
        let (cache, tally) = (cache.clone(), tally.clone());
        tokio::spawn(async move {
            let missed = || async { cache.stats().total().misses >= CALLERS / PROCESSES };
            if until(LONGEST_LOAD, missed).await {
                tally.add("missed").await;
            }
        })
    };
    assert_eq!(callers.join_all().await, vec![VALUE; 2_500]);
    all_missed.await.unwrap();
    let counts = cache.stats().total();
    assert_eq!(counts.degraded, 0, "{}", cache.stats());
    tally.add("served").await;
}
