//! The store does not answer to MARK. Elsewhere the write is refused; here it goes on.

use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{Begin, Clear, Commit, MarkOrOutbox, MarkOrProceed, Return, TryClear};
use crate::protocol::{Faults, Filling, Healing, Protocol, Relay, Step};
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    let fenced = |steps: &[Step]| Protocol::new(Filling::Fenced, steps).healing(Healing::ByTransaction);
    let outbox = || fenced(&[Begin, MarkOrOutbox, Commit, Clear, Return]).relay(Relay::Outbox);
    let dying = Faults { crashes: 1, ..Faults::default() };
    vec![
        Row::new(
            "P1",
            "`proceed`: commits without a fence, still waits for its CLEAR",
            fenced(&[Begin, MarkOrProceed, Commit, Clear, Return]),
            "the old entry is served after the COMMIT",
        )
        .breaks(&[B, C]),
        Row::new(
            "P2",
            "the same, the writer may die",
            fenced(&[Begin, MarkOrProceed, Commit, Clear, Return]).faults(dying),
            "there is no fence to heal and nobody who clears",
        )
        .breaks(&[B, C, D]),
        Row::new(
            "P3",
            "`proceed`, and the CLEAR is not waited for either",
            fenced(&[Begin, MarkOrProceed, Commit, TryClear, Return]),
            "the usual case when the store is away: nothing was invalidated",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "P4",
            "`outbox`: commits with a row that a relay works off; readers do not ask",
            outbox().faults(dying),
            "stale until the relay has reached the store",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "P5",
            "the same, and each read bypasses the store while the outbox has a row",
            outbox().asking_outbox().faults(dying),
            "the row becomes visible with the change, and goes when the old entry is gone",
        ),
    ]
}
