//! `#[writes_behind]`: a write is seen by every cached read once it is acknowledged, long before the database has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cache_core::journal::Journal;
use cache_core::{
    Cache, Cacheable, FileJournal, MemoryStore, RedisStore, cached, invalidates, writes_behind,
};
use cache_sqlx::{Flush, PgTx, Queue, QueueError, QueueErrorKind, TxError, Write};
use cache_test_support::{Redis, fresh_database, redis_url, unique_name};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::{BOUND, redis_journal};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Cacheable, sqlx::FromRow)]
struct Draft {
    id: i64,
    version: i64,
    published: bool,
}

/// Flushes while it may.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

impl Flush<Draft> for Gate {
    async fn flush(&self, tx: &mut PgTx<'_>, writes: Vec<Write<Draft>>) -> sqlx::Result<()> {
        let _open = self.0.acquire().await.unwrap();
        for Write { value, .. } in writes {
            sqlx::query("INSERT INTO drafts VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET version = $2, published = $3")
                .bind(value.id)
                .bind(value.version)
                .bind(value.published)
                .execute(&mut *tx)
                .await?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Drafts {
    cache: Cache,
    pool: PgPool,
    queue: Queue<Draft>,
    loads: Arc<AtomicI64>,
}

impl Drafts {
    #[cached(key = "draft:<id>", ttl = "1h", tags = ["drafts"])]
    async fn find(&self, id: i64) -> sqlx::Result<Option<Draft>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.row(id).await
    }

    async fn row(&self, id: i64) -> sqlx::Result<Option<Draft>> {
        sqlx::query_as("SELECT id, version, published FROM drafts WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
    }

    #[writes_behind(key = "draft:<id>", queue = self.queue)]
    async fn save(&self, id: i64, version: i64) -> sqlx::Result<Draft> {
        Ok(Draft { id, version, published: false })
    }

    /// Nothing for a version that is none.
    #[writes_behind(key = "draft:<return.id>", queue = self.queue)]
    async fn save_if(&self, id: i64, version: Option<i64>) -> Result<Option<Draft>, QueueError> {
        Ok(version.map(|version| Draft { id, version, published: false }))
    }

    #[invalidates(key = "draft:<id>", begin = self.pool)]
    async fn publish(&self, tx: &mut PgTx<'_>, id: i64) -> sqlx::Result<i64> {
        sqlx::query_scalar("UPDATE drafts SET published = true WHERE id = $1 RETURNING version")
            .bind(id)
            .fetch_one(&mut *tx)
            .await
    }

    #[invalidates(tag = "drafts", begin = self.pool)]
    async fn publish_all(&self, tx: &mut PgTx<'_>) -> sqlx::Result<u64> {
        Ok(sqlx::query("UPDATE drafts SET published = true").execute(&mut *tx).await?.rows_affected())
    }

    async fn version(&self, id: i64) -> Option<i64> {
        self.find(id).await.unwrap().map(|draft| draft.version)
    }
}

struct House {
    pool: PgPool,
    folder: TempDir,
    gate: Gate,
}

impl House {
    async fn new() -> Self {
        let pool = PgPoolOptions::new().max_connections(8).connect(&fresh_database().unwrap()).await.unwrap();
        pool.execute(
            "CREATE TABLE drafts (id bigint PRIMARY KEY, version bigint NOT NULL, published bool NOT NULL)",
        )
        .await
        .unwrap();
        cache_sqlx::migrate(&pool).await.unwrap();
        Self { pool, folder: TempDir::new().unwrap(), gate: Gate(Arc::new(Semaphore::new(0))) }
    }

    async fn instance(&self, cache: &Cache, journal: impl Journal) -> Drafts {
        let builder = Queue::builder("drafts").linger(Duration::from_millis(1));
        let queue = builder.start(cache, &self.pool, journal, self.gate.clone()).await.unwrap();
        Drafts { cache: cache.clone(), pool: self.pool.clone(), queue, loads: Arc::default() }
    }

    /// One process with a store and a journal of its own.
    async fn alone(&self) -> Drafts {
        let cache = Cache::builder("drafts").store(MemoryStore::default()).build().unwrap();
        self.instance(&cache, FileJournal::open(self.folder.path()).await.unwrap()).await
    }

    /// Two processes that share a store and a journal.
    async fn two(&self) -> [Drafts; 2] {
        let name = unique_name("drafts");
        let namespace = name.replace('_', "-");
        let instance = async || {
            let store = RedisStore::connect(&redis_url().unwrap()).await.unwrap();
            let cache = Cache::builder(&namespace[..namespace.len().min(32)]).store(store).build().unwrap();
            self.instance(&cache, redis_journal(&name).await).await
        };
        [instance().await, instance().await]
    }

    fn open(&self) {
        self.gate.0.add_permits(1);
    }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, what).await.expect("it hangs")
}

#[tokio::test]
async fn a_queued_write_is_seen_by_every_instance_before_the_database_has_it_and_after() {
    let house = House::new().await;
    let [a, b] = house.two().await;
    assert_eq!((a.version(7).await, b.version(7).await, b.version(7).await), (None, None, None));
    assert_eq!(a.save(7, 1).await.unwrap(), Draft { id: 7, version: 1, published: false });
    assert_eq!((a.version(7).await, b.version(7).await), (Some(1), Some(1)));
    b.save(7, 2).await.unwrap();
    assert_eq!((a.version(7).await, b.version(7).await), (Some(2), Some(2)));
    assert_eq!(a.row(7).await.unwrap(), None, "it is still to come");
    let loads = a.loads.load(Ordering::SeqCst) + b.loads.load(Ordering::SeqCst);
    assert_eq!(loads, 1, "nobody asks the database for what it does not have");
    assert_eq!(a.save_if(8, None).await.unwrap(), None);
    assert_eq!(a.version(8).await, None);
    a.save_if(8, Some(5)).await.unwrap();
    assert_eq!(b.version(8).await, Some(5));
    house.open();
    in_time(a.publish_all()).await.unwrap();
    assert_eq!(a.row(7).await.unwrap().unwrap(), Draft { id: 7, version: 2, published: true });
    assert_eq!(b.find(7).await.unwrap().unwrap(), Draft { id: 7, version: 2, published: true });
    assert_eq!(b.find(8).await.unwrap().unwrap(), Draft { id: 8, version: 5, published: true });
}

#[tokio::test]
async fn a_covered_write_comes_after_what_was_queued_before_it() {
    let house = House::new().await;
    let [a, b] = house.two().await;
    house.open();
    for version in 1..50 {
        a.save(7, version).await.unwrap();
        assert_eq!(in_time(b.publish(7)).await.unwrap(), version);
        assert_eq!(a.find(7).await.unwrap().unwrap(), Draft { id: 7, version, published: true });
        b.save(7, version).await.unwrap();
        in_time(a.publish_all()).await.unwrap();
        assert!(b.find(7).await.unwrap().unwrap().published);
    }
}

#[tokio::test]
async fn a_covered_write_before_which_nothing_is_flushed_is_refused() {
    let house = House::new().await;
    let drafts = house.alone().await;
    drafts.save(7, 1).await.unwrap();
    let refused = in_time(drafts.publish(7)).await.unwrap_err();
    assert!(matches!(refused, sqlx::Error::RowNotFound), "{refused}: there is no row yet");
    drafts.pool.execute("INSERT INTO drafts VALUES (7, 0, false)").await.unwrap();
    let refused = in_time(drafts.publish(7)).await.unwrap_err();
    assert!(matches!(TxError::of(&refused), Some(TxError::Queued(_))), "{refused}");
    assert_eq!(drafts.version(7).await, Some(1));
    assert!(!drafts.row(7).await.unwrap().unwrap().published);
    house.open();
    assert_eq!(in_time(drafts.publish(7)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_process_that_comes_back_shows_what_waits_before_it_serves() {
    let house = House::new().await;
    let drafts = house.alone().await;
    drafts.save(7, 1).await.unwrap();
    drafts.save(7, 2).await.unwrap();
    drop(drafts);
    let again = async {
        loop {
            // The folder is free once the flusher has ended.
            match FileJournal::open(house.folder.path()).await {
                Ok(journal) => return journal,
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    let cache = Cache::builder("drafts").store(MemoryStore::default()).build().unwrap();
    let drafts = house.instance(&cache, in_time(again).await).await;
    assert_eq!(drafts.version(7).await, Some(2));
    assert_eq!(drafts.row(7).await.unwrap(), None);
    house.open();
    in_time(drafts.publish(7)).await.unwrap();
    assert_eq!(drafts.version(7).await, Some(2));
}

#[tokio::test]
async fn a_write_that_cannot_be_shown_says_so_and_is_made() {
    let redis = Redis::start().unwrap();
    let house = House::new().await;
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let cache = Cache::builder("drafts").store(store).build().unwrap();
    let drafts = house.instance(&cache, FileJournal::open(house.folder.path()).await.unwrap()).await;
    redis.stop();
    let error = drafts.save(7, 1).await.unwrap_err();
    let error = QueueError::of(&error).expect("it is the queue's");
    assert_eq!(error.kind(), QueueErrorKind::Unshown, "{error}");
    redis.restart().unwrap();
    house.open();
    in_time(async {
        while drafts.row(7).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    in_time(async {
        while drafts.version(7).await != Some(1) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Queued and covered writes of a few keys, one writer a key, while readers of both instances look: nobody is ever shown less than
/// what was acknowledged before he asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_sees_less_than_was_acknowledged() {
    let house = House::new().await;
    house.open();
    let [a, b] = house.two().await;
    let acknowledged: Arc<[AtomicI64; 3]> = Arc::default();
    let writer = |key: usize| {
        let (both, acknowledged) = ([a.clone(), b.clone()], acknowledged.clone());
        tokio::spawn(async move {
            let id = i64::try_from(key).unwrap();
            for version in 1..=150 {
                let by = &both[usize::try_from(version).unwrap() % 2];
                by.save(id, version).await.unwrap();
                acknowledged[key].store(version, Ordering::SeqCst);
                if version % 10 == 0 {
                    assert_eq!(by.publish(id).await.unwrap(), version);
                    assert!(both[0].find(id).await.unwrap().unwrap().published);
                }
            }
        })
    };
    let writers: Vec<_> = (0..3).map(writer).collect();
    let reader = |drafts: &Drafts| {
        let (drafts, acknowledged) = (drafts.clone(), acknowledged.clone());
        tokio::spawn(async move {
            let mut reads = 0_u64;
            while acknowledged.iter().any(|last| last.load(Ordering::SeqCst) < 150) {
                for (key, last) in acknowledged.iter().enumerate() {
                    let before = last.load(Ordering::SeqCst);
                    let seen = drafts.version(i64::try_from(key).unwrap()).await.unwrap_or(0);
                    assert!(seen >= before, "version {seen} of {key} after {before} was acknowledged");
                    reads += 1;
                }
            }
            reads
        })
    };
    let readers = [reader(&a), reader(&b), reader(&b)];
    for writer in writers {
        in_time(writer).await.unwrap();
    }
    for reader in readers {
        assert!(in_time(reader).await.unwrap() > 0);
    }
}
