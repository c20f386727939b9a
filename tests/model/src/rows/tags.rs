//! Tags: an entry lives as long as its tag's generation. The write marks the tag, not the entry.

use super::WRITE;
use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{Begin, Commit, Invalidate, Return};
use crate::protocol::{
    Epochs, Failover, Faults, Filling, Healing, JoinRule, Known, Lost, Protocol, Shard, Sharing, Step, Tag,
};
use crate::row::Row;

const BUILT: Tag = Tag {
    clear_rotates: true,
    known: Known::BeforeLoad,
    shard: Shard::Same,
    stamps_epoch: true,
    lost: Lost::MadeAnew,
};
const ONLY_LIFTS: Tag = Tag { clear_rotates: false, ..BUILT };
const ELSEWHERE: Tag = Tag { shard: Shard::Other, ..BUILT };
const FROM_VALUE: Tag = Tag { known: Known::FromValue, ..BUILT };

fn tagged(tag: Tag, steps: &[Step], faults: Faults) -> Protocol {
    Protocol::new(Filling::Tagged(tag), steps).healing(Healing::ByTransaction).faults(faults)
}

pub(super) fn rows() -> Vec<Row> {
    let none = Faults::default();
    let dying = Faults { crashes: 1, ..none };
    let failing = Faults { failover: Failover::Lossy, ..none };
    let losing = Faults { fences_lost: true, ..none };
    let evicting = Faults { entries_evicted: true, generations_lost: true, ..dying };
    let whole = Sharing::Rule(JoinRule::WHOLE);
    let uncompared = Sharing::Rule(JoinRule { compares_tags: false, ..JoinRule::WHOLE });
    let unsealed = Sharing::Rule(JoinRule { seals: false, ..JoinRule::WHOLE });
    vec![
        Row::new(
            "62",
            "generation and fence at the mark, compared at every hit; 2 writers",
            tagged(ONLY_LIFTS, &WRITE, dying).writers(2),
            "an entry from before the mark carries another generation, and none is stamped while the fence stands",
        ),
        Row::new("63", "the same, 1 writer", tagged(ONLY_LIFTS, &WRITE, dying), "as row 62"),
        Row::new(
            "64",
            "a new generation after the write only",
            tagged(BUILT, &[Begin, Commit, Invalidate, Return], none),
            "the old entry is served between COMMIT and the new generation",
        )
        .breaks(&[B, C]),
        Row::new(
            "65",
            "the same, the writer may die",
            tagged(BUILT, &[Begin, Commit, Invalidate, Return], dying),
            "it dies between COMMIT and the new generation",
        )
        .breaks(&[B, C, D]),
        Row::new(
            "X5",
            "flights, a joiner takes the value if its fill was accepted",
            tagged(ONLY_LIFTS, &WRITE, none).sharing(uncompared),
            "a write to the tag voids no lease, so the fill of an old value is accepted; with reads that never end C breaks too",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "X6b",
            "the same, and no generation may have moved; not sealed",
            tagged(ONLY_LIFTS, &WRITE, none).sharing(unsealed),
            "it joins after the generations were read again; with reads that never end C breaks too",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "X6",
            "the same, sealed (and X6c)",
            tagged(ONLY_LIFTS, &WRITE, none).sharing(whole),
            "unmoved after the seal means current after the joiner arrived; X6 alone held only while FILL and answer \
             were one step",
        ),
        Row::new(
            "X7",
            "fences may be lost, CLEAR only lifts",
            tagged(ONLY_LIFTS, &WRITE, losing),
            "an old value is stamped with the mark's own generation, which stays",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "X8",
            "fences may be lost, CLEAR sets a new generation",
            tagged(BUILT, &WRITE, losing),
            "whatever was stamped while the write was in flight dies with its CLEAR",
        )
        .breaks(&[B, C]),
        Row::new(
            "X9",
            "the tag's node fails over, the stamp is the bare generation",
            tagged(Tag { stamps_epoch: false, ..ELSEWHERE }, &WRITE, failing),
            "the new node brings back a generation from before the mark, and with it the old entry",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "X10",
            "the same, the stamp names the tag node's epoch",
            tagged(ELSEWHERE, &WRITE, failing),
            "as row 41",
        )
        .breaks(&[B, C]),
        Row::new(
            "Y1",
            "tags known from the value only: a sequence number read before the load; CLEAR only lifts",
            tagged(Tag { clear_rotates: false, ..FROM_VALUE }, &WRITE, none),
            "it is read after the mark and compared after the clear, with the COMMIT in between",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "Y2",
            "the same, CLEAR sets a new one too",
            tagged(FROM_VALUE, &WRITE, none),
            "a reader lifts the fence of the finished write, and the number is compared before the CLEAR",
        )
        .breaks(&[B, C]),
        Row::new(
            "Y3",
            "the same, the writer may die",
            tagged(FROM_VALUE, &WRITE, dying),
            "the reader's lifting changes no number, and no CLEAR comes",
        )
        .breaks(&[B, C, D]),
        Row::new(
            "T1",
            "flights, and entries and generations may be evicted; the writer may die, reads be dropped",
            tagged(BUILT, &WRITE, Faults { reads_dropped: true, ..evicting }).sharing(whole),
            "a lost generation becomes one that no entry carries",
        ),
        Row::new(
            "T2",
            "the same, a lost generation starts again from the first",
            tagged(Tag { lost: Lost::Restarted, ..BUILT }, &WRITE, evicting).sharing(whole),
            "an old entry lives again when its generation comes back",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "T3",
            "flights, evictions and a failover that loses writes",
            tagged(BUILT, &WRITE, Faults { failover: Failover::Lossy, ..evicting })
                .epochs(Epochs::Stamped)
                .sharing(whole),
            "as row 42: the lost fence and the dead writer, nothing more",
        )
        .breaks(&[B, C, D]),
        Row::new(
            "T4",
            "the same without a death",
            tagged(BUILT, &WRITE, Faults { failover: Failover::Lossy, crashes: 0, ..evicting })
                .epochs(Epochs::Stamped)
                .sharing(whole),
            "as row 41",
        )
        .breaks(&[B, C]),
        Row::new(
            "T5",
            "the same, joiners do not compare generations",
            tagged(BUILT, &WRITE, Faults { failover: Failover::Lossy, crashes: 0, ..evicting })
                .epochs(Epochs::Stamped)
                .sharing(uncompared),
            "as row X5",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "T6",
            "flights, and the tag's node fails over while the entry's does not; stamps name the tag node's epoch",
            tagged(ELSEWHERE, &WRITE, failing).sharing(whole),
            "as row X10: joiners compare epoch and generation of the tag",
        )
        .breaks(&[B, C]),
        Row::new(
            "T7",
            "the same, the stamp is the bare generation",
            tagged(Tag { stamps_epoch: false, ..ELSEWHERE }, &WRITE, failing).sharing(whole),
            "as row X9",
        )
        .breaks(&[A, B, C, D]),
    ]
}
