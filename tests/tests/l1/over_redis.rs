//! The L1s of two processes over one Redis. Who waits for whom is shown in `redis_bus`; here, that nobody is served what was written.

use cache_test_support::Redis;

use super::*;

/// More than anything here takes, less than a stuck test run.
const BOUND: Duration = Duration::from_secs(30);

async fn comes_true(condition: impl AsyncFn() -> bool) -> bool {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, waiting).await.is_ok()
}

/// A process over this server, which reads the same row as another one.
async fn process(redis: &Redis, of: Option<&Users>) -> Users {
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let builder = Cache::builder("t").store(store).l1(1_000).mark_deadline(BOUND).clear_wait(BOUND);
    let cache = builder.build().unwrap();
    match of {
        None => Users { cache, ..Users::new() },
        Some(other) => Users { cache, ..other.clone() },
    }
}

impl Users {
    /// Reads until the L1 answers.
    async fn is_served(&self) -> bool {
        comes_true(async || {
            let before = self.hits();
            self.find(1).await;
            self.hits() > before
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_has_written_is_never_hidden() {
    let redis = Redis::start().unwrap();
    let a = process(&redis, None).await;
    let b = process(&redis, Some(&a)).await;
    for round in 1..=30 {
        assert!(a.is_served().await && b.is_served().await, "round {round}");
        let writer = if round % 2 == 0 { &a } else { &b };
        writer.rename(1).await.unwrap();
        assert_eq!((a.find(1).await.seen, b.find(1).await.seen), (round, round));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_it_serves_nothing_and_then_it_comes_back_by_itself() {
    let redis = Redis::start().unwrap();
    let a = process(&redis, None).await;
    assert!(a.is_served().await);
    redis.kill();
    // Nobody told the cache: only a read that is not served by it shows this.
    a.row.store(7, Ordering::SeqCst);
    assert!(comes_true(async || a.find(1).await.seen == 7).await, "it serves on without a lease");
    let hits = a.hits();
    a.find(1).await;
    assert_eq!(a.hits(), hits);
    redis.restart().unwrap();
    assert!(a.is_served().await, "it does not come back");
    assert_eq!(a.find(1).await.seen, 7);
}
