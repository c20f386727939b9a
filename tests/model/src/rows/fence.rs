//! Fences: set before the change can be seen, lifted after. The protocol that is built, and each of its parts taken out.

use super::{WRITE, fenced};
use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{Begin, Commit, Mark, Return, TryClear};
use crate::protocol::{Faults, Filling, Healing, Orphan, Protocol, Relay, Source, Step};
use crate::row::Row;

const NO_CLEAR: [Step; 4] = [Begin, Mark, Commit, Return];

pub(super) fn rows() -> Vec<Row> {
    let none = Faults::default();
    let dying = Faults { crashes: 1, ..none };
    let orphan =
        |orphan| Protocol::new(Filling::Fenced, &WRITE).healing(Healing::ByAge(orphan)).faults(dying);
    vec![
        Row::new(
            "19",
            "fills from a replica that lags",
            fenced().loading_from(Source::Replica),
            "the replica is behind when the fence is lifted",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "20",
            "fences expire by time, which may be early; the writer may die",
            Protocol::new(Filling::Fenced, &WRITE).healing(Healing::Expiry).faults(dying),
            "the fence expires before the COMMIT, the old value is filled, and nobody clears",
        )
        .breaks(&[B, C, D]),
        Row::new(
            "21",
            "**fence by transaction id**, 2 writers who may both die",
            fenced().writers(2).faults(Faults { crashes: 2, leases_lapse: true, leases_evicted: true, ..none }),
            "nobody fills and nobody is served from before the change can be seen until after it",
        ),
        Row::new(
            "22",
            "the same, 1 writer; entries may be evicted, reads dropped, FILLs late",
            fenced().faults(Faults {
                leases_lapse: true,
                leases_evicted: true,
                entries_evicted: true,
                reads_dropped: true,
                ..dying
            }),
            "losing an entry or a lease costs a load",
        ),
        Row::new(
            "23",
            "no CLEAR at all",
            Protocol::new(Filling::Fenced, &NO_CLEAR)
                .healing(Healing::ByTransaction)
                .faults(Faults { leases_lapse: true, leases_evicted: true, ..dying }),
            "while fences are not lost, readers who ask the database are enough",
        ),
        Row::new(
            "24",
            "fences may be lost",
            fenced().faults(Faults { fences_lost: true, ..none }),
            "the old value is filled while the write is in flight; the confirmed CLEAR drops it before the write returns",
        )
        .breaks(&[B, C]),
        Row::new(
            "25",
            "fences may be lost and the writer may die",
            fenced().faults(Faults { fences_lost: true, ..dying }),
            "nobody clears; the write never returned",
        )
        .breaks(&[B, C, D]),
        Row::new(
            "26",
            "the same with a relay of committed changes",
            fenced().relay(Relay::WhenVisible).faults(Faults { fences_lost: true, ..dying }),
            "the relay clears in its place",
        )
        .breaks(&[B, C]),
        Row::new(
            "X4",
            "fences may be lost, and the write returns although its CLEAR was not confirmed",
            Protocol::new(Filling::Fenced, &[Begin, Mark, Commit, TryClear, Return])
                .healing(Healing::ByTransaction)
                .faults(Faults { fences_lost: true, ..none }),
            "success is reported while the old value stands",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "60",
            "refresh ahead by plain SET, delete after the write",
            Protocol::new(Filling::Anyway, &[Begin, Commit, Step::Delete, Return]).refreshing(),
            "the refresh began before the write and stores after it",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "61",
            "refresh ahead under a lease and fences",
            fenced().refreshing().faults(dying),
            "a refresh is a fill like any other",
        ),
        Row::new(
            "V1",
            "a lapsed lease that nobody replaced still fills",
            fenced().faults(Faults { leases_lapse: true, reads_dropped: true, ..dying }),
            "a mark voids lapsed leases too, so a lease that is still there has met none (decision 3)",
        ),
        Row::new(
            "V2",
            "a fill whose lease is gone is accepted unless another one stands",
            Protocol::new(Filling::FencedUnlessReplaced, &WRITE)
                .healing(Healing::ByTransaction)
                .faults(Faults { leases_lapse: true, ..dying }),
            "the lease was voided by a mark, and the fill comes after the clear",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "O1",
            "a writer without transaction id; its statement is over when its fence is lifted by age",
            orphan(Orphan::IsOver),
            "age then says what the transaction id would say",
        ),
        Row::new(
            "O2",
            "the same, but the statement of a dead client still runs then",
            orphan(Orphan::MayStillRun),
            "the fence is lifted, the old value filled, and then the change becomes visible",
        )
        .breaks(&[B, C, D]),
        Row::new(
            "O3",
            "a transaction counts as finished when it is durable, though not yet visible",
            Protocol::new(Filling::Fenced, &WRITE).healing(Healing::ByDurability).faults(dying),
            "a reader lifts the fence and fills what it still sees: the old value",
        )
        .breaks(&[B, C, D]),
    ]
}
