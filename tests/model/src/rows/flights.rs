//! Readers of one process share their loads. A FILL and its answer are two steps, so there is a moment when the store has
//! accepted a value, a write drops it again, and the leader does not know yet.

use super::fenced;
use crate::promise::Promise::{A, B, C};
use crate::protocol::Step::{Begin, Commit, Invalidate, Return};
use crate::protocol::{Epochs, Failover, Faults, Filling, JoinRule, Protocol, Sharing};
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    let whole = Sharing::Rule(JoinRule::WHOLE);
    let unsealed = Sharing::Rule(JoinRule { seals: false, ..JoinRule::WHOLE });
    let leased = || Protocol::new(Filling::Leased, &[Begin, Commit, Invalidate, Return]);
    let dying = Faults { crashes: 1, ..Faults::default() };
    let rough = Faults { leases_lapse: true, reads_dropped: true, ..dying };
    let stamped =
        || fenced().epochs(Epochs::Stamped).faults(Faults { failover: Failover::Lossy, ..Faults::default() });
    vec![
        Row::new(
            "14",
            "leases, plain single-flight",
            leased().sharing(Sharing::Anyone),
            "a reader joins a load that began before a write which has returned meanwhile; with reads that never end C breaks too",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "15",
            "leases, a joiner takes the value if its fill was accepted",
            leased().sharing(unsealed),
            "it joins between the FILL and its answer; while these were one step, A and C held here",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "15b",
            "the same, sealed before the FILL",
            leased().sharing(whole),
            "the join rule adds nothing to what leases alone break (row 16)",
        )
        .breaks(&[B, C]),
        Row::new(
            "27",
            "fences, plain single-flight",
            fenced().sharing(Sharing::Anyone).faults(dying),
            "as row 14: fences do not help who never asks the store; with reads that never end C breaks too",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "28",
            "fences, a joiner takes the value if its fill was accepted (and X1)",
            fenced().sharing(unsealed).faults(dying),
            "as row 15; it counted as ok while FILL and answer were one step, which X1 showed to be wrong",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "X2",
            "**the join rule**: sealed before the FILL is sent",
            fenced().sharing(whole).one_more_elsewhere(),
            "a joiner takes only what was current at a moment after it arrived",
        ),
        Row::new(
            "X2c",
            "the same; the writer may die, leases lapse, reads be dropped, FILLs be late",
            fenced().sharing(whole).faults(rough),
            "a lost answer counts as refused, and a lost leader leaves no result",
        ),
        Row::new(
            "F4",
            "a FILL without an answer counts as accepted",
            fenced()
                .sharing(Sharing::Rule(JoinRule { needs_answer: false, ..JoinRule::WHOLE }))
                .faults(Faults { reads_dropped: true, ..dying }),
            "it was refused, or never arrived, and a joiner takes a value from before a write that has returned",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "F1",
            "an entry that a LEASE found goes to everybody who waits",
            fenced().sharing(Sharing::Rule(JoinRule { counts_asks: false, ..JoinRule::WHOLE })).one_more_elsewhere(),
            "somebody arrives after the LEASE was carried out, with a whole write in between (decision 5)",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "F2",
            "a fill counts as accepted in whatever epoch; failover that loses writes",
            stamped().sharing(Sharing::Rule(JoinRule { compares_epoch: false, ..JoinRule::WHOLE })),
            "the new master still has the lease and missed mark and clear: it accepts the old value, which joiners take",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "F3",
            "the same, accepted only in the epoch of the lease",
            stamped().sharing(whole),
            "as row 41: B and C fail while a lost fence's write is in flight, A does not",
        )
        .breaks(&[B, C]),
    ]
}
