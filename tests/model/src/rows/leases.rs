//! Leases without fences: they stop late fills, but not what happens between COMMIT and the invalidation.

use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{Begin, Commit, Invalidate, Return};
use crate::protocol::{Faults, Filling, Protocol, Relay, Source, Step};
use crate::row::Row;

const AFTER: [Step; 4] = [Begin, Commit, Invalidate, Return];

fn leased() -> Protocol {
    Protocol::new(Filling::Leased, &AFTER)
}

pub(super) fn rows() -> Vec<Row> {
    let lapsing = Faults { leases_lapse: true, leases_evicted: true, ..Faults::default() };
    vec![
        Row::new(
            "10",
            "lease, invalidate after the write, 2 writers",
            leased().writers(2).faults(lapsing),
            "the old entry is served between COMMIT and the invalidation; with reads that never end C breaks too, \
             which two readers of one read each could not show",
        )
        .breaks(&[B, C]),
        Row::new(
            "11",
            "the same, the writer may die",
            leased().faults(Faults { crashes: 1, ..lapsing }),
            "it dies between COMMIT and the invalidation",
        )
        .breaks(&[B, C, D]),
        Row::new(
            "12",
            "the same with a relay of committed changes",
            leased().relay(Relay::WhenVisible).faults(Faults { crashes: 1, ..lapsing }),
            "the relay heals it, some time later",
        )
        .breaks(&[B, C]),
        Row::new(
            "13",
            "lease, invalidate before the write only",
            Protocol::new(Filling::Leased, &[Begin, Invalidate, Commit, Return]),
            "a new lease is granted between the invalidation and COMMIT",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "16",
            "lease, invalidate after the write, 1 writer",
            leased(),
            "the old entry is served between COMMIT and the invalidation",
        )
        .breaks(&[B, C]),
        Row::new(
            "17",
            "rebuild lock (SET NX), the value is SET without a look at the lock",
            Protocol::new(Filling::Locked, &AFTER),
            "the lock keeps others from loading, not an old value from being stored",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "18",
            "the lease is taken after the snapshot (a load inside a transaction)",
            leased().loading_from(Source::OlderSnapshot),
            "the lease is newer than the value",
        )
        .breaks(&[A, B, C, D]),
    ]
}
