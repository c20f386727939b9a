//! Real servers and three real sentinels.

use cache_core::testkit::conformance::{self, Trial};
use cache_test_support::Sentinels;

use super::super::log::Log;
use super::super::{ask, comes_true, look, store};
use super::users::{Users, users};
use super::{replaced, replication, sentinels};

#[tokio::test]
async fn reads_and_writes_survive_a_failover_and_nothing_of_the_old_master_is_served() {
    let sentinels = sentinels(1).await;
    let store = store(&sentinels.url()).await;
    let log = Log::of(sentinels.sentinels()[0].address());
    let trial = Trial::new(&store);
    let (user, other) = (trial.entry("user:1"), trial.entry("user:2"));
    let old = trial.filled(&user, "old").await;
    let write = trial.mark(&[&other.subject]).await;
    let before = trial.get(&user, &[]).await.epoch;
    let first = sentinels.server(0).address();
    let is_replicated = async || ask::<i64>(sentinels.server(1), &["DBSIZE"]) == 4;
    assert!(comes_true(is_replicated).await, "an entry, a fence, and the generations of two namespaces");

    sentinels.server(0).kill();
    let (sentinels, promoted) = replaced(sentinels, first).await;
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    let found = trial.get(&user, &[]).await;
    assert_eq!(found.blob, Some(old), "the replica has the entry");
    assert_ne!(found.epoch, before, "and it does not count");
    let lease = trial.granted(&user).await;
    assert!(trial.fill(&lease, "new").await);
    assert_eq!(trial.fenced(&other).await[0].writer, write.writer, "a fence that was replicated stands");
    trial.clear(&write).await;
    trial.filled(&other, "new").await;
    assert!(log.tells_each_outage_once());

    // The old master comes back as one, until the sentinels tell it otherwise.
    sentinels.server(0).restart().unwrap();
    let follows = format!("master_port:{}", promoted.port());
    let is_demoted = async || replication(sentinels.server(0)).is_some_and(|info| info.contains(&follows));
    assert!(comes_true(is_demoted).await);
    assert_eq!(trial.get(&user, &[]).await.epoch, lease.epoch, "nobody went back to it");
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn a_failover_that_was_ordered_is_followed_too() {
    let sentinels = sentinels(1).await;
    let store = store(&sentinels.url()).await;
    let before = look(&store).await.unwrap().epoch;
    sentinels.fail_over().unwrap();
    let first = sentinels.server(0).address();
    let (_sentinels, _) = replaced(sentinels, first).await;
    let is_followed = async || look(&store).await.is_ok_and(|found| found.epoch != before);
    assert!(comes_true(is_followed).await);
    let trial = Trial::new(&store);
    trial.filled(&trial.entry("user:1"), "Ann").await;
}

#[tokio::test]
async fn a_connection_outlives_its_sentinels_and_the_log_says_so_once() {
    let sentinels = sentinels(0).await;
    let store = store(&sentinels.url()).await;
    let before = look(&store).await.unwrap().epoch;
    let log = Log::of(sentinels.sentinels()[2].address());
    for outage in 1..=2 {
        for sentinel in sentinels.sentinels() {
            sentinel.kill();
        }
        assert!(comes_true(async || log.count("no sentinel answers; the connection") == outage).await);
        assert_eq!(look(&store).await.unwrap().epoch, before);
        // One is enough.
        sentinels.sentinels()[1].restart().unwrap();
        assert!(comes_true(async || log.count("the sentinels answer again") == outage).await);
    }
    assert_eq!(log.count("the store is unavailable"), 0);

    // Of the listed sentinels two are gone, and the master has been restarted.
    sentinels.server(0).restart().unwrap();
    assert!(comes_true(async || look(&store).await.is_ok_and(|found| found.epoch != before)).await);
}

/// From now on the replica gets nothing: it cannot log in any more.
fn cut_off(sentinels: &Sentinels) {
    let () = ask(sentinels.server(1), &["CONFIG", "SET", "masterauth", "nobody"]);
    let killed: i64 = ask(sentinels.server(0), &["CLIENT", "KILL", "TYPE", "replica"]);
    assert_eq!(killed, 1);
}

/// The fence is lost with the old master. Until the write returns a reader may fill the old value, and does; what it filled is
/// gone when the write has returned.
#[tokio::test]
async fn a_read_after_the_write_is_fresh_though_the_failover_lost_its_mark() {
    let sentinels = sentinels(1).await;
    let first = sentinels.server(0).address();
    let writer = users(&sentinels.url()).await;
    let reader = Users { name: writer.name.clone(), ..users(&sentinels.url()).await };
    "old".clone_into(&mut writer.name.lock().unwrap());
    assert_eq!(reader.find(1).await, "old");

    cut_off(&sentinels);
    let write = tokio::spawn({
        let writer = writer.clone();
        async move { writer.rename(1, "new").await }
    });
    writer.fenced.notified().await;
    let fills = async || {
        let before = reader.cache.stats().total().fills;
        assert_eq!(reader.find(1).await, "old");
        reader.cache.stats().total().fills > before
    };
    assert!(!fills().await, "the fence stands");
    sentinels.server(0).kill();
    let (sentinels, _) = replaced(sentinels, first).await;
    assert!(comes_true(fills).await, "the promoted server knows of no fence");
    let hits = reader.cache.stats().total().hits;
    assert_eq!(reader.find(1).await, "old");
    assert_eq!(reader.cache.stats().total().hits, hits + 1, "the old value would stay");

    writer.go_on.notify_one();
    write.await.unwrap().unwrap();
    for instance in [&reader, &writer] {
        assert_eq!(instance.find(1).await, "new");
    }
    drop(sentinels);
}
