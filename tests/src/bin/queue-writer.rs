//! A process that queues numbers until somebody kills it: several keys side by side, and a line for each number that was
//! acknowledged. It goes on when a server is killed.
//!
//! `queue-writer DATABASE JOURNAL FIRST`, where `JOURNAL` is a folder or `redis://…#name`.

use std::io::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cache_core::{Cache, MemoryStore};
use cache_tests::queue::{Journal, KEYS, Numbers, begin};

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [database, journal, first] = &arguments[..] else { panic!("queue-writer DATABASE JOURNAL FIRST") };
    let first: i64 = first.parse().expect("a number");
    let pool = sqlx::PgPool::connect_lazy(database).expect("it is the URL of a database");
    let cache = Cache::builder("queue").store(MemoryStore::default()).build().expect("it can be built");
    let queue = begin(&cache, &pool, Journal::open(journal).await).await;
    let next = &AtomicI64::new(first);
    let writers = (0..KEYS).map(|key| {
        let queue = queue.clone();
        async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let queued = queue.push(&format!("key:{key}"), &Numbers { key, numbers: vec![number] }).await;
                if queued.is_err() {
                    // A server was killed. This number was queued or not; the next ones come behind it.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                let mut out = std::io::stdout().lock();
                writeln!(out, "{key} {number}").and_then(|()| out.flush()).expect("somebody listens");
            }
        }
    });
    futures_util::future::join_all(writers).await;
}
