//! Whom a write waits for, and for how long.

use cache_core::store::{PendRequest, Store};
use cache_core::subject::{EntryKey, JournalId, Position};
use cache_core::testkit::Rule;
use cache_core::{Cache, cached};
use cache_test_support::{FaultProxy, Redis};
use std::time::Duration;

use super::instance::{Instance, Row};
use super::{board_is_whole, comes_true};

/// A slow way to one instance: with the rule its writer waits, without it a read that begins after the write returned is stale.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_returns_when_nobody_serves_the_old_value_any_more() {
    let redis = Redis::start().unwrap();
    for waits in [true, false] {
        let (namespace, row) = (format!("waits-{waits}"), Row::default());
        let proxy = FaultProxy::redis(&redis.url()).unwrap();
        let reader = Instance::new(&proxy.url(), &namespace, &row).await;
        let change =
            |builder: cache_core::Builder| if waits { builder } else { builder.without(Rule::HeardByAll) };
        let writer = Instance::build(&redis.url(), &namespace, &row, change).await;
        board_is_whole(&redis, &namespace).await;
        reader.holds("user:1").await;

        proxy.delay(Duration::from_millis(100));
        let written = writer.writes("user:1").await;
        let seen = reader.near.serves(&reader.subject("user:1"));
        match waits {
            true => {
                assert_eq!(seen, None, "the write has returned");
                assert_eq!(writer.cache.stats().writes().outwaited, 0, "it has acknowledged");
                assert_eq!(reader.read("user:1").await, written);
            }
            false => assert_eq!(seen, Some(written - 1), "it has not heard of it yet"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_write_in_turn_read_what_was_written_last() {
    let redis = Redis::start().unwrap();
    let row = Row::default();
    let all = [
        Instance::new(&redis.url(), "turns", &row).await,
        Instance::new(&redis.url(), "turns", &row).await,
        Instance::new(&redis.url(), "turns", &row).await,
    ];
    board_is_whole(&redis, "turns").await;
    let mut kept = 0;
    for round in 0..300 {
        let written = all[round % 3].writes("user:1").await;
        for reader in &all {
            assert_eq!(reader.read("user:1").await, written, "round {round}");
            kept += usize::from(reader.near.serves(&reader.subject("user:1")).is_some());
        }
    }
    assert!(kept > 600, "the own memories took part: {kept}");
    let stats: Vec<_> = all.iter().map(|instance| instance.cache.stats().writes()).collect();
    assert!(stats.iter().all(|writes| writes.outwaited == 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_of_what_nobody_holds_is_two_commands_and_waits_for_nobody() {
    let redis = Redis::start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let reader = Instance::new(&redis.url(), "alone", &row).await;
    // A writer that keeps nothing for itself, so that its connection carries nothing else.
    let store = super::store(&proxy.url()).await;
    let cache = cache_core::Cache::builder("alone").store(store.clone()).build().unwrap();
    let writer = Instance { store, cache, ..Instance::new(&redis.url(), "elsewhere", &row).await };
    board_is_whole(&redis, "alone").await;
    let commands = || {
        let mut commands = proxy.commands();
        commands.retain(|name| name != "INFO" && name != "TIME");
        commands
    };
    let write = async |name: &str| {
        let subject = reader.subject(name);
        let writes = cache_core::scope::Writes { subjects: vec![subject], ..Default::default() };
        let fenced = writer.cache.fence(writes, cache_core::store::Origin::none()).await.unwrap();
        fenced.clear().await.unwrap();
    };
    reader.holds("user:1").await;
    // Also learns the generation of the namespace.
    write("user:0").await;
    proxy.reset();
    write("user:2").await;
    assert_eq!(commands(), ["EVALSHA", "EVALSHA"]);
    assert_eq!(writer.cache.stats().writes().awaited, 0);
    write("user:1").await;
    assert_eq!(writer.cache.stats().writes().awaited, 1);
    assert!(proxy.commands_named("HGETALL") >= 1, "it looks who has heard");
}

/// Every renewal acknowledges, too; a writer need not wait for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_asked_acknowledges_at_once() {
    let redis = Redis::start().unwrap();
    let row = Row::default();
    let reader = Instance::new(&redis.url(), "prompt", &row).await;
    let writer = Instance::new(&redis.url(), "prompt", &row).await;
    board_is_whole(&redis, "prompt").await;
    let renewals = || -> Vec<String> {
        let members: Vec<(String, String)> = super::ask(&redis, &["HGETALL", "{prompt#~}:m"]);
        let members = members.into_iter().filter(|(name, _)| name.len() == 16);
        let mut renewals: Vec<_> =
            members.map(|(name, told)| format!("{name} {}", told.split('|').next().unwrap())).collect();
        renewals.sort();
        renewals
    };
    let without_a_renewal = async || {
        reader.holds("user:1").await;
        let before = renewals();
        writer.writes("user:1").await;
        renewals() == before
    };
    assert!(comes_true(without_a_renewal).await, "it waits for a renewal each time");
    assert!(writer.cache.stats().writes().awaited > 0);
}

/// Whoever falls silent delays a writer until his lease has ended, serves nothing old then, and delays nobody again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_instance_delays_writers_by_a_lease_and_once() {
    let redis = Redis::start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let silent = Instance::new(&proxy.url(), "silent", &row).await;
    let writer = Instance::new(&redis.url(), "silent", &row).await;
    board_is_whole(&redis, "silent").await;
    for name in ["user:1", "user:2"] {
        silent.holds(name).await;
    }
    proxy.stall();
    let (user, other) = (silent.subject("user:1"), silent.subject("user:2"));
    assert!(silent.near.serves(&user).is_some(), "it does not know yet");
    writer.writes("user:1").await;
    assert_eq!(silent.near.serves(&user), None, "its lease has ended");
    assert_eq!(writer.cache.stats().writes().outwaited, 1);

    let board = "{silent#~}:m";
    let members = async || super::ask::<u64>(&redis, &["HLEN", board]) == 4;
    assert!(comes_true(members).await, "it is struck off");
    writer.writes("user:2").await;
    assert_eq!(writer.cache.stats().writes().outwaited, 1, "nobody waits for it again");
    assert_eq!(silent.near.serves(&other), None);

    proxy.flow();
    assert!(comes_true(async || silent.near.is_vouched_for()).await, "it comes back by itself");
    assert_eq!(silent.read("user:1").await, row.value());
    silent.holds("user:1").await;
    let written = writer.writes("user:1").await;
    assert_eq!(silent.read("user:1").await, written);
    assert_eq!(writer.cache.stats().writes().outwaited, 1, "and answers again");
}

/// The first writer's mark leaves who was told where the second finds them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_right_behind_another_waits_for_the_same_readers() {
    let redis = Redis::start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let reader = Instance::new(&proxy.url(), "behind", &row).await;
    let first = Instance::new(&redis.url(), "behind", &row).await;
    let second = Instance::new(&redis.url(), "behind", &row).await;
    board_is_whole(&redis, "behind").await;
    reader.holds("user:1").await;
    proxy.delay(Duration::from_millis(150));
    // Dies between its mark and its commit.
    first.fences("user:1").await.abandon();
    second.writes("user:1").await;
    assert_eq!(reader.near.serves(&reader.subject("user:1")), None, "the second write has returned");
    let writes = second.cache.stats().writes();
    assert_eq!((writes.awaited, writes.outwaited), (1, 0), "it has heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_tells_itself_directly_before_its_mark_returns() {
    let redis = Redis::start().unwrap();
    let row = Row::default();
    let one = Instance::new(&redis.url(), "itself", &row).await;
    board_is_whole(&redis, "itself").await;
    one.holds("user:1").await;
    let fenced = one.fences("user:1").await;
    assert_eq!(one.near.serves(&one.subject("user:1")), None, "nothing is committed yet");
    fenced.clear().await.unwrap();
    // Directly at the mark and at the clear, and once like everybody else.
    assert!(comes_true(async || one.near.marks_of(&one.subject("user:1")) == 3).await);
    assert_eq!(one.cache.stats().writes().awaited, 0, "it does not wait for itself");
}

/// A queued write is the newest value as soon as it is shown, and its settling lets in what the database has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_write_is_shown_when_nobody_serves_what_was_there_before() {
    let redis = Redis::start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let reader = Instance::new(&proxy.url(), "queued", &row).await;
    let writer = Instance::new(&redis.url(), "queued", &row).await;
    board_is_whole(&redis, "queued").await;
    for name in ["user:1", "user:2", "user:3"] {
        reader.holds(name).await;
    }
    proxy.delay(Duration::from_millis(100));
    let keys = ["user:1", "user:2"].map(|name| EntryKey { subject: writer.subject(name), field: 1 });
    let (journal, payload) = (JournalId(7), bytes::Bytes::from_static(b"new"));
    let queued =
        keys.each_ref().map(|key| PendRequest { key, journal, position: Position(1), payload: &payload });
    for shown in writer.cache.pend(&queued).await {
        shown.unwrap();
    }
    for name in ["user:1", "user:2"] {
        assert_eq!(reader.near.serves(&reader.subject(name)), None, "{name} is shown");
    }
    assert!(reader.near.serves(&reader.subject("user:3")).is_some(), "nobody wrote this one");
    let writes = writer.cache.stats().writes();
    assert_eq!((writes.awaited, writes.outwaited), (1, 0));

    // Whoever reads meanwhile is on the list, although he gets nothing to keep.
    assert!(reader.found("user:1").await.shared);
    let (user, marks) = (reader.subject("user:1"), reader.near.marks_of(&reader.subject("user:1")));
    writer.cache.settle(std::slice::from_ref(&user), journal, Position(1)).await.unwrap();
    assert!(comes_true(async || reader.near.marks_of(&user) > marks).await, "it is told of the settling");
}

#[derive(Clone)]
struct Limits {
    cache: Cache,
}

impl Limits {
    #[cached(key = "limit:<id>", tags = ["limits"], ttl = "1h", bounded = "30s")]
    async fn find(&self, id: i64) -> i64 {
        id
    }
}

/// Where every reader may be behind, a write waits for none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_readers_may_be_behind_waits_for_nobody() {
    let redis = Redis::start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let reader = Instance::new(&proxy.url(), "bounded", &row).await;
    let writer = Instance::new(&redis.url(), "bounded", &row).await;
    assert_eq!(Limits { cache: writer.cache.clone() }.find(1).await, 1);
    board_is_whole(&redis, "bounded").await;
    for name in ["limit:1", "user:1"] {
        reader.holds(name).await;
    }
    proxy.stall();
    writer.writes("limit:1").await;
    assert_eq!(writer.cache.stats().writes().awaited, 0);
    writer.writes("user:1").await;
    assert_eq!(writer.cache.stats().writes().awaited, 1, "nobody said that of this one");
}

/// Where the server may throw away who reads what, everybody is told of everything and has to answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_readers_may_be_evicted_everybody_is_waited_for() {
    let options = ["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"];
    let redis = Redis::options().args(options).start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let reader = Instance::new(&proxy.url(), "evicts", &row).await;
    let writer = Instance::new(&redis.url(), "evicts", &row).await;
    board_is_whole(&redis, "evicts").await;
    reader.holds("user:1").await;
    let readers: u64 = super::ask(&redis, &["EXISTS", "{evicts:user:1}:h"]);
    assert_eq!(readers, 0, "that is not written down");
    proxy.delay(Duration::from_millis(50));
    let written = writer.writes("user:1").await;
    assert_eq!(reader.near.serves(&reader.subject("user:1")), None);
    assert_eq!(reader.read("user:1").await, written);
    let writes = writer.cache.stats().writes();
    assert_eq!((writes.awaited, writes.outwaited), (1, 0));
}

/// Nobody is told of what he may keep who was not known before he read it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_for_keeping_before_an_instance_has_joined() {
    let redis = Redis::start().unwrap();
    let row = Row::default();
    let one = Instance::new(&redis.url(), "joins", &row).await;
    assert!(one.found("user:1").await.shared);
    let stranger = super::store(&redis.url()).await;
    let stranger = Instance { store: stranger, ..one };
    assert!(!stranger.found("user:1").await.shared);
    assert!(stranger.store.describe().contains("Redis"));
}
