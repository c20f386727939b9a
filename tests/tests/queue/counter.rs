//! Counters: what was counted reaches the table once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::error::{StoreError, StoreErrorKind};
use cache_core::store::StoreResult;
use cache_core::tally::{Taken, Tally};
use cache_core::{MemoryTally, Merge, RedisStore, RedisTally};
use cache_sqlx::{Counter, FlushNumbers};
use cache_test_support::{fresh_database, redis_url, unique_name};
use sqlx::{Executor, PgPool};

use super::BOUND;

/// Adds to the table, which refuses what is negative.
struct Add;

impl FlushNumbers for Add {
    async fn flush(
        &self,
        connection: &mut sqlx::PgConnection,
        numbers: &[(String, i64)],
    ) -> sqlx::Result<()> {
        let (keys, counts): (Vec<&str>, Vec<i64>) = numbers.iter().map(|(key, n)| (key.as_str(), *n)).unzip();
        sqlx::query(
            "INSERT INTO views AS v SELECT * FROM UNNEST($1::text[], $2::bigint[]) ON CONFLICT (key) DO UPDATE SET n = v.n + excluded.n",
        )
        .bind(keys)
        .bind(counts)
        .execute(connection)
        .await
        .map(drop)
    }
}

/// Keeps the greatest.
struct Last;

impl FlushNumbers for Last {
    async fn flush(
        &self,
        connection: &mut sqlx::PgConnection,
        numbers: &[(String, i64)],
    ) -> sqlx::Result<()> {
        for (key, n) in numbers {
            sqlx::query("INSERT INTO views AS v VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET n = greatest(v.n, $2)")
                .bind(key)
                .bind(n)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

async fn pool() -> PgPool {
    let pool = PgPool::connect(&fresh_database().unwrap()).await.unwrap();
    pool.execute("CREATE TABLE views (key text PRIMARY KEY, n bigint NOT NULL CHECK (n >= 0))")
        .await
        .unwrap();
    cache_sqlx::migrate(&pool).await.unwrap();
    pool
}

async fn redis_tally(name: &str, merge: Merge) -> RedisTally {
    let store = RedisStore::connect(&redis_url().unwrap()).await.unwrap();
    RedisTally::new(&store, "counter", name, merge).unwrap()
}

/// Never by itself, so that only `flush` writes.
async fn begin(pool: &PgPool, tally: impl Tally, flush: impl FlushNumbers) -> Counter {
    let builder = Counter::builder("views").every(Duration::from_secs(3600)).batch(50);
    builder.start(pool, tally, flush).await.unwrap()
}

async fn flush(counter: &Counter) {
    tokio::time::timeout(BOUND, counter.flush()).await.expect("it is written in the end");
}

async fn count(counter: &Counter, key: &str, number: i64) {
    // A store that was connected to just now may still be on its way.
    let counting = async {
        while counter.count(key, number).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, counting).await.unwrap();
}

async fn table(pool: &PgPool) -> Vec<(String, i64)> {
    sqlx::query_as("SELECT key, n FROM views ORDER BY key COLLATE \"C\"").fetch_all(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_many_processes_count_is_written_once() {
    let (pool, name) = (pool().await, unique_name("views"));
    let counters = [
        begin(&pool, redis_tally(&name, Merge::Add).await, Add).await,
        begin(&pool, redis_tally(&name, Merge::Add).await, Add).await,
    ];
    for counter in &counters {
        count(counter, "first", 1).await;
    }
    let counting: Vec<_> = (0..4)
        .map(|worker| {
            let counters = counters.clone();
            tokio::spawn(async move {
                for round in 0..300 {
                    let key = format!("key {:03}: {{a}}\0", round % 100);
                    counters[worker % 2].count(&key.replace('\0', ":"), 1).await.unwrap();
                    if round % 100 == 99 {
                        counters[(worker + 1) % 2].flush().await;
                    }
                }
            })
        })
        .collect();
    for counting in counting {
        tokio::time::timeout(BOUND, counting).await.unwrap().unwrap();
    }
    flush(&counters[0]).await;
    flush(&counters[1]).await;
    let table = table(&pool).await;
    assert_eq!(table.len(), 101);
    assert_eq!(table[0], ("first".to_owned(), 2));
    assert!(table[1..].iter().all(|(_, n)| *n == 12), "{table:?}");
}

#[tokio::test]
async fn the_greatest_stays_where_numbers_are_merged_so() {
    let pool = pool().await;
    for (place, tally) in [
        Arc::new(MemoryTally::new(Merge::Max)) as Arc<dyn Tally>,
        Arc::new(redis_tally(&unique_name("seen"), Merge::Max).await),
    ]
    .into_iter()
    .enumerate()
    {
        let (counter, key) = (begin(&pool, tally, Last).await, format!("key {place}"));
        for number in [5, i64::MAX - 1, 900, i64::MAX - 2, 10_000] {
            count(&counter, &key, number).await;
        }
        assert_eq!(counter.waiting(&key).await.unwrap(), i64::MAX - 1);
        count(&counter, "below", -20).await;
        count(&counter, "below", -3).await;
        count(&counter, "below", -100).await;
        assert_eq!(counter.waiting("below").await.unwrap(), -3);
        count(&counter, "below", 7).await;
        flush(&counter).await;
        assert_eq!((counter.waiting(&key).await.unwrap(), counter.waiting("below").await.unwrap()), (0, 0));
        count(&counter, &key, 3).await;
        flush(&counter).await;
        assert!(table(&pool).await.contains(&(key, i64::MAX - 1)));
        assert!(table(&pool).await.contains(&("below".to_owned(), 7)));
    }
}

/// Dies, as far as its tally can tell, between the database's commit and what comes after it.
#[derive(Debug)]
struct Dies(RedisTally, Arc<AtomicBool>);

impl Tally for Dies {
    fn merge<'a>(&'a self, key: &'a str, number: i64) -> StoreResult<'a, ()> {
        self.0.merge(key, number)
    }

    fn take(&self, limit: usize) -> StoreResult<'_, Option<Taken>> {
        self.0.take(limit)
    }

    fn done(&self, id: u128) -> StoreResult<'_, ()> {
        if self.1.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::new(StoreErrorKind::Disconnected, "it has died")) });
        }
        self.0.done(id)
    }

    fn waiting<'a>(&'a self, key: &'a str) -> StoreResult<'a, i64> {
        self.0.waiting(key)
    }

    fn merges(&self) -> Merge {
        self.0.merges()
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[tokio::test]
async fn a_process_that_dies_after_the_commit_leaves_nothing_to_be_written_twice() {
    let (pool, name) = (pool().await, unique_name("views"));
    let dead = Arc::new(AtomicBool::new(true));
    let dies = Dies(redis_tally(&name, Merge::Add).await, dead);
    let builder = Counter::builder("views").every(Duration::from_millis(1));
    let first = builder.start(&pool, dies, Add).await.unwrap();
    count(&first, "a", 5).await;
    let written = async {
        while table(&pool).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, written).await.unwrap();
    drop(first);
    let second = begin(&pool, redis_tally(&name, Merge::Add).await, Add).await;
    count(&second, "a", 2).await;
    flush(&second).await;
    flush(&second).await;
    assert_eq!(table(&pool).await, [("a".to_owned(), 7)]);
}

#[tokio::test]
async fn a_number_that_the_database_refuses_is_dropped_and_the_others_are_written() {
    let pool = pool().await;
    let counter = begin(&pool, MemoryTally::new(Merge::Add), Add).await;
    for (key, number) in [("a", 1), ("b", -5), ("c", 3)] {
        counter.count(key, number).await.unwrap();
    }
    flush(&counter).await;
    assert_eq!(table(&pool).await, [("a".to_owned(), 1), ("c".to_owned(), 3)]);
}

#[tokio::test]
async fn a_counter_that_cannot_work_says_what_to_do() {
    let pool = PgPool::connect(&fresh_database().unwrap()).await.unwrap();
    let start = async |builder: cache_sqlx::CounterBuilder| {
        builder.start(&pool, MemoryTally::new(Merge::Add), Add).await.unwrap_err().to_string()
    };
    let views = || Counter::builder("views");
    assert!(start(views()).await.contains("cache_sqlx::migrate(&pool)"));
    cache_sqlx::migrate(&pool).await.unwrap();
    assert!(start(views().batch(0)).await.contains("give `batch` at least 1"));
    assert!(start(views().every(Duration::ZERO)).await.contains("give `every` some time"));
    assert!(start(Counter::builder("")).await.contains("1 to 200 bytes"));
}
