//! Processes that queue are killed, and servers under them, again and again: what was acknowledged is in the database once, and in
//! order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use cache_test_support::{Postgres, Redis};
use cache_tests::queue::{self, Journal, KEYS, TABLE};

use super::*;

/// How often something is killed; a variable of the environment says otherwise.
fn kills(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |kills| kills.parse().expect("a number of kills"))
}

/// A process that queues, and the numbers of each key that it has said were acknowledged.
struct Writer {
    child: Child,
    lines: Receiver<(i64, i64)>,
}

impl Writer {
    fn start(database: &str, journal: &str, first: i64) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_queue-writer"))
            .args([database, journal, &first.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                // The last one may be cut short.
                let Some((key, number)) = line.split_once(' ') else { continue };
                let (Ok(key), Ok(number)) = (key.parse(), number.parse()) else { continue };
                let _ = said.send((key, number));
            }
        });
        Self { child, lines }
    }

    /// Waits for so many more.
    fn hears(&self, acknowledgements: usize, told: &mut Vec<(i64, i64)>) {
        for _ in 0..acknowledgements {
            told.push(self.lines.recv_timeout(BOUND).expect("it goes on queueing"));
        }
    }

    /// Kills it; with what it had written before.
    fn kill(mut self, told: &mut Vec<(i64, i64)>) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        told.extend(self.lines.iter());
    }
}

/// What is killed under a writer, or with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Writer,
    Redis,
    Postgres,
    WriterAndRedis,
}

/// The servers that a test kills.
#[derive(Default)]
struct Servers {
    redis: Option<Redis>,
    postgres: Option<Postgres>,
}

/// Lets a writer queue, kills, and goes on; the numbers that were acknowledged.
fn kill_and_go_on(
    (database, journal): (&str, &str),
    servers: &Servers,
    (victim, kills): (Victim, usize),
) -> Vec<(i64, i64)> {
    let (mut told, mut first, mut rng) = (Vec::new(), 1, fastrand::Rng::with_seed(7));
    let mut writer = Writer::start(database, journal, first);
    for _ in 0..kills {
        writer.hears(rng.usize(1..400), &mut told);
        match victim {
            Victim::Writer | Victim::WriterAndRedis => {
                if victim == Victim::WriterAndRedis {
                    servers.redis.as_ref().unwrap().kill();
                }
                writer.kill(&mut told);
                if victim == Victim::WriterAndRedis {
                    servers.redis.as_ref().unwrap().restart().unwrap();
                }
                // Those that were under way may be in the journal, too: the next process begins far behind them.
                first = told.iter().map(|(_, number)| *number).max().unwrap_or(first) + 100_000;
                writer = Writer::start(database, journal, first);
            }
            Victim::Redis => {
                let redis = servers.redis.as_ref().unwrap();
                redis.kill();
                redis.restart().unwrap();
            }
            Victim::Postgres => {
                let postgres = servers.postgres.as_ref().unwrap();
                postgres.kill();
                // The journal takes more meanwhile.
                writer.hears(50, &mut told);
                postgres.restart().unwrap();
            }
        }
    }
    writer.hears(50, &mut told);
    writer.kill(&mut told);
    told
}

/// Kills, drains the journal, and compares what was acknowledged with the table.
async fn survives(database: String, journal: String, servers: Servers, (victim, kills): (Victim, usize)) {
    let pool = PgPoolOptions::new().max_connections(4).connect(&database).await.unwrap();
    pool.execute(TABLE).await.unwrap();
    cache_sqlx::migrate(&pool).await.unwrap();
    let place = journal.clone();
    let (acknowledged, _servers) = tokio::task::spawn_blocking(move || {
        (kill_and_go_on((&database, &place), &servers, (victim, kills)), servers)
    })
    .await
    .unwrap();
    let cache = Cache::builder("queue").store(MemoryStore::default()).build().unwrap();
    let opened = Journal::open(&journal).await;
    let queue = queue::begin(&cache, &pool, opened.again()).await;
    // While a database was away much may have gathered.
    let mut waits = opened.waiting().await;
    while waits > 0 {
        let goes_on = async {
            while opened.waiting().await == waits {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(BOUND, goes_on).await.expect("what waits is applied");
        waits = opened.waiting().await;
    }
    drop(queue);

    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT key, number FROM numbers ORDER BY at").fetch_all(&pool).await.unwrap();
    let applied: BTreeSet<_> = rows.iter().copied().collect();
    assert_eq!(applied.len(), rows.len(), "a write was applied twice");
    let lost: Vec<_> = acknowledged.iter().filter(|written| !applied.contains(written)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let mut keys = BTreeMap::<i64, i64>::new();
    for (key, number) in rows {
        let before = keys.insert(key, number).unwrap_or(0);
        assert!(before < number, "key {key}: {number} was applied behind {before}");
    }
    assert_eq!(keys.len(), usize::try_from(KEYS).unwrap());
    println!("{victim:?}: {kills} kills, {} acknowledged, {} applied", acknowledged.len(), applied.len());
}

/// Each record is on the disk before it is acknowledged.
fn durable_redis() -> Redis {
    Redis::options().args(["--appendonly", "yes", "--appendfsync", "always"]).start().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_with_a_journal_in_a_folder_lose_nothing_and_repeat_nothing() {
    let folder = TempDir::new().unwrap();
    let (database, journal) = (fresh_database().unwrap(), folder.path().to_str().unwrap().to_owned());
    survives(database, journal, Servers::default(), (Victim::Writer, kills("QUEUE_KILLS", 12))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_with_a_journal_in_redis_lose_nothing_and_repeat_nothing() {
    let journal = format!("{}#{}", redis_url().unwrap(), unique_name("numbers"));
    let database = fresh_database().unwrap();
    survives(database, journal, Servers::default(), (Victim::Writer, kills("QUEUE_KILLS", 12))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_loses_nothing_that_it_had_on_the_disk() {
    let redis = durable_redis();
    let journal = format!("{}#numbers", redis.url());
    let servers = Servers { redis: Some(redis), ..Servers::default() };
    let kills = kills("QUEUE_REDIS_KILLS", 4);
    survives(fresh_database().unwrap(), journal, servers, (Victim::Redis, kills)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_together_with_who_writes_loses_nothing_either() {
    let redis = durable_redis();
    let journal = format!("{}#numbers", redis.url());
    let servers = Servers { redis: Some(redis), ..Servers::default() };
    let kills = kills("QUEUE_REDIS_KILLS", 4);
    survives(fresh_database().unwrap(), journal, servers, (Victim::WriterAndRedis, kills)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_has_everything_once_when_it_is_back() {
    let postgres = Postgres::options().durable().start().unwrap();
    let (database, folder) = (postgres.fresh_database().unwrap(), TempDir::new().unwrap());
    let servers = Servers { postgres: Some(postgres), ..Servers::default() };
    let kills = kills("QUEUE_POSTGRES_KILLS", 3);
    let journal = folder.path().to_str().unwrap().to_owned();
    survives(database, journal, servers, (Victim::Postgres, kills)).await;
}
