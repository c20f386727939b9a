//! A journal in a stream: what it keeps, and which servers it takes.

use bytes::Bytes;
use cache_core::RedisJournal;
use cache_core::error::{JournalError, JournalErrorKind};
use cache_core::journal::{Costs, Depth, Journal, Position, Record};

use super::*;

const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

async fn open(redis: &Redis, costs: Costs) -> Result<RedisJournal, JournalError> {
    RedisJournal::open(&store(&redis.url()).await, "shop", "last seen", costs).await
}

async fn append(journal: &RedisJournal, value: &'static str) -> Result<Position, JournalErrorKind> {
    journal.append("user:1%3A2", Bytes::from_static(value.as_bytes())).await.map_err(|error| error.kind())
}

async fn behind(journal: &RedisJournal, position: Position) -> Vec<String> {
    let text = |record: Record| String::from_utf8(record.payload.to_vec()).unwrap();
    journal.read(position, 1_000).await.unwrap().into_iter().map(text).collect()
}

#[tokio::test]
async fn what_several_processes_append_is_one_journal_in_order() {
    let redis = Redis::start().unwrap();
    let one = open(&redis, Costs::SinceSnapshot).await.unwrap();
    let other = open(&redis, Costs::SinceSnapshot).await.unwrap();
    assert_eq!(one.id(), other.id());
    let mut positions = Vec::new();
    for (journal, value) in [(&one, "1"), (&other, "2"), (&one, "3")] {
        positions.push(append(journal, value).await.unwrap());
    }
    assert!(positions.is_sorted() && positions[0] > Position(0));
    assert_eq!(behind(&other, Position(0)).await, ["1", "2", "3"]);
    assert_eq!(behind(&other, positions[0]).await, ["2", "3"]);
    let records = one.read(Position(0), 1).await.unwrap();
    assert_eq!(
        (records.len(), records[0].position, records[0].key.as_str()),
        (1, positions[0], "user:1%3A2")
    );
    assert!(records[0].at.0 > 1_700_000_000_000, "it is some time after 2023");
    let depth = one.depth().await.unwrap();
    assert!(depth.records == 3 && depth.bytes > 0, "{depth:?}");
    one.trim(positions[1]).await.unwrap();
    assert_eq!(behind(&one, Position(0)).await, ["3"]);
    one.trim(positions[2]).await.unwrap();
    assert_eq!(one.depth().await.unwrap(), Depth::default());
}

#[tokio::test]
async fn any_bytes_come_back() {
    let redis = Redis::start().unwrap();
    let journal = open(&redis, Costs::SinceSnapshot).await.unwrap();
    let bytes = Bytes::from_iter((0..=255).chain([0, 13, 10]));
    journal.append("", bytes.clone()).await.unwrap();
    assert_eq!(journal.read(Position(0), 1).await.unwrap()[0].payload, bytes);
}

#[tokio::test]
async fn with_every_write_on_the_disk_a_killed_server_costs_nothing() {
    let redis = Redis::options().args(DURABLE).start().unwrap();
    let journal = open(&redis, Costs::Nothing).await.unwrap();
    assert!(
        journal.survives().to_string().ends_with(
            "the sudden end of the server costs nothing, and its failover what was not replicated"
        )
    );
    for value in ["1", "2", "3"] {
        append(&journal, value).await.unwrap();
    }
    redis.kill();
    redis.restart().unwrap();
    assert!(comes_true(async || journal.depth().await.is_ok()).await);
    assert_eq!(behind(&journal, Position(0)).await, ["1", "2", "3"]);
    let position = append(&journal, "4").await.unwrap();
    assert_eq!(journal.read(position, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_server_that_keeps_less_than_it_was_asked_to_is_refused_with_what_to_set() {
    let redis = Redis::start().unwrap();
    for costs in [Costs::Nothing, Costs::LastSecond] {
        let error = open(&redis, costs).await.unwrap_err();
        assert_eq!(error.kind(), JournalErrorKind::Refused);
        let text = error.to_string();
        assert!(text.contains("appendonly yes") && text.contains("Costs::SinceSnapshot"), "{text}");
    }
    let _: () = ask(&redis, &["CONFIG", "SET", "appendonly", "yes"]);
    open(&redis, Costs::LastSecond).await.unwrap();
    assert_eq!(open(&redis, Costs::Nothing).await.unwrap_err().kind(), JournalErrorKind::Refused);
    let _: () = ask(&redis, &["CONFIG", "SET", "appendfsync", "always"]);
    open(&redis, Costs::Nothing).await.unwrap();
}

#[tokio::test]
async fn a_server_that_evicts_it_is_refused() {
    let redis =
        Redis::options().args(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).start().unwrap();
    let error = open(&redis, Costs::SinceSnapshot).await.unwrap_err();
    assert!(error.to_string().contains("`allkeys-lru`; set `maxmemory-policy`"), "{error}");
}

#[tokio::test]
async fn a_full_journal_refuses_until_some_is_applied() {
    let redis = Redis::start().unwrap();
    let journal = open(&redis, Costs::SinceSnapshot).await.unwrap().limit_records(2);
    let first = append(&journal, "1").await.unwrap();
    append(&journal, "2").await.unwrap();
    assert_eq!(append(&journal, "3").await, Err(JournalErrorKind::Full));
    journal.trim(first).await.unwrap();
    append(&journal, "3").await.unwrap();
    assert_eq!(behind(&journal, Position(0)).await, ["2", "3"]);
}

#[tokio::test]
async fn of_many_at_once_those_are_appended_that_there_is_room_for() {
    let redis = Redis::start().unwrap();
    let journal = open(&redis, Costs::SinceSnapshot).await.unwrap().limit_records(250);
    let record = |number: u32| (format!("user:{number}"), Bytes::from(number.to_string()));
    let records: Vec<_> = (0..260).map(record).collect();
    let answers = journal.append_many(&records).await;
    let positions: Vec<_> = answers.iter().map_while(|answer| answer.as_ref().ok().copied()).collect();
    assert!(positions.len() == 250 && positions.is_sorted());
    for refused in &answers[250..] {
        let error = refused.as_ref().unwrap_err();
        assert_eq!(error.kind(), JournalErrorKind::Full);
        assert!(error.to_string().contains("it holds 250 records"), "{error}");
    }
    let kept = behind(&journal, Position(0)).await;
    assert_eq!(kept, (0..250).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn at_maxmemory_nothing_is_appended_and_nothing_acknowledged() {
    let redis = Redis::options().args(["--maxmemory-policy", "noeviction"]).start().unwrap();
    let journal = open(&redis, Costs::SinceSnapshot).await.unwrap();
    append(&journal, "1").await.unwrap();
    let _: () = ask(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(append(&journal, "2").await, Err(JournalErrorKind::Failed));
    let first = journal.read(Position(0), 10).await.unwrap();
    assert_eq!(first.len(), 1);
    journal.trim(first[0].position).await.unwrap();
    assert_eq!(journal.depth().await.unwrap().records, 0, "what is applied is given up all the same");
}

#[tokio::test]
async fn a_journal_that_was_lost_is_not_mistaken_for_the_one_that_takes_its_name() {
    let redis = Redis::start().unwrap();
    let journal = open(&redis, Costs::SinceSnapshot).await.unwrap();
    append(&journal, "1").await.unwrap();
    let _: () = ask(&redis, &["FLUSHALL"]);
    assert_eq!(append(&journal, "2").await, Err(JournalErrorKind::Damaged));
    let next = open(&redis, Costs::SinceSnapshot).await.unwrap();
    assert_ne!(next.id(), journal.id());
    append(&next, "3").await.unwrap();
    assert_eq!(journal.read(Position(0), 10).await.unwrap_err().kind(), JournalErrorKind::Damaged);
    journal.trim(Position(u128::MAX)).await.unwrap();
    assert_eq!(behind(&next, Position(0)).await, ["3"]);
}

#[tokio::test]
async fn a_server_that_is_away_gets_nothing_and_says_so() {
    let redis = Redis::start().unwrap();
    let journal = open(&redis, Costs::SinceSnapshot).await.unwrap();
    redis.stop();
    assert!(comes_true(async || append(&journal, "1").await == Err(JournalErrorKind::Failed)).await);
}

#[tokio::test]
async fn names_that_cannot_be_used_are_refused() {
    let redis = Redis::start().unwrap();
    let error =
        RedisJournal::open(&store(&redis.url()).await, "Shop!", "q", Costs::Nothing).await.unwrap_err();
    assert!(error.to_string().contains("the namespace `Shop!` cannot be used"), "{error}");
}

#[tokio::test]
async fn whoever_waits_is_woken_by_a_record_of_this_process_and_of_another() {
    let redis = Redis::start().unwrap();
    let (one, other) = (
        open(&redis, Costs::SinceSnapshot).await.unwrap(),
        open(&redis, Costs::SinceSnapshot).await.unwrap(),
    );
    for journal in [&one, &other] {
        let before =
            one.read(Position(0), 10).await.unwrap().last().map_or(Position(0), |last| last.position);
        let found = async {
            loop {
                one.grown(before).await;
                if !one.read(before, 1).await.unwrap().is_empty() {
                    return;
                }
            }
        };
        let (_, appended) = tokio::join!(tokio::time::timeout(BOUND, found), append(journal, "1"));
        appended.unwrap();
        assert!(!one.read(before, 1).await.unwrap().is_empty());
    }
}
