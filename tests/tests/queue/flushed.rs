//! A flush beside what the store shows and what is fenced: it makes good what was lost, and does not wait for itself.

use std::sync::Arc;
use std::time::Duration;

use cache_core::store::Store;
use cache_core::subject::Kind;
use cache_core::testkit::{ChaosStore, Command};
use cache_core::{
    Cache, Cacheable, FileJournal, MemoryStore, RedisStore, cached, invalidates, writes_behind,
};
use cache_sqlx::{Flush, PgTx, Queue, QueueError, Write};
use cache_test_support::{Redis, fresh_database};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::BOUND;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Cacheable, sqlx::FromRow)]
struct Note {
    id: i64,
    version: i64,
}

/// Writes by a function that is covered itself. Each attempt takes a permit; the first fails as a database does that is away.
#[derive(Clone)]
struct Covered {
    turns: Arc<Semaphore>,
    begun: Arc<Semaphore>,
}

impl Covered {
    #[invalidates(key = "note:<id>", within = tx)]
    async fn write(&self, tx: &mut PgTx<'_>, id: i64, version: i64) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO notes VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET version = $2")
            .bind(id)
            .bind(version)
            .execute(tx)
            .await
            .map(drop)
    }
}

impl Flush<Note> for Covered {
    async fn flush(&self, tx: &mut PgTx<'_>, writes: Vec<Write<Note>>) -> sqlx::Result<()> {
        let is_first = self.begun.available_permits() == 0;
        self.begun.add_permits(1);
        self.turns.acquire().await.unwrap().forget();
        if is_first {
            return Err(sqlx::Error::PoolTimedOut);
        }
        for Write { value: Note { id, version }, .. } in writes {
            self.write(tx, id, version).await?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Notes {
    cache: Cache,
    pool: PgPool,
    queue: Queue<Note>,
}

impl Notes {
    #[cached(key = "note:<id>", ttl = "1h")]
    async fn find(&self, id: i64) -> sqlx::Result<Option<Note>> {
        self.row(id).await
    }

    async fn row(&self, id: i64) -> sqlx::Result<Option<Note>> {
        sqlx::query_as("SELECT id, version FROM notes WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
    }

    #[writes_behind(key = "note:<id>", queue = self.queue)]
    async fn save(&self, id: i64, version: i64) -> Result<Note, QueueError> {
        Ok(Note { id, version })
    }
}

async fn database() -> PgPool {
    let pool = PgPoolOptions::new().max_connections(8).connect(&fresh_database().unwrap()).await.unwrap();
    pool.execute("CREATE TABLE notes (id bigint PRIMARY KEY, version bigint NOT NULL)").await.unwrap();
    cache_sqlx::migrate(&pool).await.unwrap();
    pool
}

/// Waits until this is so.
async fn comes(what: impl AsyncFn() -> bool) {
    let waiting = async {
        while !what().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, waiting).await.expect("it comes");
}

#[tokio::test]
async fn a_flush_shows_again_what_the_store_has_lost_and_does_not_wait_for_itself() {
    let redis = Redis::start().unwrap();
    let pool = database().await;
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let cache = Cache::builder("notes").store(store).build().unwrap();
    let folder = TempDir::new().unwrap();
    let journal = FileJournal::open(folder.path()).await.unwrap();
    let covered = Covered { turns: Arc::new(Semaphore::new(0)), begun: Arc::new(Semaphore::new(0)) };
    let queue = Queue::builder("notes").start(&cache, &pool, journal, covered.clone()).await.unwrap();
    let notes = Notes { cache, pool, queue };
    let version = async || notes.find(7).await.unwrap().map(|note| note.version);

    notes.save(7, 1).await.unwrap();
    assert_eq!(version().await, Some(1));
    // The first attempt has looked at what is shown.
    comes(async || covered.begun.available_permits() == 1).await;
    let mut connection =
        redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    assert_eq!(version().await, None, "the store has lost it, and the database does not have it");
    covered.turns.add_permits(1);
    comes(async || version().await == Some(1)).await;
    assert_eq!(notes.row(7).await.unwrap(), None, "shown before the database has it");

    covered.turns.add_permits(100);
    comes(async || notes.queue.stats().await.unwrap().waiting == 0).await;
    assert_eq!(notes.row(7).await.unwrap(), Some(Note { id: 7, version: 1 }));
    assert_eq!(version().await, Some(1));
    let stats = notes.queue.stats().await.unwrap();
    assert_eq!(
        (stats.applied, stats.retries, stats.dead),
        (1, 1, 0),
        "one attempt failed as told, and no other"
    );
}

#[tokio::test]
async fn whoever_takes_over_settles_what_the_one_before_has_applied() {
    let pool = database().await;
    let store = ChaosStore::new(MemoryStore::default());
    let cache = Cache::builder("notes").store(store.clone()).build().unwrap();
    let folder = TempDir::new().unwrap();
    let free = async || {
        // The folder is free once the flusher before has ended.
        let opening = async {
            loop {
                match FileJournal::open(folder.path()).await {
                    Ok(journal) => return journal,
                    Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        tokio::time::timeout(BOUND, opening).await.expect("it is free in the end")
    };
    let covered = Covered { turns: Arc::new(Semaphore::new(100)), begun: Arc::new(Semaphore::new(1)) };
    let begin = async || {
        let queue =
            Queue::builder("notes").start(&cache, &pool, free().await, covered.clone()).await.unwrap();
        Notes { cache: cache.clone(), pool: pool.clone(), queue }
    };
    let subject = cache.namespace().subject(Kind::Entity, |text| text.literal("note:7"));

    let settling = store.hold(Command::Settle);
    let notes = begin().await;
    notes.save(7, 1).await.unwrap();
    settling.reached().await;
    assert_eq!(notes.row(7).await.unwrap(), Some(Note { id: 7, version: 1 }), "applied");
    drop(notes);
    let notes = begin().await;
    comes(async || store.queued(&subject).await.unwrap().is_none()).await;
    assert_eq!(notes.find(7).await.unwrap(), Some(Note { id: 7, version: 1 }));
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(&pool).await.unwrap();
    assert_eq!((applied, notes.queue.stats().await.unwrap().applied), (1, 0), "nothing is applied again");
}
