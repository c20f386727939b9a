//! `strict`: the epoch is kept in the database. Not built yet; this is what it would rest on.

use super::WRITE;
use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{Begin, CheckEpoch, Clear, Commit, Mark, Return};
use crate::protocol::{Epochs, Failover, Faults, Filling, Healing, NewEpoch, Protocol, Step};
use crate::row::Row;

const CHECKED: [Step; 6] = [Begin, Mark, CheckEpoch, Commit, Clear, Return];
const PATIENT: NewEpoch = NewEpoch { compares_at_lease: true, awaits_readers: true, awaits_writers: true };

fn strict(steps: &[Step], rules: NewEpoch, failover: Failover) -> Protocol {
    Protocol::new(Filling::Fenced, steps)
        .healing(Healing::ByTransaction)
        .epochs(Epochs::Strict(rules))
        .faults(Faults { crashes: 1, failover, ..Faults::default() })
}

/// Nobody dies: enough to break, and to be looked through in a moment.
fn alive(protocol: Protocol) -> Protocol {
    let faults = Faults { crashes: 0, ..protocol.faults };
    protocol.faults(faults)
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "44",
            "two masters at once; the epoch is leased from the database (and 45)",
            strict(&CHECKED, PATIENT, Failover::SplitBrain),
            "a new epoch begins when nobody reads in the old one and no write counts on it",
        ),
        Row::new(
            "46",
            "the same, a failover without a second master",
            strict(&CHECKED, PATIENT, Failover::Lossy),
            "as row 44",
        ),
        Row::new(
            "46b",
            "the same, an entry that a LEASE finds is served without asking for the epoch again",
            strict(&CHECKED, NewEpoch { compares_at_lease: false, ..PATIENT }, Failover::Lossy),
            "the failover comes between HGET and LEASE; new, since a LEASE may now be answered with an entry",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "47",
            "the new epoch does not wait for readers",
            alive(strict(&CHECKED, NewEpoch { awaits_readers: false, ..PATIENT }, Failover::SplitBrain)),
            "a reader of the old epoch is served by the old master",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "48",
            "the new epoch does not wait for transactions that checked the old one",
            strict(&CHECKED, NewEpoch { awaits_writers: false, ..PATIENT }, Failover::SplitBrain),
            "the write commits with its fence in the old epoch only; with reads that never end C breaks too",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "49",
            "writers do not check the epoch",
            strict(&WRITE, PATIENT, Failover::SplitBrain),
            "as row 48, with the write that began before as well",
        )
        .breaks(&[A, B, C, D]),
    ]
}
