//! Faults of Redis itself: it freezes, restarts with and without its data, is flushed, runs out of memory.

use cache_test_support::Redis;
use redis::cmd;

use super::{
    Arena, Deed, Loses, Needs, Nemesis, StoreNeed, Within,
    postgres::{stick, unstick},
};

const fn own(arguments: &'static [&'static str]) -> Needs {
    Needs { store: StoreNeed::Own(arguments), own_postgres: false, proxies: &[] }
}

pub(super) static FREEZE_REDIS: Nemesis = Nemesis {
    name: "freeze-redis",
    does: "SIGSTOP of Redis for up to two and a half seconds, then SIGCONT: what was sent meanwhile is done late",
    needs: own(&[]),
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 100..=800, strike: freeze_redis, heal: resume }],
};

pub(super) fn freeze_redis(arena: &mut Arena) -> Result<bool, String> {
    server(arena)?.pause();
    let longest = [30, 200, 2500][arena.rng.usize(..3)];
    arena.wait_some(1..=longest);
    server(arena)?.resume();
    Ok(true)
}

pub(super) fn resume(arena: &mut Arena) -> Result<(), String> {
    server(arena)?.resume();
    Ok(())
}

pub(super) static RESTART_KEEP: Nemesis = Nemesis {
    name: "restart-keep",
    does: "kill -9 of a Redis that writes every command to disk (appendfsync always), and a start with its data",
    needs: own(&["--appendonly", "yes", "--appendfsync", "always"]),
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 500..=2500, strike: restart, heal: |_| Ok(()) }],
};

pub(super) static RESTART_EMPTY: Nemesis = Nemesis {
    name: "restart-empty",
    does: "kill -9 of a Redis that keeps nothing on disk, and a start without data, in the middle of commits that are slow",
    needs: Needs { store: StoreNeed::Own(&[]), own_postgres: true, proxies: &[] },
    loses: Loses::Fences,
    within: Within::NOTHING,
    deeds: &[Deed { every: 500..=2500, strike: lose, heal: unstick }],
};

/// A commit that lasts longer than the restart is what a lost fence endangers: readers load the old row, fill, and are
/// served from the cache while it becomes visible.
fn lose(arena: &mut Arena) -> Result<bool, String> {
    stick(arena)?;
    let restarted = restart(arena);
    arena.wait_some(1..=600);
    unstick(arena)?;
    restarted
}

fn restart(arena: &mut Arena) -> Result<bool, String> {
    server(arena)?.kill();
    // At once, or so late that writes have been refused and clears have been waiting.
    let longest = [1, 50, 800][arena.rng.usize(..3)];
    arena.wait_some(0..=longest);
    server(arena)?.restart().map_err(|error| error.to_string())?;
    Ok(true)
}

pub(super) static FLUSH: Nemesis = Nemesis {
    name: "flush",
    does: "FLUSHALL",
    needs: own(&[]),
    loses: Loses::Fences,
    within: Within::NOTHING,
    deeds: &[Deed { every: 5..=120, strike: flush, heal: |_| Ok(()) }],
};

fn flush(arena: &mut Arena) -> Result<bool, String> {
    let how = if arena.rng.bool() { "SYNC" } else { "ASYNC" };
    arena.redis::<()>(cmd("FLUSHALL").arg(how))?;
    Ok(true)
}

pub(super) static EVICT: Nemesis = Nemesis {
    name: "evict",
    does: "Redis is full of other people's keys and evicts any of them, fences too (allkeys-random, -lru, -lfu)",
    needs: own(&["--maxmemory", "5mb", "--maxmemory-policy", "allkeys-random", "--maxmemory-samples", "1"]),
    loses: Loses::Fences,
    within: Within::NOTHING,
    deeds: &[Deed { every: 5..=60, strike: evict, heal: drop_ballast }],
};

/// Keys that one strike writes, and their size: more than the memory that is left.
const BALLAST: usize = 200;
const SIZE: usize = 10_000;

fn evict(arena: &mut Arena) -> Result<bool, String> {
    if arena.rng.u8(..8) == 0 {
        let policy = ["allkeys-random", "allkeys-lru", "allkeys-lfu"][arena.rng.usize(..3)];
        arena.redis::<()>(cmd("CONFIG").arg(&["SET", "maxmemory-policy", policy]))?;
    }
    let before = evicted(arena)?;
    let mut ballast = cmd("MSET");
    for _ in 0..BALLAST {
        ballast.arg(format!("ballast:{:x}", arena.rng.u64(..))).arg(vec![b'x'; SIZE]);
    }
    arena.redis::<()>(&ballast)?;
    Ok(evicted(arena)? > before)
}

fn evicted(arena: &Arena) -> Result<u64, String> {
    let info: String = arena.redis(cmd("INFO").arg("stats"))?;
    let count = info.lines().find_map(|line| line.strip_prefix("evicted_keys:")).unwrap_or_default();
    count.trim().parse().map_err(|_| "Redis does not say how many keys it evicted".to_owned())
}

/// Memory is plenty again; the entries that are left stay.
fn drop_ballast(arena: &mut Arena) -> Result<(), String> {
    arena.redis::<()>(cmd("CONFIG").arg(&["SET", "maxmemory", "0"]))
}

fn server(arena: &Arena) -> Result<&Redis, String> {
    arena.ground.redis().ok_or_else(|| "there is no Redis of its own".to_owned())
}
