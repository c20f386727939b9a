//! A node fails over and loses what was not replicated. Leases are kept by who holds them, as in the engine.

use super::fenced;
use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{Begin, Commit, Mark, Return, TryClear};
use crate::protocol::{Epochs, Failover, Faults, Filling, Healing, Protocol};
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    let lossy = Faults { failover: Failover::Lossy, ..Faults::default() };
    let split = Faults { failover: Failover::SplitBrain, ..Faults::default() };
    let unconfirmed = Protocol::new(Filling::Fenced, &[Begin, Mark, Commit, TryClear, Return]);
    vec![
        Row::new(
            "40",
            "the dataset is not compared",
            fenced().faults(lossy),
            "the new master still has the old entry, whose mark it missed",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "41",
            "entries are stamped with the epoch of their LEASE (and X14)",
            fenced().epochs(Epochs::Stamped).faults(lossy),
            "the fence is lost, so the old value can be filled anew until CLEAR, which the write waits for",
        )
        .breaks(&[B, C]),
        Row::new(
            "42",
            "the same, the writer may die",
            fenced().epochs(Epochs::Stamped).faults(Faults { crashes: 1, ..lossy }),
            "the fence is lost and nobody clears",
        )
        .breaks(&[B, C, D]),
        Row::new(
            "43",
            "two masters at once",
            fenced().epochs(Epochs::Stamped).faults(split),
            "a reader who stays with the old master is served by it",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "X3",
            "the write returns although its CLEAR was not confirmed",
            unconfirmed.healing(Healing::ByTransaction).epochs(Epochs::Stamped).faults(lossy),
            "the failover that loses the fence is what keeps CLEAR from being answered",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "X15",
            "entries are stamped with the epoch of their FILL",
            fenced().epochs(Epochs::StampedAtFill).faults(lossy),
            "the new master has the lease and missed the mark: it accepts the old value as its own",
        )
        .breaks(&[A, B, C, D]),
    ]
}
