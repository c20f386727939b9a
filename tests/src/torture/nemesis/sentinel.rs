//! Faults of a Redis behind Sentinel: the master dies or falls silent before its replica has its last marks, or is replaced
//! while it still answers.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    thread,
    time::{Duration, Instant},
};

use cache_test_support::{Redis, Sentinels};
use redis::cmd;

use super::{
    Arena, Deed, Loses, Needs, Nemesis, StoreNeed, Within, millis,
    postgres::{stick, unstick},
};

const BEHIND_SENTINELS: Needs = Needs { store: StoreNeed::Sentinels, own_postgres: true, proxies: &[] };

/// Longer than a new master is kept waiting, or no write would come to its commit between two strikes.
const BETWEEN: RangeInclusive<u64> = 1500..=3000;

/// How long commits stay stuck once another master is named: some of them until it is in use, so that the fences they lost are
/// missed.
const STUCK: RangeInclusive<u64> = 0..=3000;

pub(super) static SENTINEL_FAILOVER: Nemesis = Nemesis {
    name: "sentinel-failover",
    does: "behind three sentinels, the master dies, or is silent until nobody talks to it, before its replica has its last marks",
    needs: BEHIND_SENTINELS,
    loses: Loses::Fences,
    within: Within::NOTHING,
    deeds: &[Deed { every: BETWEEN, strike: fail_over, heal: bring_back }],
};

pub(super) static SENTINEL_SWITCH: Nemesis = Nemesis {
    name: "sentinel-switch",
    does: "behind three sentinels, another master is made while the old one still answers (SENTINEL FAILOVER, or a short freeze)",
    needs: BEHIND_SENTINELS,
    loses: Loses::Fences,
    within: Within::NOTHING,
    deeds: &[Deed { every: BETWEEN, strike: switch, heal: bring_back }],
};

/// Longer than a store waits for an answer to its probe: after that no instance listens to the old master any more.
const SILENCE: Duration = Duration::from_millis(1500);

fn fail_over(arena: &mut Arena) -> Result<bool, String> {
    let master = master(arena)?;
    let is_lost = fall_behind(arena, master)?;
    match arena.rng.bool() {
        true => sentinels(arena)?.server_at(master).kill(),
        false => sentinels(arena)?.server_at(master).pause(),
    }
    let begin = Instant::now();
    replica(arena, master)?.resume();
    told(sentinels(arena)?.wait_for_another_master(master))?;
    arena.wait_some(STUCK);
    unstick(arena)?;
    // Not cut short by the end of the traffic: a shorter silence is another fault.
    thread::sleep(SILENCE.saturating_sub(begin.elapsed()));
    follow(arena)?;
    Ok(is_lost)
}

fn switch(arena: &mut Arena) -> Result<bool, String> {
    let master = master(arena)?;
    if arena.rng.bool() {
        told(sentinels(arena)?.fail_over())?;
        told(sentinels(arena)?.wait_for_another_master(master))?;
    } else {
        fall_behind(arena, master)?;
        sentinels(arena)?.server_at(master).pause();
        replica(arena, master)?.resume();
        told(sentinels(arena)?.wait_for_another_master(master))?;
        sentinels(arena)?.server_at(master).resume();
    }
    arena.wait_some(STUCK);
    unstick(arena)?;
    follow(arena)?;
    Ok(true)
}

/// Freezes the replica and cuts it off: what the master acknowledges from now on, nobody else has. Tells whether a commit is
/// waiting whose mark is among that.
fn fall_behind(arena: &mut Arena, master: SocketAddr) -> Result<bool, String> {
    replica(arena, master)?.pause();
    arena.redis_at::<u64>(&url(master), cmd("CLIENT").arg(&["KILL", "TYPE", "replica"]))?;
    let is_lost = !stick(arena)?.is_empty();
    arena.wait_some(0..=200);
    Ok(is_lost)
}

fn bring_back(arena: &mut Arena) -> Result<(), String> {
    unstick(arena)?;
    follow(arena)
}

/// Starts or wakes what is down, and waits until one follows the other. The sentinels would tell an old master to do so at
/// their next look at it, in ten seconds; told at once, it is there for the next strike.
fn follow(arena: &mut Arena) -> Result<(), String> {
    for server in servers(arena)? {
        server.resume();
        if server.pid().is_none() {
            told(server.restart())?;
        }
    }
    let now = master(arena)?;
    let (host, port) = (now.ip().to_string(), now.port().to_string());
    let old = url(replica(arena, now)?.address());
    arena.redis_at::<()>(&old, cmd("REPLICAOF").arg(&[&host, &port]))?;
    // Not the end of the traffic, which would end any other wait: the quiet system must have both.
    for _ in 0..6000 {
        let master = master(arena)?;
        let replication = arena
            .redis_at::<String>(&url(replica(arena, master)?.address()), cmd("INFO").arg("replication"))
            .unwrap_or_default();
        if replication.contains("role:slave") && replication.contains("master_link_status:up") {
            return Ok(());
        }
        thread::sleep(millis(10));
    }
    Err("the old master does not follow the new one after a minute".to_owned())
}

fn master(arena: &Arena) -> Result<SocketAddr, String> {
    let named = sentinels(arena)?.sentinels().iter().find_map(|sentinel| sentinel.master());
    named.ok_or_else(|| "no sentinel names a master".to_owned())
}

fn servers(arena: &Arena) -> Result<[&Redis; 2], String> {
    let sentinels = sentinels(arena)?;
    Ok([sentinels.server(0), sentinels.server(1)])
}

/// The other one.
fn replica(arena: &Arena, master: SocketAddr) -> Result<&Redis, String> {
    let found = servers(arena)?.into_iter().find(|server| server.address() != master);
    found.ok_or_else(|| "there is no replica".to_owned())
}

fn url(address: SocketAddr) -> String {
    format!("redis://{address}/0")
}

fn sentinels(arena: &Arena) -> Result<&Sentinels, String> {
    arena.ground.sentinels().ok_or_else(|| "there are no sentinels".to_owned())
}

fn told<T>(outcome: Result<T, cache_test_support::Error>) -> Result<T, String> {
    outcome.map_err(|error| error.to_string())
}
