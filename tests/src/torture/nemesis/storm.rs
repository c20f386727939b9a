//! Many faults at the same time, none of which loses a fence: what each of them leaves behind meets the next.

use super::{
    Between, Deed, Loses, Needs, Nemesis, StoreNeed, Within,
    network::{calm, cut, half_open, slow},
    postgres::{pg_cut, stuck_commit, unstick},
    processes::{freeze, kill},
    redis::{freeze_redis, resume},
};

pub(super) static STORM: Nemesis = Nemesis {
    name: "storm",
    does: "kill-readers, freeze, slow, cut, half-open, freeze-redis, pg-cut and stuck-commit, all at the same time",
    needs: Needs {
        store: StoreNeed::Own(&[]),
        own_postgres: true,
        proxies: &[Between::Redis, Between::Postgres],
    },
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[
        Deed { every: 1000..=4000, strike: kill, heal: |_| Ok(()) },
        Deed { every: 500..=3000, strike: freeze, heal: |_| Ok(()) },
        Deed { every: 200..=2000, strike: slow, heal: calm },
        Deed { every: 200..=2000, strike: cut, heal: calm },
        Deed { every: 500..=4000, strike: half_open, heal: calm },
        Deed { every: 1000..=6000, strike: freeze_redis, heal: resume },
        Deed { every: 100..=1000, strike: pg_cut, heal: |_| Ok(()) },
        Deed { every: 1000..=5000, strike: stuck_commit, heal: unstick },
    ],
};
