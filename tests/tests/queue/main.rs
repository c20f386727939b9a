//! Queued writes reach Postgres once each and in order, whatever happens on the way.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod counter;
mod flushed;
mod kill;
mod pushed;
mod shown;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cache_core::error::{JournalError, JournalErrorKind};
use cache_core::journal::{Costs, Depth, Journal, JournalId, Position, Record, Survives};
use cache_core::store::BoxFuture;
use cache_core::{Cache, Cacheable, FileJournal, MemoryStore, RedisJournal, RedisStore};
use cache_sqlx::{Flush, PgTx, Queue, QueueErrorKind, Write};
use cache_test_support::{fresh_database, redis_url, unique_name};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use tempfile::TempDir;
use tokio::sync::Semaphore;

const BOUND: Duration = Duration::from_secs(60);

/// A change of a row: its last value, and how much is added to its sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Cacheable)]
struct Change {
    id: i64,
    last: i64,
    add: i64,
}

/// Keeps the last value and adds up the rest; a negative value is refused by the table.
#[derive(Clone, Default)]
struct Rows(Arc<AtomicUsize>);

impl Flush<Change> for Rows {
    async fn flush(&self, tx: &mut PgTx<'_>, writes: Vec<Write<Change>>) -> sqlx::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        for Write { value: Change { id, last, add }, .. } in writes {
            sqlx::query(
                "INSERT INTO rows AS r VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET last = $2, sum = r.sum + $3",
            )
            .bind(id)
            .bind(last)
            .bind(add)
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }

    fn merge(&self, earlier: Change, later: Change) -> Change {
        Change { add: earlier.add + later.add, ..later }
    }
}

struct House {
    cache: Cache,
    pool: PgPool,
    folder: TempDir,
}

impl House {
    async fn new() -> Self {
        let pool = PgPoolOptions::new().max_connections(5).connect(&fresh_database().unwrap()).await.unwrap();
        pool.execute(
            "CREATE TABLE rows (id bigint PRIMARY KEY, last bigint CHECK (last >= 0), sum bigint NOT NULL)",
        )
        .await
        .unwrap();
        cache_sqlx::migrate(&pool).await.unwrap();
        let cache = Cache::builder("queue").store(MemoryStore::default()).build().unwrap();
        Self { cache, pool, folder: TempDir::new().unwrap() }
    }

    async fn file(&self) -> FileJournal {
        FileJournal::open(self.folder.path()).await.unwrap()
    }

    async fn begin(&self, journal: impl Journal) -> Queue<Change> {
        let builder = Queue::builder("changes").linger(Duration::from_millis(1));
        builder.start(&self.cache, &self.pool, journal, Rows::default()).await.unwrap()
    }

    async fn row(&self, id: i64) -> Option<(i64, i64)> {
        sqlx::query_as("SELECT last, sum FROM rows WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .unwrap()
    }
}

async fn push(queue: &Queue<Change>, id: i64, last: i64) -> Position {
    queue.push(&format!("row:{id}"), &Change { id, last, add: 1 }).await.unwrap()
}

async fn flushed(queue: &Queue<Change>, position: Position) {
    tokio::time::timeout(BOUND, queue.flushed(position)).await.expect("it is flushed in the end");
}

async fn redis_journal(name: &str) -> RedisJournal {
    let store = RedisStore::connect(&redis_url().unwrap()).await.unwrap();
    let opening = async {
        loop {
            match RedisJournal::open(&store, "queue", name, Costs::SinceSnapshot).await {
                Ok(journal) => return journal,
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    tokio::time::timeout(BOUND, opening).await.unwrap()
}

#[tokio::test]
async fn what_is_queued_reaches_the_database_in_order_and_once_a_key_and_batch() {
    let house = House::new().await;
    let queue = house.begin(house.file().await).await;
    let mut last = Position(0);
    for value in 1..=300 {
        last = push(&queue, value % 3, value).await;
    }
    flushed(&queue, last).await;
    let mut rows = Vec::new();
    for id in 0..3 {
        rows.push(house.row(id).await.unwrap());
    }
    assert_eq!(rows, [(300, 100), (298, 100), (299, 100)]);
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.queued, stats.applied, stats.waiting, stats.dead), (300, 300, 0, 0));
    assert!(stats.written <= stats.batches * 3 && stats.batches < 300, "{stats:?}");
}

#[tokio::test]
async fn instances_that_share_a_journal_apply_each_write_once_and_in_order() {
    let house = House::new().await;
    let name = unique_name("changes");
    let mut queues = Vec::new();
    for _ in 0..3 {
        queues.push(house.begin(redis_journal(&name).await).await);
    }
    let mut last = Position(0);
    for value in 1..=300 {
        last = push(&queues[usize::try_from(value % 3).unwrap()], value % 2, value).await;
    }
    for queue in &queues {
        flushed(queue, last).await;
    }
    assert_eq!((house.row(0).await, house.row(1).await), (Some((300, 150)), Some((299, 150))));
}

#[tokio::test]
async fn what_waits_is_applied_after_a_restart() {
    let house = House::new().await;
    let journal = house.file().await;
    for value in 1..=10 {
        let change = Change { id: 1, last: value, add: 1 };
        journal.append("row:1", payload(&house, &change).await).await.unwrap();
    }
    journal.close().await;
    let queue = house.begin(house.file().await).await;
    flushed(&queue, Position(10)).await;
    assert_eq!(house.row(1).await, Some((10, 10)));
}

/// The bytes that a queue makes of a write.
async fn payload(house: &House, change: &Change) -> Bytes {
    let folder = TempDir::new().unwrap();
    let journal = Arc::new(FileJournal::open(folder.path()).await.unwrap());
    let queue = Queue::builder("no such queue's").linger(Duration::from_secs(600));
    let queue = queue
        .start(
            &house.cache,
            &house.pool,
            Scripted { shows_nothing: true, ..Scripted::over(journal.clone()) },
            Rows::default(),
        )
        .await
        .unwrap();
    queue.push("row:1", change).await.unwrap();
    journal.read(Position(0), 1).await.unwrap()[0].payload.clone()
}

/// A journal over another one that forgets to trim, shows nothing, or appends when it is told to.
#[derive(Clone, Debug)]
struct Scripted {
    inner: Arc<FileJournal>,
    keeps_all: bool,
    shows_nothing: bool,
    turns: Option<Arc<Turns>>,
}

/// Appends of many records: each waits for a permit.
#[derive(Debug)]
struct Turns {
    begin: Semaphore,
    /// How many records came at once.
    lengths: Mutex<Vec<usize>>,
}

impl Scripted {
    fn over(inner: Arc<FileJournal>) -> Self {
        Self { inner, keeps_all: false, shows_nothing: false, turns: None }
    }
}

impl Journal for Scripted {
    fn append<'a>(&'a self, key: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Position, JournalError>> {
        self.inner.append(key, payload)
    }

    fn append_many<'a>(
        &'a self,
        records: &'a [(String, Bytes)],
    ) -> BoxFuture<'a, Vec<Result<Position, JournalError>>> {
        Box::pin(async move {
            if let Some(turns) = &self.turns {
                turns.lengths.lock().unwrap().push(records.len());
                turns.begin.acquire().await.unwrap().forget();
            }
            self.inner.append_many(records).await
        })
    }

    fn read(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, JournalError>> {
        if self.shows_nothing {
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        self.inner.read(after, limit)
    }

    fn trim(&self, applied: Position) -> BoxFuture<'_, Result<(), JournalError>> {
        if self.keeps_all {
            let lost = JournalError::new(JournalErrorKind::Unknown, "as if the process had died before it");
            return Box::pin(std::future::ready(Err(lost)));
        }
        self.inner.trim(applied)
    }

    fn grown(&self, beyond: Position) -> BoxFuture<'_, ()> {
        self.inner.grown(beyond)
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, JournalError>> {
        self.inner.depth()
    }

    fn id(&self) -> JournalId {
        self.inner.id()
    }

    fn survives(&self) -> Survives {
        self.inner.survives()
    }

    fn describe(&self) -> String {
        "a scripted journal".into()
    }
}

#[tokio::test]
async fn what_was_applied_and_not_trimmed_is_not_applied_again() {
    let house = House::new().await;
    let journal = Arc::new(house.file().await);
    let queue = house.begin(Scripted { keeps_all: true, ..Scripted::over(journal.clone()) }).await;
    let mut last = Position(0);
    for value in 1..=10 {
        last = push(&queue, 1, value).await;
    }
    flushed(&queue, last).await;
    drop(queue);
    assert_eq!(journal.depth().await.unwrap().records, 10);
    let queue = house.begin(Scripted::over(journal.clone())).await;
    let next = push(&queue, 1, 11).await;
    flushed(&queue, next).await;
    assert_eq!(house.row(1).await, Some((11, 11)));
    assert_eq!(journal.depth().await.unwrap().records, 0);
}

#[tokio::test]
async fn what_another_instance_has_applied_and_trimmed_is_known_to_be_applied() {
    let house = House::new().await;
    let journal = Arc::new(house.file().await);
    // As an instance sees it that always comes too late.
    let late = house.begin(Scripted { shows_nothing: true, ..Scripted::over(journal.clone()) }).await;
    let _prompt = house.begin(Scripted::over(journal)).await;
    let position = push(&late, 1, 1).await;
    flushed(&late, position).await;
    assert_eq!(house.row(1).await, Some((1, 1)));
}

#[tokio::test]
async fn a_write_that_the_database_refuses_is_put_aside_with_the_reason_and_the_others_go_on() {
    let house = House::new().await;
    let queue = house.begin(house.file().await).await;
    let mut last = Position(0);
    for value in [1_i64, 2, -3, 4, 5] {
        last = push(&queue, value.abs(), value).await;
    }
    flushed(&queue, last).await;
    assert_eq!(
        (house.row(2).await, house.row(3).await, house.row(5).await),
        (Some((2, 1)), None, Some((5, 1)))
    );
    let dead = queue.dead_letters().await.unwrap();
    let [dead] = &dead[..] else { panic!("{dead:?}") };
    assert_eq!((dead.key.as_str(), dead.value::<Change>().unwrap().last), ("row:3", -3));
    assert!(dead.reason.contains("rows_last_check"), "{}", dead.reason);
    assert_eq!(queue.stats().await.unwrap().dead, 1);

    house.pool.execute("ALTER TABLE rows DROP CONSTRAINT rows_last_check").await.unwrap();
    assert!(queue.replay(dead.id).await.unwrap());
    assert!(!queue.replay(dead.id).await.unwrap(), "it is there once");
    let last = push(&queue, 6, 6).await;
    flushed(&queue, last).await;
    assert_eq!((house.row(3).await, queue.dead_letters().await.unwrap()), (Some((-3, 1)), vec![]));
}

#[tokio::test]
async fn a_table_that_is_missing_is_nobody_s_data_and_everything_waits_for_it() {
    let house = House::new().await;
    house.pool.execute("ALTER TABLE rows RENAME TO elsewhere").await.unwrap();
    let queue = house.begin(house.file().await).await;
    let last = push(&queue, 1, 1).await;
    while queue.stats().await.unwrap().retries < 8 {
        tokio::task::yield_now().await;
    }
    assert_eq!(queue.dead_letters().await.unwrap(), []);
    house.pool.execute("ALTER TABLE elsewhere RENAME TO rows").await.unwrap();
    flushed(&queue, last).await;
    assert_eq!(house.row(1).await, Some((1, 1)));
}

#[tokio::test]
async fn a_journal_that_is_older_than_the_database_acknowledges_nothing() {
    let house = House::new().await;
    house.file().await.close().await;
    let mut file = std::fs::read_dir(house.folder.path()).unwrap().map(|file| file.unwrap().path());
    let file = file.find(|file| file.extension().is_some()).unwrap();
    let backup = std::fs::read(&file).unwrap();
    let journal = Arc::new(house.file().await);
    let queue = house.begin(journal.clone()).await;
    let last = push(&queue, 1, 1).await;
    flushed(&queue, last).await;
    drop(queue);
    while Arc::strong_count(&journal) > 1 {
        tokio::task::yield_now().await;
    }
    Arc::into_inner(journal).unwrap().close().await;
    std::fs::write(&file, backup).unwrap();
    let queue = house.begin(house.file().await).await;
    flushed(&queue, last).await;
    let error = queue.push("row:1", &Change { id: 1, last: 2, add: 1 }).await.unwrap_err();
    assert_eq!(error.kind(), QueueErrorKind::NotQueued);
    assert!(error.to_string().contains("is older than the database"), "{error}");
}

#[tokio::test]
async fn a_full_queue_says_so_and_nothing_is_queued() {
    let house = House::new().await;
    house.pool.execute("ALTER TABLE rows RENAME TO elsewhere").await.unwrap();
    let journal = FileJournal::builder(house.folder.path()).limit_records(2).open().await.unwrap();
    let queue = house.begin(journal).await;
    push(&queue, 1, 1).await;
    let last = push(&queue, 1, 2).await;
    let error = queue.push("row:1", &Change { id: 1, last: 3, add: 1 }).await.unwrap_err();
    assert_eq!(error.kind(), QueueErrorKind::Full);
    assert!(error.to_string().contains("the queue is full, and the write was not queued"), "{error}");
    house.pool.execute("ALTER TABLE elsewhere RENAME TO rows").await.unwrap();
    flushed(&queue, last).await;
    assert_eq!(house.row(1).await, Some((2, 2)));
}

#[tokio::test]
async fn what_cannot_be_begun_says_what_to_do() {
    let house = House::new().await;
    let start = async |name: &str, batch: usize| {
        let folder = TempDir::new().unwrap();
        let journal = FileJournal::open(folder.path()).await.unwrap();
        let builder = Queue::builder(name).batch(batch);
        builder
            .start::<Change, _>(&house.cache, &house.pool, journal, Rows::default())
            .await
            .unwrap_err()
            .to_string()
    };
    assert!(start("changes", 0).await.contains("give `batch` at least 1"));
    assert!(start("", 1).await.contains("1 to 200 bytes"));
    house.pool.execute("DROP TABLE cache_queues").await.unwrap();
    assert!(start("changes", 1).await.contains("call `cache_sqlx::migrate(&pool)` at start"));
}

/// Not for two live queues, and not over writes that wait; what is drained may be given to another type.
#[tokio::test]
async fn one_name_and_journal_hold_one_type() {
    struct Texts;

    impl Flush<String> for Texts {
        async fn flush(&self, _tx: &mut PgTx<'_>, _writes: Vec<Write<String>>) -> sqlx::Result<()> {
            Ok(())
        }
    }

    let (house, name) = (House::new().await, unique_name("changes"));
    let start = async || {
        let journal = redis_journal(&name).await;
        Queue::builder("changes").start(&house.cache, &house.pool, journal, Texts).await
    };
    let queue = house.begin(redis_journal(&name).await).await;
    flushed(&queue, push(&queue, 1, 1).await).await;
    let error = start().await.unwrap_err().to_string();
    assert!(
        error.contains("`Change`") && error.contains("`String`") && error.contains("another name"),
        "{error}"
    );
    house.pool.execute("ALTER TABLE rows RENAME TO gone").await.unwrap();
    push(&queue, 1, 2).await;
    drop(queue);
    let error = start().await.unwrap_err().to_string();
    assert!(error.contains("drain it first"), "{error}");
    house.pool.execute("ALTER TABLE gone RENAME TO rows").await.unwrap();
    let queue = house.begin(redis_journal(&name).await).await;
    flushed(&queue, push(&queue, 1, 3).await).await;
    drop(queue);
    let texts = async {
        loop {
            // The flusher of the last queue may be at work for a moment.
            match start().await {
                Ok(texts) => return texts,
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    let texts = tokio::time::timeout(BOUND, texts).await.unwrap();
    tokio::time::timeout(BOUND, texts.flushed(texts.push("text", &"Ada".to_owned()).await.unwrap()))
        .await
        .unwrap();
}

#[tokio::test]
async fn the_tables_may_be_made_by_many_at_once_and_again() {
    let house = House::new().await;
    house.pool.execute("DROP TABLE cache_queues, cache_dead_letters").await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let pool = house.pool.clone();
        tasks.spawn(async move { cache_sqlx::migrate(&pool).await });
    }
    for made in tasks.join_all().await {
        made.unwrap();
    }
}
