//! Faults between the instances and Redis: connections that end, lag, break in the middle of a reply, or go silent.

use cache_test_support::{FaultProxy, Snare};
use redis::cmd;

use super::{Arena, Between, Deed, Loses, Needs, Nemesis, StoreNeed, Within, millis};

pub(super) static CLIENT_KILL: Nemesis = Nemesis {
    name: "client-kill",
    does: "CLIENT KILL of one connection to Redis, or of all",
    needs: Needs { store: StoreNeed::Own(&[]), own_postgres: false, proxies: &[] },
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 50..=1500, strike: client_kill, heal: |_| Ok(()) }],
};

fn client_kill(arena: &mut Arena) -> Result<bool, String> {
    if arena.rng.bool() {
        let killed: u64 = arena.redis(cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]))?;
        return Ok(killed > 0);
    }
    let list: String = arena.redis(cmd("CLIENT").arg(&["LIST", "TYPE", "normal"]))?;
    let ids: Vec<_> = list.lines().filter_map(|line| line.strip_prefix("id=")?.split(' ').next()).collect();
    // The asker is in the list too, and gone by now: killing it hits nothing.
    let id = ids[arena.rng.usize(..ids.len())];
    let killed: u64 = arena.redis(cmd("CLIENT").arg(&["KILL", "ID", id]))?;
    Ok(killed > 0)
}

/// Each instance has a proxy of its own before Redis.
const PROXIED: Needs = Needs { store: StoreNeed::Any, own_postgres: false, proxies: &[Between::Redis] };

pub(super) static SLOW: Nemesis = Nemesis {
    name: "slow",
    does: "an instance's packets to and from Redis take up to 150 ms longer for a while",
    needs: PROXIED,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 20..=300, strike: slow, heal: calm }],
};

pub(super) fn slow(arena: &mut Arena) -> Result<bool, String> {
    let victim = arena.any_instance();
    // Below the deadline of reads, around it, and beyond the point where the breaker opens.
    let longest = [5, 40, 150][arena.rng.usize(..3)];
    let delay = millis(arena.rng.u64(1..=longest));
    proxy(arena, victim)?.delay(delay);
    arena.wait_some(20..=800);
    proxy(arena, victim)?.delay(millis(0));
    Ok(true)
}

pub(super) static CUT: Nemesis = Nemesis {
    name: "cut",
    does: "an instance's connection to Redis breaks, at any moment or in the middle of a reply",
    needs: PROXIED,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 10..=200, strike: cut, heal: calm }],
};

pub(super) fn cut(arena: &mut Arena) -> Result<bool, String> {
    let victim = arena.any_instance();
    if arena.rng.bool() {
        proxy(arena, victim)?.cut();
        return Ok(true);
    }
    let before = proxy(arena, victim)?.snared();
    // Half of the time in the reply to a script, which a mark, a clear, a lease or a fill is.
    let snare = match arena.rng.bool() {
        true => Snare::MidReply,
        false => Snare::AfterRequest(b"EVALSHA".into()),
    };
    proxy(arena, victim)?.set_snare(snare);
    let sprung = arena.wait_until(millis(500), |arena| Ok(proxy(arena, victim)?.snared() > before))?;
    proxy(arena, victim)?.lift_snare();
    Ok(sprung)
}

pub(super) static HALF_OPEN: Nemesis = Nemesis {
    name: "half-open",
    does: "an instance's connection to Redis swallows what is sent, or only the replies, or holds all back, without closing",
    needs: PROXIED,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 50..=500, strike: half_open, heal: calm }],
};

pub(super) fn half_open(arena: &mut Arena) -> Result<bool, String> {
    let victim = arena.any_instance();
    match arena.rng.u8(..3) {
        // New connections work; the old one is noticed by silence alone.
        0 => return Ok(proxy(arena, victim)?.swallow() > 0),
        1 => proxy(arena, victim)?.drop_replies(),
        _ => proxy(arena, victim)?.stall(),
    }
    arena.wait_some(20..=2500);
    let proxy = proxy(arena, victim)?;
    proxy.pass_replies();
    // What was held back arrives now, late.
    proxy.flow();
    Ok(true)
}

pub(super) fn calm(arena: &mut Arena) -> Result<(), String> {
    let proxies = arena.ground.proxies(Between::Redis);
    proxies.iter().try_for_each(|proxy| proxy.calm().map_err(|error| error.to_string()))
}

fn proxy(arena: &Arena, instance: u8) -> Result<&FaultProxy, String> {
    arena.ground.proxy(Between::Redis, instance)
}
