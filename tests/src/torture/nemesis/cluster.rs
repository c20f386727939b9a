//! Faults of a Redis Cluster: slots of hot keys move, a migration is stuck half-way, masters die under load.

use cache_test_support::Cluster;

use super::{
    Arena, Deed, Loses, Needs, Nemesis, StoreNeed, Within, millis,
    postgres::{stick, unstick},
};

const CLUSTER: Needs = Needs { store: StoreNeed::Cluster, own_postgres: false, proxies: &[] };

pub(super) static CLUSTER_MIGRATE: Nemesis = Nemesis {
    name: "cluster-migrate",
    does: "in a Redis Cluster, the slots of hot keys move from master to master",
    needs: CLUSTER,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 5..=100, strike: |arena| migrate(arena, 100), heal: settle }],
};

pub(super) static CLUSTER_STUCK: Nemesis = Nemesis {
    name: "cluster-stuck",
    does: "in a Redis Cluster, the migration of a hot key's slot is stuck half-way for up to five seconds",
    needs: CLUSTER,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 5..=100, strike: |arena| migrate(arena, 5000), heal: settle }],
};

/// Half of the keys of a hot slot move, then nothing for up to so many milliseconds, then the rest. What is half-way stays
/// so when the traffic ends before that, and is finished by then.
fn migrate(arena: &mut Arena, longest: u64) -> Result<bool, String> {
    let slot = hot_slot(arena)?;
    let to = told(cluster(arena)?.other_master(slot))?;
    told(cluster(arena)?.open_migration(slot, to))?;
    arena.wait_some(0..=longest / 4);
    let from = told(cluster(arena)?.node_of(slot))?;
    let keys = told(cluster(arena)?.keys(from, slot))?;
    told(cluster(arena)?.move_keys(slot, to, &keys[..keys.len().div_ceil(2)]))?;
    arena.wait_some(0..=longest);
    told(cluster(arena)?.finish_migration(slot, to))?;
    Ok(true)
}

pub(super) static CLUSTER_FAILOVER: Nemesis = Nemesis {
    name: "cluster-failover",
    does: "in a Redis Cluster, a master dies before its replica has its last marks, or hands over in order",
    needs: Needs { own_postgres: true, ..CLUSTER },
    loses: Loses::Fences,
    within: Within::NOTHING,
    deeds: &[Deed { every: 200..=1000, strike: fail_over, heal: bring_back }],
};

fn fail_over(arena: &mut Arena) -> Result<bool, String> {
    let slot = hot_slot(arena)?;
    let master = told(cluster(arena)?.node_of(slot))?;
    let replica = partner(master);
    if arena.rng.u8(..3) == 0 {
        told(cluster(arena)?.fail_over(replica))?;
        return Ok(true);
    }
    // Frozen and cut off: what the master acknowledges from now on, nobody else has.
    cluster(arena)?.nodes()[replica].pause();
    told(cluster(arena)?.tell(master, &["CLIENT", "KILL", "TYPE", "replica"]))?;
    let is_lost = !stick(arena)?.is_empty();
    arena.wait_some(0..=200);
    cluster(arena)?.nodes()[master].kill();
    cluster(arena)?.nodes()[replica].resume();
    told(cluster(arena)?.promoted(replica))?;
    arena.wait_some(0..=500);
    unstick(arena)?;
    bring_back(arena)?;
    Ok(is_lost)
}

/// Starts what is dead, as a replica of whoever took its place.
fn bring_back(arena: &mut Arena) -> Result<(), String> {
    unstick(arena)?;
    for node in cluster(arena)?.nodes() {
        node.resume();
        if node.pid().is_none() {
            told(node.restart())?;
        }
    }
    settle(arena)
}

fn settle(arena: &mut Arena) -> Result<(), String> {
    told(cluster(arena)?.settled())
}

/// The other of a master and its replica.
fn partner(node: usize) -> usize {
    (node + 3) % 6
}

/// The slot of one of the hot entries, or of one of their tags.
fn hot_slot(arena: &mut Arena) -> Result<u16, String> {
    let subject = ["hot", "view", "hots"][arena.rng.usize(..3)];
    let key = arena.rng.u16(..arena.keys);
    let name = format!("{{{}:{subject}:{key}}}:c", arena.ground.namespace());
    // A cluster in the middle of a failover answers a little later.
    let mut slot = None;
    arena.wait_until(millis(5000), |arena| {
        slot = cluster(arena)?.slot_of(&name).ok();
        Ok(slot.is_some())
    })?;
    slot.ok_or_else(|| "no node of the cluster answers".to_owned())
}

fn cluster(arena: &Arena) -> Result<&Cluster, String> {
    arena.ground.cluster().ok_or_else(|| "there is no cluster".to_owned())
}

fn told<T>(outcome: Result<T, cache_test_support::Error>) -> Result<T, String> {
    outcome.map_err(|error| error.to_string())
}
