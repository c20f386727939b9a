//! Write-through: the writer installs its value at CLEAR.

use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{Begin, ClearAndPut, Commit, Mark, Return};
use crate::protocol::{Epochs, Failover, Faults, Filling, Healing, Protocol, PutRule, Step};
use crate::row::Row;

const ALONE: PutRule = PutRule { alone: true, same_epoch: false };

fn through(steps: &[Step], faults: Faults) -> Protocol {
    Protocol::new(Filling::Fenced, steps).healing(Healing::ByTransaction).writers(2).faults(faults)
}

pub(super) fn rows() -> Vec<Row> {
    let none = Faults::default();
    let dying = Faults { crashes: 1, ..none };
    let failing = Faults { failover: Failover::Lossy, ..none };
    let before_lock = |rule| [Mark, Begin, Commit, ClearAndPut(rule), Return];
    let after_lock = |rule| [Begin, Mark, Commit, ClearAndPut(rule), Return];
    vec![
        Row::new(
            "30",
            "the value is installed at CLEAR, whoever else wrote",
            through(&before_lock(PutRule { alone: false, same_epoch: false }), dying),
            "two writers, and the older value is installed last",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "31",
            "installed only if no other fence stood since the mark",
            through(&before_lock(ALONE), dying),
            "alone from mark to clear means that the value is the newest",
        ),
        Row::new(
            "X11",
            "the same, marked while the row is locked",
            through(&after_lock(ALONE), none),
            "the order in which both are taken makes no difference",
        ),
        Row::new(
            "X12",
            "the same with a failover that loses writes",
            through(&after_lock(ALONE), failing).epochs(Epochs::Stamped),
            "the new master shows a writer alone who was not, and the value is stamped as new",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "X13",
            "the same, installed only in the epoch of the mark",
            through(&after_lock(PutRule { alone: true, same_epoch: true }), failing).epochs(Epochs::Stamped),
            "back to what a lost fence breaks (row 41); with reads that never end C breaks too",
        )
        .breaks(&[B, C]),
    ]
}
