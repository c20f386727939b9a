//! Masters that die, fall silent or are replaced.

use std::sync::atomic::Ordering::SeqCst;

use cache_core::error::StoreErrorKind;
use cache_core::store::Leased;
use cache_core::testkit::conformance::Trial;
use cache_test_support::Cluster;

use super::app::{App, hammer};
use super::{cluster, comes_true, entry_on, look, masters, store};

/// The replica of a master, by its place.
fn replica_of(cluster: &Cluster, master: usize) -> usize {
    let port = format!("master_port:{}\r\n", cluster.nodes()[master].address().port());
    let follows = |&node: &usize| cluster.tell(node, &["INFO", "replication"]).unwrap().contains(&port);
    (0..6).find(follows).unwrap()
}

fn replicated(cluster: &Cluster, master: usize) {
    let written = |node: usize| {
        let text = cluster.tell(node, &["INFO", "replication"]).unwrap();
        let name = if node == master { "master_repl_offset:" } else { "slave_repl_offset:" };
        text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned)).unwrap()
    };
    let replica = replica_of(cluster, master);
    for _ in 0..10_000 {
        if written(master) == written(replica) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("the replica never catches up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_master_costs_its_share_until_its_replica_takes_over() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let [a, b, _] = masters(&cluster);
    let (dead, well) = (entry_on(&cluster, &trial, a), entry_on(&cluster, &trial, b));
    let fenced =
        super::on_node(&cluster, a, |name| trial.entry(&format!("fenced {name}")), |entry| &entry.subject);
    let old = trial.filled(&dead, "old").await;
    trial.filled(&well, "Ann").await;
    let write = trial.mark(&[&fenced.subject]).await;
    let before = trial.get(&dead, &[]).await.epoch;
    replicated(&cluster, a);
    let replica = replica_of(&cluster, a);

    cluster.nodes()[a].kill();
    let is_away =
        async || look(&store, &dead).await.is_err_and(|error| error.kind() == StoreErrorKind::Unavailable);
    assert!(comes_true(is_away).await);
    let is_back = async || {
        assert!(trial.blob(&well).await.is_some(), "the others have nothing to do with it");
        look(&store, &dead).await.is_ok()
    };
    assert!(comes_true(is_back).await);
    assert!(cluster.is_master(replica).unwrap());
    let found = trial.get(&dead, &[]).await;
    assert_eq!(found.blob, Some(old), "the replica has it");
    assert_ne!(found.epoch, before, "and it is of another epoch");
    assert!(matches!(trial.lease(trial.request(&dead, &[])).await, Leased::Granted { .. }));
    assert_eq!(trial.fenced(&fenced).await[0].writer, write.writer, "fences outlive the epoch");
    assert!(trial.cleared(&write, &[]).await.intact);
    cluster.nodes()[a].restart().unwrap();
    cluster.settled().unwrap();
    assert!(look(&store, &dead).await.is_ok(), "the old master is a replica now, and nobody asks it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_replaced_in_order_is_left_at_once() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let trial = Trial::new(&store);
    let [a, ..] = masters(&cluster);
    let user = entry_on(&cluster, &trial, a);
    trial.filled(&user, "old").await;
    let before = trial.get(&user, &[]).await.epoch;
    cluster.fail_over(replica_of(&cluster, a)).unwrap();
    // The connection to the old master is still open, and it sends everybody on.
    let is_left = async || match look(&store, &user).await {
        Ok(found) => {
            assert_ne!(found.epoch, before, "the old master does not answer any more");
            true
        }
        // On a busy machine the new one may not have told all its slots yet.
        Err(_) => false,
    };
    assert!(comes_true(is_left).await);
    let write = trial.mark(&[&user.subject]).await;
    assert!(trial.cleared(&write, &[]).await.intact);
}

/// The importing node goes on naming the old master, which is a replica now; the others know better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_replaced_in_the_middle_of_a_migration_is_left_too() {
    let cluster = cluster().await;
    let (store, other) = (store(&cluster).await, store(&cluster).await);
    let trial = Trial::new(&other);
    let [a, b, _] = masters(&cluster);
    let user = entry_on(&cluster, &trial, a);
    let slot = super::slot_of(&cluster, &user.subject);
    let before = look(&store, &user).await.unwrap().epoch;
    cluster.open_migration(slot, b).unwrap();
    let replica = replica_of(&cluster, a);
    cluster.take_over(replica).unwrap();
    assert!(comes_true(async || !cluster.is_master(a).unwrap()).await);
    // Each of the two notices by itself, a little sooner or later.
    for one in [&store, &other] {
        assert!(comes_true(async || look(one, &user).await.is_ok_and(|found| found.epoch != before)).await);
    }
    let epoch = look(&store, &user).await.unwrap().epoch;
    // Redis' new master does not know that the slot was to move, Valkey's does; writes go on with both.
    for _ in 0..50 {
        let write = trial.mark(&[&user.subject]).await;
        assert_eq!(look(&store, &user).await.unwrap().epoch, epoch);
        assert!(trial.cleared(&write, &[]).await.intact);
    }
    for node in [b, replica] {
        cluster.tell(node, &["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"]).unwrap();
    }
    cluster.settled().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_master_degrades_its_share_and_the_others_keep_their_hits() {
    let cluster = cluster().await;
    let app = App::new(store(&cluster).await);
    let [a, b, c] = masters(&cluster);
    let [silent, well, too] = [a, b, c].map(|node| app.row_on(&cluster, node));
    for id in [silent, well, too] {
        assert!(
            comes_true(async || {
                app.find(id).await;
                app.loads(id) > 0
            })
            .await
        );
        app.find(id).await;
    }
    let (hits, loads) = (app.cache.stats().total().hits, [app.loads(well), app.loads(too)]);
    cluster.nodes()[a].pause();
    for _ in 0..20 {
        // Often enough in a row for a breaker of them all to open.
        for id in [silent, silent, silent, silent, well, too] {
            assert_eq!(app.find(id).await, 0);
        }
    }
    let stats = app.cache.stats().total();
    cluster.nodes()[a].resume();
    assert_eq!([app.loads(well), app.loads(too)], loads, "every read of theirs was a hit: {stats:?}");
    assert!(stats.hits >= hits + 40, "{stats:?}");
    assert!(stats.degraded >= 3, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_master_dies_under_load_and_no_read_is_stale() {
    let cluster = cluster().await;
    let app = App::new(store(&cluster).await);
    let other = app.beside(store(&cluster).await);
    let a = masters(&cluster)[0];
    let id = app.row_on(&cluster, a);
    let replica = replica_of(&cluster, a);
    let written = async |more: u64| {
        let before = other.cache.stats().writes().fenced;
        assert!(comes_true(async || other.cache.stats().writes().fenced > before + more).await);
    };
    let seen = hammer([&app, &other], id, async {
        written(20).await;
        tokio::task::block_in_place(|| {
            cluster.nodes()[a].kill();
            cluster.promoted(replica).unwrap();
        });
        written(20).await;
        tokio::task::block_in_place(|| cluster.nodes()[a].restart().unwrap());
        written(20).await;
    })
    .await;
    assert_eq!(seen.stale.load(SeqCst), 0, "{seen:?}");
    assert!(seen.refused.load(SeqCst) > 0, "a write that cannot be fenced is refused: {seen:?}");
    assert!(seen.writes.load(SeqCst) > 40, "{seen:?}");
}
