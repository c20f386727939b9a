//! Slots that move from master to master, with what is in them.

use cache_core::error::StoreErrorKind;
use cache_core::store::Leased;
use cache_core::testkit::conformance::Trial;

use super::{cluster, comes_true, entry_on, key, look, masters, slot_of, store, tag_on};

/// The first command after the move meets MOVED, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_follow_a_slot_that_has_moved() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let [a, b, _] = masters(&cluster);
    let (user, other) = (entry_on(&cluster, &trial, a), entry_on(&cluster, &trial, b));
    let tag = tag_on(&cluster, &trial, b);
    let slot = slot_of(&cluster, &user.subject);

    let write = trial.mark(&[&user.subject, &other.subject, &tag]).await;
    cluster.migrate(slot, b).unwrap();
    assert_eq!(trial.fenced(&user).await[0].writer, write.writer, "the fence has moved too");
    assert!(trial.cleared(&write, &[]).await.intact);
    cluster.migrate(slot, a).unwrap();
    trial.filled(&user, "Ann").await;
    cluster.migrate(slot, b).unwrap();
    trial.get(&user, std::slice::from_ref(&tag)).await;
    cluster.migrate(slot, a).unwrap();
    let write = trial.mark(&[&user.subject, &other.subject]).await;
    assert_eq!(write.marked.epochs.len(), 2);
    trial.clear(&write).await;
}

/// An entry may leave with its slot, miss a mark on the other node (which forgets it in a failover), and come back. It must not
/// be one of the epoch it was filled in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_comes_back_with_its_slot_is_of_another_epoch() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let [a, b, _] = masters(&cluster);
    let user = entry_on(&cluster, &trial, a);
    let slot = slot_of(&cluster, &user.subject);
    let filled = trial.filled(&user, "old").await;
    let before = trial.get(&user, &[]).await.epoch;

    cluster.migrate(slot, b).unwrap();
    let found = trial.get(&user, &[]).await;
    assert_eq!(found.blob.as_ref(), Some(&filled), "it has moved");
    assert_ne!(found.epoch, before);
    cluster.migrate(slot, a).unwrap();
    // The very first read: nobody has had the time to notice.
    let found = trial.get(&user, &[]).await;
    assert_eq!(found.blob, Some(filled), "it is back");
    assert_ne!(found.epoch, before);
    assert!(matches!(trial.lease(trial.request(&user, &[])).await, Leased::Granted { .. }));
}

/// Until the node that imports a slot has all of it, its epoch is the one from before, in which the entry may have been filled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_on_its_way_back_is_no_entry() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let [a, b, _] = masters(&cluster);
    let user = entry_on(&cluster, &trial, a);
    let slot = slot_of(&cluster, &user.subject);
    cluster.migrate(slot, b).unwrap();
    cluster.migrate(slot, a).unwrap();
    assert!(comes_true(async || look(&store, &user).await.is_ok()).await);
    trial.filled(&user, "old").await;
    cluster.migrate(slot, b).unwrap();

    cluster.open_migration(slot, a).unwrap();
    cluster.move_keys(slot, a, &[key(&user.subject, 'v')]).unwrap();
    assert!(cluster.keys(a, slot).unwrap().contains(&key(&user.subject, 'v')));
    assert_eq!(trial.blob(&user).await, None);
    cluster.finish_migration(slot, a).unwrap();
}

/// The same for what an entry is compared with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_on_its_way_is_none() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let [a, b, _] = masters(&cluster);
    let (list, tags) = (entry_on(&cluster, &trial, a), [tag_on(&cluster, &trial, a)]);
    let slot = slot_of(&cluster, &tags[0]);
    let lease = trial.granted_for(trial.request(&list, &tags)).await;
    assert!(trial.fill(&lease, "list").await);
    cluster.open_migration(slot, b).unwrap();
    assert_eq!(trial.get(&list, &tags).await.tags, lease.stamps, "it is still here");
    cluster.move_keys(slot, b, &[key(&tags[0], 'g')]).unwrap();
    assert_eq!(trial.get(&list, &tags).await.tags[0].generation, None);
    cluster.finish_migration(slot, b).unwrap();
    let found = trial.get(&list, &tags).await;
    assert!(found.tags[0].generation.is_some());
    assert_ne!(found.tags, lease.stamps, "another node, another epoch");
    cluster.migrate(slot, a).unwrap();
}

/// Slots that nobody serves are nobody else's trouble.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_without_a_master_is_unavailable_alone() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let [a, ..] = masters(&cluster);
    let user = entry_on(&cluster, &trial, a);
    let slot = slot_of(&cluster, &user.subject).to_string();
    for node in 0..6 {
        // A replica refuses, and hears of it from its master.
        let _ = cluster.tell(node, &["CLUSTER", "DELSLOTS", &slot]);
    }
    let error = look(&store, &user).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    for node in masters(&cluster) {
        let other = super::on_node(
            &cluster,
            node,
            |name| trial.entry(&format!("well {name}")),
            |entry| &entry.subject,
        );
        trial.filled(&other, "Ann").await;
    }
    cluster.tell(a, &["CLUSTER", "ADDSLOTS", &slot]).unwrap();
    cluster.settled().unwrap();
    assert!(comes_true(async || look(&store, &user).await.is_ok()).await);
}
