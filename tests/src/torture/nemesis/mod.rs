//! What goes wrong during a run: one description a fault, by name. Refuses a fault without a row in the guarantee's table of
//! faults: each says what Redis can lose by it.

mod arena;
mod cluster;
mod driver;
mod network;
mod postgres;
mod processes;
mod redis;
mod sentinel;
mod storm;

use std::{fmt, ops::RangeInclusive, time::Duration};

pub use self::{
    arena::{Arena, Bell},
    driver::Driver,
};
use super::check::Promise;

/// A kind of fault.
pub struct Nemesis {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub does: &'static str,
    /// What must stand around the instances for it.
    pub needs: Needs,
    /// What Redis may lose: which row of the table of faults it is judged by.
    pub loses: Loses,
    /// What instances do to themselves.
    pub within: Within,
    /// What the coordinator does to them and to the servers, all at the same time; none for faults that live in the instances
    /// alone.
    pub deeds: &'static [Deed],
}

/// What Redis may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loses {
    /// Nothing that it has acknowledged: every promise holds.
    Nothing,
    /// Fences: B and C may fail until the write returns.
    Fences,
}

/// What the coordinator does, again and again.
#[derive(Clone)]
pub struct Deed {
    /// Milliseconds between two strikes.
    pub every: RangeInclusive<u64>,
    /// One strike, with its own undoing. Tells whether it hit anything.
    pub strike: fn(&mut Arena) -> Result<bool, String>,
    /// Makes the world whole again.
    pub heal: fn(&mut Arena) -> Result<(), String>,
}

/// What an instance does to itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    /// Percent of the writes that kill their process between COMMIT and clear, unless the command line says otherwise.
    pub crash: f64,
    /// Whether futures of reads and writes are dropped before they are done.
    pub cancels: bool,
}

impl Within {
    /// Nothing.
    pub const NOTHING: Self = Self { crash: 0.0, cancels: false };
}

/// What must stand around the instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The store.
    pub store: StoreNeed,
    /// Whether Postgres must be its own.
    pub own_postgres: bool,
    /// What stands between each instance and its servers.
    pub proxies: &'static [Between],
}

/// The store a nemesis needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreNeed {
    /// Any Redis.
    Any,
    /// A Redis of its own, started with these arguments.
    Own(&'static [&'static str]),
    /// A master, a replica and three sentinels of its own.
    Sentinels,
    /// A Redis Cluster of its own: three masters, three replicas.
    Cluster,
}

/// Where a fault proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Before Redis.
    Redis,
    /// Before Postgres.
    Postgres,
}

impl Needs {
    /// Nothing in particular.
    pub const ANY: Self = Self { store: StoreNeed::Any, own_postgres: false, proxies: &[] };
}

/// Every nemesis, in the order in which `all` runs them.
pub static ALL: [&Nemesis; 24] = [
    &processes::NONE,
    &processes::KILL_WRITERS,
    &processes::KILL_READERS,
    &processes::FREEZE,
    &processes::CANCEL,
    &processes::DEPLOY,
    &network::CLIENT_KILL,
    &network::SLOW,
    &network::CUT,
    &network::HALF_OPEN,
    &redis::FREEZE_REDIS,
    &redis::RESTART_KEEP,
    &redis::RESTART_EMPTY,
    &redis::FLUSH,
    &redis::EVICT,
    &postgres::PG_CUT,
    &postgres::PG_RESTART,
    &postgres::STUCK_COMMIT,
    &storm::STORM,
    &sentinel::SENTINEL_FAILOVER,
    &sentinel::SENTINEL_SWITCH,
    &cluster::CLUSTER_MIGRATE,
    &cluster::CLUSTER_STUCK,
    &cluster::CLUSTER_FAILOVER,
];

/// No fault.
pub static NONE: &Nemesis = &processes::NONE;

/// The one that a run has unless another is named.
pub static DEFAULT: &Nemesis = &processes::KILL_WRITERS;

/// The nemeses of a comma list; `all` stands for every one.
///
/// # Errors
/// A sentence that names what is unknown and lists what is known.
pub fn parse(list: &str) -> Result<Vec<&'static Nemesis>, String> {
    let mut chosen = Vec::new();
    for name in list.split(',').map(str::trim) {
        if name == "all" {
            chosen.extend(ALL);
            continue;
        }
        let known = ALL.into_iter().find(|nemesis| nemesis.name == name);
        chosen.push(known.ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|nemesis| nemesis.name).collect();
            format!("no nemesis `{name}`; there are {} and `all`", names.join(", "))
        })?);
    }
    Ok(chosen)
}

impl Nemesis {
    /// What must hold under it, when this percentage of the writes dies as well.
    #[must_use]
    pub fn terms(&self, crash: f64) -> Terms {
        let all = self.loses == Loses::Nothing;
        Terms { returned: true, visible: all, monotonic: all, at_rest: all || crash == 0.0 }
    }
}

/// Which promises a run is judged by; the others are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// A.
    pub returned: bool,
    /// B.
    pub visible: bool,
    /// C.
    pub monotonic: bool,
    /// D.
    pub at_rest: bool,
}

impl Terms {
    /// Whether a promise holds.
    #[must_use]
    pub fn holds(self, promise: Promise) -> bool {
        match promise {
            Promise::A => self.returned,
            Promise::B => self.visible,
            Promise::C => self.monotonic,
            Promise::D => self.at_rest,
        }
    }
}

impl fmt::Debug for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Names are unique.
impl PartialEq for Nemesis {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_each_is_explained_in_a_line() {
        for (place, nemesis) in ALL.iter().enumerate() {
            assert!(ALL[..place].iter().all(|other| other.name != nemesis.name), "{}", nemesis.name);
            assert!(!nemesis.does.is_empty() && !nemesis.does.contains('\n'), "{}", nemesis.name);
            assert_eq!(parse(nemesis.name), Ok(vec![*nemesis]));
        }
    }

    #[test]
    fn a_list_is_read_in_its_order_and_all_is_everything() {
        let names = |list| parse(list).map(|found| found.iter().map(|one| one.name).collect::<Vec<_>>());
        assert_eq!(names("flush, none"), Ok(vec!["flush", "none"]));
        assert_eq!(parse("all").map(|all| all.len()), Ok(ALL.len()));
        let mistake = names("flush,flsh").unwrap_err();
        assert!(mistake.starts_with("no nemesis `flsh`; there are none, kill-writers, "), "{mistake}");
        assert!(mistake.ends_with(" and `all`") && !mistake.contains('\n'), "{mistake}");
        assert!(names("").is_err());
    }

    #[test]
    fn only_a_lost_fence_excuses_and_only_a_dead_writer_beside_it_excuses_what_stays() {
        let all = Terms { returned: true, visible: true, monotonic: true, at_rest: true };
        assert_eq!(NONE.terms(0.0), all);
        assert_eq!(DEFAULT.terms(2.0), all);
        let lost = parse("flush").unwrap()[0];
        let excused = Terms { visible: false, monotonic: false, ..all };
        assert_eq!(lost.terms(0.0), excused);
        assert_eq!(lost.terms(0.1), Terms { at_rest: false, ..excused });
    }

    #[test]
    fn exactly_the_faults_that_lose_acknowledged_data_excuse_anything() {
        let lossy = |what| {
            let names = ALL.iter().filter(move |one| one.loses == what).map(|one| one.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(
            lossy(Loses::Fences),
            ["restart-empty", "flush", "evict", "sentinel-failover", "sentinel-switch", "cluster-failover"]
        );
    }
}
