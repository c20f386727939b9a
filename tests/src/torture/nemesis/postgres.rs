//! Faults of Postgres: the connection is lost at COMMIT, the server restarts, a commit is durable long before it is visible.

use cache_test_support::{FaultProxy, Postgres, Snare};
use rustix::process::Signal;
use sqlx::Row;

use super::{Arena, Between, Deed, Loses, Needs, Nemesis, StoreNeed, Within, millis};

pub(super) static PG_CUT: Nemesis = Nemesis {
    name: "pg-cut",
    does: "the connection to Postgres is lost at COMMIT, before or after the server got it: the outcome is unknown",
    needs: Needs { store: StoreNeed::Any, own_postgres: false, proxies: &[Between::Postgres] },
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 5..=80, strike: pg_cut, heal: |_| Ok(()) }],
};

pub(super) fn pg_cut(arena: &mut Arena) -> Result<bool, String> {
    let victim = arena.any_instance();
    let before = proxy(arena, victim)?.snared();
    let commit = b"COMMIT\0".to_vec();
    let snare = match arena.rng.bool() {
        true => Snare::BeforeRequest(commit),
        false => Snare::AfterRequest(commit),
    };
    proxy(arena, victim)?.set_snare(snare);
    let sprung = arena.wait_until(millis(2000), |arena| Ok(proxy(arena, victim)?.snared() > before))?;
    proxy(arena, victim)?.lift_snare();
    Ok(sprung)
}

const OWN: Needs = Needs { store: StoreNeed::Any, own_postgres: true, proxies: &[] };

pub(super) static PG_RESTART: Nemesis = Nemesis {
    name: "pg-restart",
    does: "Postgres shuts down, or dies without a word, and starts again",
    needs: OWN,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 500..=2000, strike: pg_restart, heal: |_| Ok(()) }],
};

fn pg_restart(arena: &mut Arena) -> Result<bool, String> {
    match arena.rng.bool() {
        true => server(arena)?.stop(),
        false => server(arena)?.kill(),
    }
    server(arena)?.restart().map_err(|error| error.to_string())?;
    Ok(true)
}

pub(super) static STUCK_COMMIT: Nemesis = Nemesis {
    name: "stuck-commit",
    does: "commits wait for a standby that does not exist, durable and invisible, while their writers are killed",
    needs: OWN,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 50..=500, strike: stuck_commit, heal: unstick }],
};

pub(super) fn stuck_commit(arena: &mut Arena) -> Result<bool, String> {
    let victims = stick(arena)?;
    let stuck = !victims.is_empty();
    // Two times in three the writer does not live to see its commit.
    if stuck && arena.rng.u8(..3) > 0 {
        let victim = victims[arena.rng.usize(..victims.len())];
        arena.troops.signal(victim, Signal::KILL);
    }
    if stuck {
        arena.wait_some(50..=1500);
    }
    unstick(arena)?;
    Ok(stuck)
}

/// Lets commits be durable and invisible. Tells which instances wait for one; nobody, if none came in time.
pub(super) fn stick(arena: &mut Arena) -> Result<Vec<u8>, String> {
    arena.postgres("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")?;
    arena.postgres("SELECT pg_reload_conf()")?;
    let mut victims = Vec::new();
    arena.wait_until(millis(2000), |arena| {
        victims = waiting(arena)?;
        Ok(!victims.is_empty())
    })?;
    Ok(victims)
}

/// The instances that wait for a commit.
fn waiting(arena: &Arena) -> Result<Vec<u8>, String> {
    let rows = arena.postgres(
        "SELECT DISTINCT application_name FROM pg_stat_activity WHERE wait_event = 'SyncRep' ORDER BY 1",
    )?;
    let name = |row: &sqlx::postgres::PgRow| row.try_get::<String, _>(0).ok();
    Ok(rows.iter().filter_map(name).filter_map(|name| name.strip_prefix("instance ")?.parse().ok()).collect())
}

/// Lets them become visible.
pub(super) fn unstick(arena: &mut Arena) -> Result<(), String> {
    arena.postgres("ALTER SYSTEM RESET synchronous_standby_names")?;
    arena.postgres("SELECT pg_reload_conf()")?;
    Ok(())
}

fn proxy(arena: &Arena, instance: u8) -> Result<&FaultProxy, String> {
    arena.ground.proxy(Between::Postgres, instance)
}

fn server(arena: &Arena) -> Result<&Postgres, String> {
    arena.ground.postgres().ok_or_else(|| "there is no Postgres of its own".to_owned())
}
