//! Processes that write and are killed, before their COMMIT or after it, and readers in another process that find out: on real
//! Redis, MariaDB and SQLite.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use cache_core::testkit::{ChaosStore, Command as Asked, Rule};
use cache_core::{Builder, Cache, RedisStore, WriteScope};
use cache_sqlx::begin;
use cache_test_support::{redis_url, unique_name};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{ConnectOptions, Executor, MySqlPool, SqlitePool};

use crate::kit::{read, touch, until};
use crate::mysql::{self, Vault};

/// Long enough for a slow machine.
const LIMIT: Duration = Duration::from_secs(20);
/// More than SQLite keeps in memory for this test, so that it writes them to the file before the commit.
const MANY: i64 = 2_000;

/// Where a writer is when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Between the fence's acknowledgement and COMMIT.
    Fenced,
    /// Between COMMIT and CLEAR.
    Committed,
}

const STAGES: [Stage; 2] = [Stage::Fenced, Stage::Committed];

async fn plain(namespace: &str, change: impl FnOnce(Builder) -> Builder) -> Cache {
    let store = RedisStore::connect(&redis_url().unwrap()).await.unwrap();
    let builder = Cache::builder(namespace).store(store).read_deadline(LIMIT).mark_deadline(LIMIT);
    change(builder).build().unwrap()
}

/// A process that has come to a stage of its write and stays there until it is killed.
struct Writer(Child);

impl Writer {
    async fn start(database: &str, namespace: &str, stage: Stage) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::helper_writes_and_stays", "--nocapture", "--test-threads=1"])
            .env("CACHE_TEST_WRITER", format!("{stage:?}"))
            .env("CACHE_TEST_DATABASE", database)
            .env("CACHE_TEST_NAMESPACE", namespace)
            .env("REDIS_URL", redis_url().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let told = tokio::task::spawn_blocking(move || {
            out.lines().map_while(Result::ok).any(|line| line.contains("it is there"))
        });
        let writer = Self(child);
        assert!(told.await.unwrap(), "the writer comes to {stage:?}");
        writer
    }

    /// SIGKILL: nothing of it runs any more.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In the child: changes account 1 to 150 and stays at a stage.
#[tokio::test(flavor = "multi_thread")]
async fn helper_writes_and_stays() {
    let Ok(stage) = std::env::var("CACHE_TEST_WRITER") else { return };
    let variable = |name: &str| std::env::var(name).unwrap();
    let store = ChaosStore::new(RedisStore::connect(&variable("REDIS_URL")).await.unwrap());
    let builder = Cache::builder(&variable("CACHE_TEST_NAMESPACE")).store(store.clone());
    let cache = builder.mark_deadline(LIMIT).build().unwrap();
    let held = if stage == "Fenced" { store.hold_reply(Asked::Mark) } else { store.hold(Asked::Clear) };
    let database = variable("CACHE_TEST_DATABASE");
    let commit = if database.starts_with("mysql://") {
        let pool = MySqlPool::connect(&database).await.unwrap();
        let mut tx = begin(&cache, &pool).await.unwrap();
        touch(&tx.recording(), 1);
        sqlx::query("UPDATE account SET balance = 150 WHERE id = 1").execute(&mut *tx).await.unwrap();
        tokio::spawn(tx.commit())
    } else {
        let pool = SqlitePoolOptions::new().max_connections(1).connect(&database).await.unwrap();
        pool.execute("PRAGMA cache_size = 10").await.unwrap();
        let mut tx = begin(&cache, &pool).await.unwrap();
        touch(&tx.recording(), 1);
        tx.execute("UPDATE account SET balance = 150").await.unwrap();
        tokio::spawn(tx.commit())
    };
    held.reached().await;
    println!("it is there");
    let _ = commit.await;
    unreachable!("it is killed first");
}

/// A reader's cache, and how it loads.
struct Reader<L> {
    cache: Cache,
    load: L,
}

impl<L: AsyncFn() -> i64> Reader<L> {
    async fn read(&self) -> i64 {
        read(&self.cache, 1, &AtomicUsize::new(0), (self.load)()).await
    }

    /// Whether a second read in a row is a hit: the account is not fenced.
    async fn is_cached(&self) -> bool {
        let loads = AtomicUsize::new(0);
        read(&self.cache, 1, &loads, (self.load)()).await;
        let first = loads.load(std::sync::atomic::Ordering::SeqCst);
        read(&self.cache, 1, &loads, (self.load)()).await;
        loads.load(std::sync::atomic::Ordering::SeqCst) == first
    }

    /// Reads for a while behind a writer that lives, kills it, and reads until its fence is lifted.
    async fn outlives(&self, writer: Writer, stage: Stage) {
        if stage == Stage::Fenced {
            for _ in 0..5 {
                assert!(!self.is_cached().await, "the writer lives");
                // Writers are asked about at most every 50 ms; its fence is at least that old.
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
        }
        writer.kill();
        until("a reader heals the fence", async || self.is_cached().await).await;
        let expected = if stage == Stage::Fenced { 100 } else { 150 };
        assert_eq!(self.read().await, expected, "{stage:?}");
    }
}

#[tokio::test]
async fn a_killed_writer_on_mariadb_is_healed_by_another_process() {
    for stage in STAGES {
        let Vault { options, pool, .. } = mysql::vault().await;
        let namespace = unique_name("killed");
        let writer = Writer::start(options.to_url_lossy().as_str(), &namespace, stage).await;
        let cache = plain(&namespace, |builder| builder).await;
        cache_sqlx::heal(&cache, &pool);
        let load = async || sqlx::query_scalar(mysql::GET).bind(1_i64).fetch_one(&pool).await.unwrap();
        Reader { cache, load }.outlives(writer, stage).await;
    }
}

/// The control: a reader who lifts by age keeps what the writer, alive and slow, is about to replace.
#[tokio::test]
async fn without_asking_a_reader_fills_behind_a_living_writer() {
    let Vault { options, pool, .. } = mysql::vault().await;
    let namespace = unique_name("killed");
    let writer = Writer::start(options.to_url_lossy().as_str(), &namespace, Stage::Fenced).await;
    let cache = plain(&namespace, |builder| builder.without(Rule::HealersAsked)).await;
    let load = async || sqlx::query_scalar(mysql::GET).bind(1_i64).fetch_one(&pool).await.unwrap();
    let reader = Reader { cache, load };
    until("a reader lifts the fence", async || reader.is_cached().await).await;
    drop(writer);
}

/// A file with many accounts of 100, and a pool on it.
async fn file(folder: &tempfile::TempDir, mode: SqliteJournalMode) -> (String, SqlitePool) {
    let path = folder.path().join("till.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).journal_mode(mode);
    let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
    pool.execute(sqlx::AssertSqlSafe(format!(
        "CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, filler TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
             INSERT INTO account SELECT i, 100, hex(randomblob(200)) FROM n"
    )))
    .await
    .unwrap();
    (format!("sqlite://{}", path.display()), pool)
}

/// Whatever it leaves: locks that are gone with it, a journal that the next one rolls back, a log without its last frames.
#[tokio::test]
async fn a_killed_writer_on_sqlite_is_healed_by_another_process() {
    for mode in [SqliteJournalMode::Delete, SqliteJournalMode::Wal] {
        for stage in STAGES {
            let folder = tempfile::tempdir().unwrap();
            let (url, pool) = file(&folder, mode).await;
            let namespace = unique_name("killed");
            let writer = Writer::start(&url, &namespace, stage).await;
            let cache = plain(&namespace, |builder| builder).await;
            cache_sqlx::heal(&cache, &pool);
            let hot = folder.path().join("till.db-journal");
            let is_hot = || std::fs::metadata(&hot).is_ok_and(|file| file.len() > 0);
            if mode != SqliteJournalMode::Wal {
                assert_eq!(
                    is_hot(),
                    stage == Stage::Fenced,
                    "{mode:?} {stage:?}: pages are in the file already"
                );
            }
            if mode == SqliteJournalMode::Wal || stage == Stage::Committed {
                let load =
                    async || sqlx::query_scalar(crate::kit::GET).bind(1_i64).fetch_one(&pool).await.unwrap();
                Reader { cache, load }.outlives(writer, stage).await;
            } else {
                // A writer that has written to the file keeps everybody out of it: no load, no fill.
                writer.kill();
                let load =
                    async || sqlx::query_scalar(crate::kit::GET).bind(1_i64).fetch_one(&pool).await.unwrap();
                let reader = Reader { cache, load };
                until("a reader heals the fence", async || reader.is_cached().await).await;
                assert_eq!(reader.read().await, 100);
            }
            let sum: i64 =
                sqlx::query_scalar("SELECT sum(balance) FROM account").fetch_one(&pool).await.unwrap();
            let each = if stage == Stage::Fenced { 100 } else { 150 };
            assert_eq!(sum, MANY * each, "{mode:?} {stage:?}: all of it or nothing");
        }
    }
}
