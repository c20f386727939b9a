//! Keys on several masters, all of which are well.

use cache_core::backend::redis::RedisStore;
use cache_core::store::{LeaseRequest, Leased, MarkRequest, Origin, Store};
use cache_core::testkit::conformance::{self, Trial, blob};
use cache_test_support::{Cluster, Redis};

use super::{cluster, comes_true, entry_on, key, look, masters, slot_of, store, tag_on};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_may_lie_on_other_masters_than_their_entry() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let [a, b, c] = masters(&cluster);
    let (list, tags) =
        (entry_on(&cluster, &trial, a), [tag_on(&cluster, &trial, b), tag_on(&cluster, &trial, c)]);

    let lease = trial.granted_for(trial.request(&list, &tags)).await;
    let epochs = [lease.epoch, lease.stamps[0].epoch, lease.stamps[1].epoch];
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2] && epochs[0] != epochs[2], "{epochs:?}");
    let filled = trial.fill_blob(&lease, &blob(lease.epoch, "list"), super::BOUND).await;
    assert!(filled.stored);
    assert_eq!(filled.tags, lease.stamps);
    let found = trial.get(&list, &tags).await;
    assert!(found.blob.is_some());
    assert_eq!((found.epoch, found.tags), (lease.epoch, lease.stamps.clone()));

    let write = trial.mark(&[&tags[1]]).await;
    assert_ne!(trial.get(&list, &tags).await.tags, lease.stamps, "a mark of one tag");
    let fences = trial.fenced_for(LeaseRequest { force: true, ..trial.request(&list, &tags) }).await;
    assert_eq!(fences.len(), 1);
    let untagged = LeaseRequest { force: true, ..trial.request(&list, &[]) };
    let lease = trial.granted_for(untagged).await;
    trial.release(&list, lease.token).await;
    trial.clear(&write).await;
    trial.granted_for(LeaseRequest { force: true, ..trial.request(&list, &tags) }).await;
}

/// The generations of a fill must be those after it, on whichever node: here the tag is marked while the fill is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_tells_generations_read_after_it_was_acknowledged() {
    let cluster = cluster().await;
    let (here, there) = (store(&cluster).await, store(&cluster).await);
    let [a, b, _] = masters(&cluster);
    let trial = Trial::new(&here);
    let (list, tags) = (entry_on(&cluster, &trial, a), [tag_on(&cluster, &trial, b)]);
    let lease = trial.granted_for(trial.request(&list, &tags)).await;
    let value = blob(lease.epoch, "old");
    // The entry's node keeps scripts waiting.
    cluster.tell(a, &["CLIENT", "PAUSE", "20000", "WRITE"]).unwrap();
    let write = async {
        let waits = async || cluster.tell(a, &["INFO", "clients"]).unwrap().contains("blocked_clients:1");
        assert!(comes_true(waits).await, "the fill is under way");
        let (origin, seed, tag_ttl) = (Origin::none(), 1, super::BOUND);
        let request = MarkRequest { writer: trial.writer(), origin: &origin, subjects: &tags, seed, tag_ttl };
        there.mark(request).await.unwrap();
        cluster.tell(a, &["CLIENT", "UNPAUSE"]).unwrap();
    };
    let (filled, ()) = tokio::join!(trial.fill_blob(&lease, &value, super::BOUND), write);
    assert!(filled.stored, "a mark of a tag leaves the leases of its entries");
    assert_ne!(filled.tags, lease.stamps);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_with_subjects_everywhere_fences_and_clears_all_of_them() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let entries = masters(&cluster).map(|node| entry_on(&cluster, &trial, node));
    let tag = tag_on(&cluster, &trial, masters(&cluster)[2]);
    for entry in &entries {
        trial.filled(entry, "old").await;
    }
    let subjects: Vec<_> = entries.iter().map(|entry| &entry.subject).chain([&tag]).collect();
    let write = trial.mark(&subjects).await;
    let epochs = &write.marked.epochs;
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2], "{epochs:?}");
    for entry in &entries {
        assert_eq!(trial.blob(entry).await, None);
        assert_eq!(trial.fenced(entry).await.len(), 1);
    }
    let puts = entries.each_ref().map(|entry| trial.put(&write, entry, "new"));
    let cleared = trial.cleared(&write, &puts).await;
    assert!(cleared.intact);
    assert_eq!(cleared.installed, 3, "each in its own epoch");
    for entry in &entries {
        assert!(matches!(trial.lease(trial.request(entry, &[])).await, Leased::Present(_)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_subject_lie_in_the_slot_the_servers_compute() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    for number in 0..30 {
        let user = trial.entry(&format!("user {number}: näme"));
        trial.filled(&user, "Ann").await;
        let slot = slot_of(&cluster, &user.subject);
        let keys = cluster.keys(cluster.node_of(slot).unwrap(), slot).unwrap();
        assert!(keys.contains(&key(&user.subject, 'v')), "{user:?} in {keys:?}");
    }
}

/// One seed is enough; it may be a replica, and others may be gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_that_answers_leads_to_the_masters() {
    let cluster = cluster().await;
    let replica = (0..6).find(|&node| !cluster.is_master(node).unwrap()).unwrap();
    let gone = Redis::start().unwrap();
    gone.stop();
    let url = format!("redis+cluster://{},{}", gone.address(), cluster.nodes()[replica].address());
    let store = RedisStore::connect(&url).await.unwrap();
    let trial = Trial::new(&store);
    for node in masters(&cluster) {
        let user = entry_on(&cluster, &trial, node);
        assert!(comes_true(async || look(&store, &user).await.is_ok()).await);
        trial.filled(&user, "Ann").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_is_a_master() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let shards = masters(&cluster).map(|node| store.shard(&entry_on(&cluster, &trial, node).subject));
    assert!(shards[0] != shards[1] && shards[1] != shards[2] && shards[0] != shards[2], "{shards:?}");
    let tag = tag_on(&cluster, &trial, masters(&cluster)[1]);
    assert_eq!(store.shard(&tag), shards[1]);
}

async fn refusal(url: &str) -> String {
    RedisStore::connect(url).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_scheme_is_answered_with_the_right_one() {
    let cluster: &Cluster = &*cluster().await;
    let text = refusal(&cluster.nodes()[0].url()).await;
    assert!(text.contains("write redis+cluster://"), "{text}");
    let alone = Redis::start().unwrap();
    let text = refusal(&format!("redis+cluster://{}", alone.address())).await;
    assert!(text.contains("write redis://"), "{text}");
    assert_eq!(text.lines().count(), 1);
}

/// The rights of `docs/manual/operating.md`, those of its section about clusters included, and no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_of_the_manual_are_enough() {
    let cluster = cluster().await;
    let rights = "+select +info +time +script|load +evalsha +get +set +hget +hset +hsetnx +hdel +hgetall +hlen +exists +type \
                  +unlink +rename +pttl +pexpire +cluster|info +cluster|nodes +cluster|slots +asking";
    let user = |rights: &str| {
        let fixed = ["ACL", "SETUSER", "shop", "reset", "on", ">s3cret", "resetchannels", "-@all", "~*"];
        let words: Vec<_> = fixed.into_iter().chain(rights.split_ascii_whitespace()).collect();
        (0..6).for_each(|node| drop(cluster.tell(node, &words).unwrap()));
    };
    let url = cluster.url().replace("://", "://shop:s3cret@");
    user(rights);
    let store = RedisStore::connect(&url).await.unwrap();
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");
    let trial = Trial::new(&store);
    let entry = entry_on(&cluster, &trial, masters(&cluster)[0]);
    let slot = slot_of(&cluster, &entry.subject);
    let to = cluster.other_master(slot).unwrap();
    cluster.open_migration(slot, to).unwrap();
    trial.invalidate(&entry.subject).await;
    cluster.finish_migration(slot, to).unwrap();

    user(&rights.replace(" +cluster|slots", ""));
    let text = refusal(&url).await;
    assert!(text.contains("CLUSTER") && text.contains("NOPERM") && !text.contains("s3cret"), "{text}");
}
