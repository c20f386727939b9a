//! Datasets that change under a connection.

use cache_core::error::StoreErrorKind;
use cache_core::store::{LeaseRequest, Leased, MarkRequest, Origin, Store};
use cache_core::testkit::conformance::Trial;
use cache_test_support::Redis;

use super::{BOUND, ask, comes_true, fails_with, look, store};

#[tokio::test]
async fn two_instances_share_leases_fences_and_entries() {
    let redis = Redis::start().unwrap();
    let (here, there) = (store(&redis.url()).await, store(&redis.url()).await);
    let (trial, other) = (Trial::new(&here), Trial::new(&there));
    let user = trial.entry("user:1");
    let lease = trial.granted(&user).await;
    assert!(matches!(other.lease(other.request(&user, &[])).await, Leased::Busy));
    assert!(trial.fill(&lease, "Ann").await);
    let found = other.get(&user, &[]).await;
    assert!(found.blob.is_some());
    assert_eq!(found.epoch, lease.epoch, "one dataset, one epoch");
    let write = other.mark(&[&user.subject]).await;
    assert_eq!(trial.fenced(&user).await[0].writer, write.writer);
    assert_eq!(trial.blob(&user).await, None);
}

#[tokio::test]
async fn an_entry_from_before_a_restart_is_no_entry() {
    let redis = Redis::options().args(["--appendonly", "yes", "--appendfsync", "always"]).start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let (user, fenced) = (trial.entry("user:1"), trial.entry("user:2"));
    let write = trial.mark(&[&fenced.subject]).await;
    let before = trial.get(&user, &[]).await.epoch;
    let old = trial.filled(&user, "old").await;

    redis.restart().unwrap();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    let found = trial.get(&user, &[]).await;
    assert_eq!(found.blob, Some(old), "the server has kept it");
    assert_ne!(found.epoch, before);
    let lease = trial.granted(&user).await;
    assert_eq!(lease.epoch, found.epoch);
    assert!(trial.fill(&lease, "new").await);
    assert_eq!(trial.fenced(&fenced).await[0].writer, write.writer, "fences outlive the epoch");
    let put = trial.put(&write, &fenced, "old");
    assert_eq!(trial.clear_with(&write, &[put]).await, 0, "a put does not");
}

/// A snapshot from before a write brings back what the write had dropped: an entry, a token, a fence of somebody who is done.
#[tokio::test]
async fn what_an_old_snapshot_brings_back_is_not_served_and_keeps_nobody_out() {
    let redis = Redis::options().args(["--save", "3600 1000000"]).start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let [entry, leased, fenced] = ["user:1", "user:2", "user:3"].map(|name| trial.entry(name));
    let old = trial.filled(&entry, "old").await;
    let lease = trial.granted(&leased).await;
    let done = trial.mark(&[&fenced.subject]).await;
    let () = ask(&redis, &["SAVE"]);
    for written in [&entry, &leased] {
        trial.invalidate(&written.subject).await;
    }
    trial.clear(&done).await;
    redis.kill();
    redis.restart().unwrap();
    let is_new = async || look(&store).await.is_ok_and(|found| found.epoch != lease.epoch);
    assert!(comes_true(is_new).await);

    assert_eq!(trial.blob(&entry).await, Some(old), "it is back");
    trial.granted(&entry).await;
    assert!(trial.fill(&lease, "old").await, "the token is back, too");
    let found = trial.get(&leased, &[]).await;
    assert!(found.blob.is_some_and(|blob| blob[4..12] == lease.epoch.0.to_le_bytes()), "of the old epoch");
    trial.granted(&leased).await;
    assert_eq!(trial.fenced(&fenced).await[0].writer, done.writer, "so is the fence");
    let finished = [done.writer];
    let request = LeaseRequest { finished: &finished, ..trial.request(&fenced, &[]) };
    trial.granted_for(request).await;
}

#[tokio::test]
async fn a_first_replica_begins_a_new_epoch_on_a_living_master() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let user = trial.entry("user:1");
    trial.filled(&user, "Ann").await;
    let before = look(&store).await.unwrap().epoch;

    let port = redis.address().port().to_string();
    let _replica = Redis::options().args(["--replicaof", "127.0.0.1", &port]).start().unwrap();
    let changed = comes_true(async || look(&store).await.is_ok_and(|found| found.epoch != before)).await;
    assert!(changed, "a new replication id is a new epoch");
    trial.granted(&user).await;
}

#[tokio::test]
async fn a_demoted_master_confirms_nothing_and_is_left() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let user = trial.entry("user:1");
    let before = trial.get(&user, &[]).await.epoch;
    let write = trial.mark(&[&user.subject]).await;

    let () = ask(&redis, &["REPLICAOF", "127.0.0.1", "1"]);
    let (origin, subjects) = (Origin::none(), [user.subject.clone()]);
    let request =
        MarkRequest { writer: trial.writer(), origin: &origin, subjects: &subjects, seed: 1, tag_ttl: BOUND };
    let error = store.mark(request).await.unwrap_err();
    let gone = [StoreErrorKind::Disconnected, StoreErrorKind::Unavailable];
    assert!(gone.contains(&error.kind()), "{error}");
    assert!(comes_true(async || fails_with(&store, StoreErrorKind::Unavailable).await).await);
    let says_why = async || look(&store).await.is_err_and(|error| error.to_string().contains("slave"));
    assert!(comes_true(says_why).await, "the reason is told");

    let () = ask(&redis, &["REPLICAOF", "NO", "ONE"]);
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    assert_ne!(trial.get(&user, &[]).await.epoch, before, "promoted again is another epoch");
    assert_eq!(trial.fenced(&user).await[0].writer, write.writer);
}

#[tokio::test]
async fn an_idle_connection_to_a_demoted_master_is_left_too() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let () = ask(&redis, &["REPLICAOF", "127.0.0.1", "1"]);
    // Reads never fail on a replica: only the probe tells.
    assert!(comes_true(async || fails_with(&store, StoreErrorKind::Unavailable).await).await);
}
