//! The cluster as its nodes see it.

#![allow(clippy::unwrap_used, reason = "this file is all tests; the lint knows only their functions")]

use cache_test_support::Cluster;

const KEYS: [&str; 4] = ["{user:1}:a", "{user:1}:b", "{user:1}:c", "{user:1}:d"];

/// One cluster for all: it takes seconds to form.
#[test]
fn a_cluster_forms_moves_slots_and_survives_its_masters() {
    let cluster = Cluster::start().unwrap();
    assert_eq!(cluster.nodes().len(), 6);
    for node in 0..6 {
        assert_eq!(cluster.info(node, "cluster_state").unwrap(), "ok");
        assert_eq!(cluster.info(node, "cluster_slots_assigned").unwrap(), "16384");
        assert_eq!(cluster.is_master(node).unwrap(), node < 3);
    }
    assert_eq!(cluster.url().split(',').count(), 3);

    let slot = cluster.slot_of(KEYS[0]).unwrap();
    assert!(KEYS.iter().all(|key| cluster.slot_of(key).unwrap() == slot));
    let (from, to) = (cluster.node_of(slot).unwrap(), cluster.other_master(slot).unwrap());
    for key in KEYS {
        cluster.tell(from, &["SET", key, "value"]).unwrap();
    }
    half_way_is_half_way(&cluster, slot, from, to);
    a_reverted_migration_leaves_no_key_behind(&cluster, slot, from, to);
    a_finished_one_bumps_the_epoch_of_who_imports(&cluster, slot, from, to);
    a_dead_master_is_replaced(&cluster, slot, to);
}

fn half_way_is_half_way(cluster: &Cluster, slot: u16, from: usize, to: usize) {
    cluster.begin_migration(slot, to).unwrap();
    assert_eq!((cluster.keys(from, slot).unwrap().len(), cluster.keys(to, slot).unwrap().len()), (2, 2));
    assert_eq!(cluster.node_of(slot).unwrap(), from);
    let moved = cluster.keys(to, slot).unwrap().remove(0);
    let sent_on = cluster.tell(from, &["GET", &moved]).unwrap_err().to_string();
    assert!(sent_on.contains("ASK"), "{sent_on}");
    let stayed = cluster.keys(from, slot).unwrap().remove(0);
    let torn = cluster.tell(from, &["MGET", &moved, &stayed]).unwrap_err().to_string();
    assert!(torn.contains("TRYAGAIN") || torn.contains("ASK"), "{torn}");
}

fn a_reverted_migration_leaves_no_key_behind(cluster: &Cluster, slot: u16, from: usize, to: usize) {
    cluster.revert_migration(slot, to).unwrap();
    assert_eq!((cluster.keys(from, slot).unwrap().len(), cluster.keys(to, slot).unwrap().len()), (4, 0));
    assert_eq!(cluster.node_of(slot).unwrap(), from);
}

fn a_finished_one_bumps_the_epoch_of_who_imports(cluster: &Cluster, slot: u16, from: usize, to: usize) {
    for (from, to) in [(from, to), (to, from), (from, to)] {
        let before = cluster.info(to, "cluster_my_epoch").unwrap();
        cluster.migrate(slot, to).unwrap();
        assert_eq!(cluster.node_of(slot).unwrap(), to);
        assert_eq!((cluster.keys(from, slot).unwrap().len(), cluster.keys(to, slot).unwrap().len()), (0, 4));
        assert_ne!(cluster.info(to, "cluster_my_epoch").unwrap(), before);
    }
}

fn a_dead_master_is_replaced(cluster: &Cluster, slot: u16, master: usize) {
    let replica = master + 3;
    cluster.nodes()[master].kill();
    cluster.promoted(replica).unwrap();
    cluster.settled().unwrap();
    assert_eq!(cluster.node_of(slot).unwrap(), replica);
    assert_eq!(cluster.tell(replica, &["GET", KEYS[0]]).unwrap(), "value");
    cluster.nodes()[master].restart().unwrap();
    cluster.settled().unwrap();
    assert!(!cluster.is_master(master).unwrap());
    cluster.fail_over(master).unwrap();
    assert_eq!(cluster.node_of(slot).unwrap(), master);
    assert_eq!(cluster.tell(master, &["GET", KEYS[0]]).unwrap(), "value");
}
