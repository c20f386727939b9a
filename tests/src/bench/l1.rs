//! A hit in the L1 through `#[cached]`, beside a bare map: in turns, by one thread and by two.

use std::hint::black_box;
use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use cache_core::{Cache, Cacheable, MemoryStore, cached};
use serde::{Deserialize, Serialize};

use super::figures::Line;

const KEYS: i64 = 1_000;
/// Hits between two looks at the clock.
const HITS: i64 = 1_000_000;
/// What a hit may cost, over one of the bare map.
const TARGET: f64 = 2.0;

#[derive(Clone, Debug, Serialize, Deserialize, Cacheable)]
struct User {
    id: i64,
    name: String,
    mail: String,
    score: u64,
}

impl User {
    fn new(id: i64) -> Self {
        Self { id, name: format!("user {id}"), mail: format!("user-{id}@example.org"), score: 7 }
    }
}

#[derive(Clone)]
struct Users {
    cache: Cache,
    bare: Arc<quick_cache::sync::Cache<i64, Arc<User>>>,
}

impl Users {
    #[cached(key = "user:<id>", ttl = "1h")]
    async fn find(&self, id: i64) -> Arc<User> {
        Arc::new(User::new(id))
    }

    /// A value without an `Arc`: it is cloned.
    #[cached(key = "alone:<id>", ttl = "1h")]
    async fn alone(&self, id: i64) -> i64 {
        id
    }

    /// Two arguments, one of them a text, and a tag.
    #[cached(key = "org:<org>:user:<id>", ttl = "1h", tags = ["org:<org>"])]
    async fn of(&self, org: &str, id: i64) -> Option<Arc<User>> {
        Some(Arc::new(User::new(id)))
    }
}

/// What is compared.
#[derive(Clone, Copy)]
enum Side {
    Bare,
    Shared,
    Number,
    TextAndTag,
}

const SIDES: [(&str, Side); 4] = [
    ("bare map", Side::Bare),
    ("cached", Side::Shared),
    ("a number", Side::Number),
    ("text and tag", Side::TextAndTag),
];

/// As many hits as are measured at once, of keys that are not neighbours.
async fn hits(users: &Users, side: Side) {
    for hit in 0..HITS {
        let id = black_box(hit * 7_919 % KEYS);
        match side {
            Side::Bare => _ = black_box(users.bare.get(&id)),
            Side::Shared => _ = black_box(users.find(id).await),
            Side::Number => _ = black_box(users.alone(id).await),
            Side::TextAndTag => _ = black_box(users.of("acme", id).await),
        }
    }
}

/// Nanoseconds a hit, of this many threads at once.
fn turn(users: &Users, side: Side, threads: usize) -> f64 {
    let start = Arc::new(Barrier::new(threads));
    let run = |_| {
        let (users, start) = (users.clone(), start.clone());
        thread::spawn(move || {
            let mut hits = pin!(hits(&users, side));
            start.wait();
            let since = Instant::now();
            // Hits are there at the first look.
            let is_over = hits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            assert!(is_over, "a hit waited for something");
            since.elapsed()
        })
    };
    let running: Vec<_> = (0..threads).map(run).collect();
    let took = running.into_iter().map(|thread| thread.join().unwrap_or_default());
    let total: Duration = took.sum();
    total.as_secs_f64() * 1e9 / (HITS as f64 * threads as f64)
}

/// Measures.
pub(super) async fn run(time: Duration) -> Result<Vec<Line>, String> {
    let cache = Cache::builder("bench").store(MemoryStore::default()).l1(100_000).build();
    let cache = cache.map_err(|error| error.to_string())?;
    let users = Users { cache, bare: Arc::new(quick_cache::sync::Cache::new(100_000)) };
    for id in 0..KEYS {
        users.bare.insert(id, Arc::new(User::new(id)));
        users.find(id).await;
        users.alone(id).await;
        users.of("acme", id).await;
    }
    let before = users.cache.stats().l1();
    let mut lines = Vec::new();
    for (case, threads) in [("1 thread", 1), ("2 threads", 2)] {
        let mut figures = [const { Vec::new() }; SIDES.len()];
        let until = Instant::now() + time;
        while Instant::now() < until || figures[0].len() < 3 {
            for ((_, side), figures) in SIDES.iter().zip(&mut figures) {
                figures.push(turn(&users, *side, threads));
            }
        }
        let mut bare = None;
        for ((side, _), mut figures) in SIDES.into_iter().zip(figures) {
            figures.sort_unstable_by(f64::total_cmp);
            let median = figures[figures.len() / 2];
            let ratio = bare.map(|bare| median / bare);
            let bare = *bare.get_or_insert(median);
            let target = (side == "cached").then_some(bare * TARGET);
            lines.push(Line { bench: "l1", case, side, value: median, unit: "ns", ratio, target });
        }
    }
    let after = users.cache.stats().l1();
    if after.misses > before.misses {
        return Err(format!("{} reads were no hits", after.misses - before.misses));
    }
    Ok(lines)
}
