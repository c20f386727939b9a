//! Processes that queue are killed, again and again: what was acknowledged is in the database once, and in order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use cache_tests::queue::{self, Journal, KEYS, TABLE};

use super::*;

/// How often a process is killed; `QUEUE_KILLS` says otherwise.
fn kills() -> usize {
    std::env::var("QUEUE_KILLS").map_or(12, |kills| kills.parse().expect("QUEUE_KILLS is a number"))
}

/// Starts a writer, and kills it after so many acknowledgements; the numbers of each key that were acknowledged.
fn until_killed(database: &str, journal: &str, first: i64, acknowledgements: usize) -> Vec<(i64, i64)> {
    let mut child: Child = Command::new(env!("CARGO_BIN_EXE_queue-writer"))
        .args([database, journal, &first.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: String| {
        let (key, number) = line.split_once(' ').unwrap();
        (key.parse().unwrap(), number.parse().unwrap())
    };
    let mut told: Vec<_> = lines.by_ref().take(acknowledgements).map(|line| number(line.unwrap())).collect();
    assert_eq!(told.len(), acknowledgements, "it does not end by itself");
    child.kill().unwrap();
    // What it had written before it was killed.
    told.extend(
        lines
            .map_while(Result::ok)
            .filter(|line| line.split_once(' ').is_some_and(|(_, n)| !n.is_empty()))
            .map(number),
    );
    child.wait().unwrap();
    told
}

/// Kills writers, drains the journal, and compares what was acknowledged with the table.
async fn survives(journal: &str) {
    let database = fresh_database().unwrap();
    let pool = PgPoolOptions::new().max_connections(4).connect(&database).await.unwrap();
    pool.execute(TABLE).await.unwrap();
    cache_sqlx::migrate(&pool).await.unwrap();
    let mut acknowledged = Vec::new();
    let (mut first, mut rng) = (1, fastrand::Rng::with_seed(7));
    for _ in 0..kills() {
        let (database, journal, wanted) = (database.clone(), journal.to_owned(), rng.usize(1..400));
        let told = tokio::task::spawn_blocking(move || until_killed(&database, &journal, first, wanted))
            .await
            .unwrap();
        // Those that were under way when it was killed may be in the journal, too: the next process begins far behind them.
        first += i64::try_from(told.len()).unwrap() + 1_000;
        acknowledged.extend(told);
    }
    let cache = Cache::builder("queue").store(MemoryStore::default()).build().unwrap();
    let opened = Journal::open(journal).await;
    let queue = queue::begin(&cache, &pool, opened.again()).await;
    assert!(
        tokio::time::timeout(BOUND, async {
            while opened.waiting().await > 0 {
                tokio::task::yield_now().await
            }
        })
        .await
        .is_ok()
    );
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
    println!("{} kills, {} acknowledged, {} applied", kills(), acknowledged.len(), applied.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_with_a_journal_in_a_folder_lose_nothing_and_repeat_nothing() {
    let folder = TempDir::new().unwrap();
    survives(folder.path().to_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_with_a_journal_in_redis_lose_nothing_and_repeat_nothing() {
    survives(&format!("{}#{}", redis_url().unwrap(), unique_name("numbers"))).await;
}
