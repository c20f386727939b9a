//! When an instance cannot know what it has missed.

use std::time::Duration;

use cache_test_support::{FaultProxy, Redis, Snare};

use super::instance::{Instance, Row};
use super::{ask, board_is_whole, comes_true};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_empties_the_memory_and_another_one_fills_it_again() {
    let redis = Redis::start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let reader = Instance::new(&proxy.url(), "cut", &row).await;
    let writer = Instance::new(&redis.url(), "cut", &row).await;
    board_is_whole(&redis, "cut").await;
    reader.holds("user:1").await;
    let doubts = reader.near.doubts_so_far();
    proxy.refuse();
    proxy.cut();
    assert!(comes_true(async || reader.near.doubts_so_far() > doubts).await);
    assert_eq!(reader.near.serves(&reader.subject("user:1")), None);
    let written = writer.writes("user:1").await;
    proxy.accept().unwrap();
    assert!(comes_true(async || reader.near.is_vouched_for()).await);
    assert_eq!(reader.read("user:1").await, written);
    reader.holds("user:1").await;
}

/// As if somebody's message had been lost on the way: the next one has a number too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_went_missing_is_noticed_at_the_next() {
    let redis = Redis::start().unwrap();
    let row = Row::default();
    let reader = Instance::new(&redis.url(), "gap", &row).await;
    let writer = Instance::new(&redis.url(), "gap", &row).await;
    board_is_whole(&redis, "gap").await;
    reader.holds("user:1").await;
    reader.holds("user:2").await;
    let doubts = reader.near.doubts_so_far();
    let _: i64 = ask(&redis, &["HINCRBY", "{gap#~}:m", "n", "1"]);
    writer.writes("user:2").await;
    assert!(comes_true(async || reader.near.doubts_so_far() > doubts).await);
    assert_eq!(reader.near.serves(&reader.subject("user:1")), None);
    reader.holds("user:1").await;
    let written = writer.writes("user:1").await;
    assert_eq!(reader.read("user:1").await, written);
}

/// Something on the way loses the message itself, and its connection lives on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_lost_on_the_way_leaves_nothing_old() {
    let redis = Redis::start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let reader = Instance::new(&proxy.url(), "lost", &row).await;
    let writer = Instance::new(&redis.url(), "lost", &row).await;
    board_is_whole(&redis, "lost").await;
    for name in ["user:1", "user:2"] {
        reader.holds(name).await;
    }
    let (user, doubts) = (reader.subject("user:1"), reader.near.doubts_so_far());
    proxy.set_snare(Snare::LosesReply(b"message".into()));
    let written = writer.writes("user:1").await;
    assert_eq!(proxy.snared(), 1, "it is lost");
    assert_eq!((reader.near.serves(&user), reader.near.marks_of(&user)), (None, 0), "the write has returned");
    assert!(reader.near.doubts_so_far() > doubts, "it has noticed");
    assert_eq!(reader.read("user:1").await, written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_went_missing_is_noticed_within_a_lease_when_nothing_is_written() {
    let redis = Redis::start().unwrap();
    let row = Row::default();
    let reader = Instance::new(&redis.url(), "idle", &row).await;
    reader.holds("user:1").await;
    let doubts = reader.near.doubts_so_far();
    let _: i64 = ask(&redis, &["HINCRBY", "{idle#~}:m", "n", "1"]);
    assert!(comes_true(async || reader.near.doubts_so_far() > doubts).await);
    assert!(comes_true(async || reader.near.is_vouched_for()).await, "and no longer");
}

/// Who reads what is gone, and so is the board: nobody is taken for nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_flush_of_the_server_nobody_serves_what_was_written() {
    let redis = Redis::start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let reader = Instance::new(&proxy.url(), "flush", &row).await;
    let writer = Instance::new(&redis.url(), "flush", &row).await;
    board_is_whole(&redis, "flush").await;
    reader.holds("user:1").await;
    proxy.stall();
    let () = ask(&redis, &["FLUSHALL"]);
    let written = writer.writes("user:1").await;
    assert_eq!(reader.near.serves(&reader.subject("user:1")), None, "the write has returned");
    assert_eq!(writer.cache.stats().writes().outwaited, 1);
    proxy.flow();
    assert_eq!(reader.read("user:1").await, written);
    reader.holds("user:1").await;
}

/// Numbers begin anew with a board, and so do acknowledgements: one of the old ones would let every later write pass unheard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_heard_of_an_old_board_acknowledges_nothing_of_a_new_one() {
    let redis = Redis::start().unwrap();
    let (row, proxy) = (Row::default(), FaultProxy::redis(&redis.url()).unwrap());
    let reader = Instance::new(&proxy.url(), "anew", &row).await;
    let writer = Instance::new(&redis.url(), "anew", &row).await;
    board_is_whole(&redis, "anew").await;
    for _ in 0..20 {
        reader.holds("user:1").await;
        writer.writes("user:1").await;
    }
    let (board, doubts) = ("{anew#~}:m", reader.near.doubts_so_far());
    let _: i64 = ask(&redis, &["DEL", board]);
    let joined = async || ask::<u64>(&redis, &["HLEN", board]) == 5 && reader.near.doubts_so_far() > doubts;
    assert!(comes_true(joined).await, "both join the next one");
    board_is_whole(&redis, "anew").await;
    reader.holds("user:1").await;
    proxy.delay(Duration::from_millis(100));
    writer.writes("user:1").await;
    assert_eq!(reader.near.serves(&reader.subject("user:1")), None, "the write has returned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_empty_is_a_new_epoch() {
    let redis = Redis::start().unwrap();
    let row = Row::default();
    let reader = Instance::new(&redis.url(), "epoch", &row).await;
    let writer = Instance::new(&redis.url(), "epoch", &row).await;
    reader.holds("user:1").await;
    let doubts = reader.near.doubts_so_far();
    redis.kill();
    redis.restart().unwrap();
    assert!(comes_true(async || reader.near.doubts_so_far() > doubts).await);
    assert!(comes_true(async || reader.near.is_vouched_for() && writer.near.is_vouched_for()).await);
    reader.holds("user:1").await;
    let written = writer.writes("user:1").await;
    assert_eq!(reader.read("user:1").await, written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cleared_namespace_is_cleared_in_every_memory() {
    let redis = Redis::start().unwrap();
    let row = Row::default();
    let reader = Instance::new(&redis.url(), "clear", &row).await;
    let writer = Instance::new(&redis.url(), "clear", &row).await;
    let other = Instance::new(&redis.url(), "other", &row).await;
    for instance in [&reader, &writer, &other] {
        instance.holds("user:1").await;
    }
    let doubts = other.near.doubts_so_far();
    writer.cache.clear().await.unwrap();
    for instance in [&reader, &writer] {
        assert_eq!(instance.near.serves(&instance.subject("user:1")), None);
        assert!(instance.found("user:1").await.shared);
        instance.holds("user:1").await;
    }
    assert_eq!(other.near.doubts_so_far(), doubts, "another namespace is none of its business");
}
