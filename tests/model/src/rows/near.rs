//! An L1 in every instance, under a volume lease.

use super::fenced;
use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{AwaitNear, Begin, Clear, Commit, Invalidate, Mark, Return};
use crate::protocol::{Awaits, Faults, Filling, Healing, List, Near, Protocol, Renewal, Step};
use crate::row::Row;

const CAREFUL: Near = Near {
    compares_moves: true,
    flushes: true,
    renews_in_order: true,
    awaits: Awaits::All,
    renewal: Renewal::AtOnce,
};
const KEPT: List = List { comes_first: true, stays: true };
/// As it is built.
const LISTED: Near = Near { awaits: Awaits::Listed(KEPT), renewal: Renewal::FromQuestion, ..CAREFUL };
const UNHEARD: [Step; 5] = [Begin, Mark, Commit, Clear, Return];
const BEFORE_COMMIT: [Step; 6] = [Begin, Mark, AwaitNear, Commit, Clear, Return];
const BEFORE_RETURN: [Step; 6] = [Begin, Mark, Commit, Clear, AwaitNear, Return];

pub(super) fn rows() -> Vec<Row> {
    let none = Faults::default();
    let near = |steps: &[Step], near: Near, faults: Faults| {
        Protocol::new(Filling::Fenced, steps).healing(Healing::ByTransaction).near(near).faults(faults)
    };
    let dying = Faults { crashes: 1, ..none };
    vec![
        Row::new(
            "50",
            "invalidations are sent at the mark, nobody waits",
            fenced().near(CAREFUL),
            "the write returns before an L1 has heard of it",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "51",
            "the writer waits for every L1, or for its lease to end, before it returns",
            near(&BEFORE_RETURN, CAREFUL, dying),
            "an L1 serves the old value between COMMIT and return",
        )
        .breaks(&[B, C]),
        Row::new(
            "52",
            "the writer waits before COMMIT",
            near(&BEFORE_COMMIT, CAREFUL, dying),
            "nobody is served the old value any more when the new one can be seen",
        ),
        Row::new(
            "53",
            "as 52, insertions do not ask what was invalidated meanwhile",
            near(&BEFORE_COMMIT, Near { compares_moves: false, ..CAREFUL }, none),
            "a read puts its old value into the L1 after the invalidation was applied",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "54",
            "as 52, a cut connection does not flush",
            near(&BEFORE_COMMIT, Near { flushes: false, ..CAREFUL }, Faults { near_cut: true, ..none }),
            "the invalidation is lost with the connection, and the lease is renewed on the next",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "55",
            "as 52, a cut connection flushes; the writer may die",
            near(&BEFORE_COMMIT, CAREFUL, Faults { near_cut: true, ..dying }),
            "what may have missed an invalidation is gone",
        ),
        Row::new(
            "56",
            "leases without fences, the writer waits before it returns",
            Protocol::new(Filling::Leased, &[Begin, Commit, Invalidate, AwaitNear, Return]).near(CAREFUL),
            "as row 16",
        )
        .breaks(&[B, C]),
        Row::new(
            "57",
            "as 52, a renewal may overtake an invalidation",
            near(&BEFORE_COMMIT, Near { renews_in_order: false, ..CAREFUL }, none),
            "the lease ends, which the writer takes for an answer, and begins again before the invalidation arrives",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "58",
            "as 51 with a list of who reads the entry; leases count from their questions; one reader",
            alone(near(&BEFORE_RETURN, LISTED, Faults { near_cut: true, ..dying })),
            "as it is built: an L1 serves the old value between COMMIT and return, and never after",
        )
        .breaks(&[B, C]),
        Row::new(
            "59",
            "as 58, the writer waits before COMMIT",
            alone(near(&BEFORE_COMMIT, LISTED, Faults { near_cut: true, ..dying })),
            "what a level above `fresh` would be built on",
        ),
        Row::new(
            "58b",
            "as 58, nobody waits",
            alone(near(&UNHEARD, LISTED, none)),
            "plain pub/sub: the write returns before the message arrives",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "58c",
            "as 58, insertions do not ask what was invalidated meanwhile",
            alone(near(&BEFORE_RETURN, Near { compares_moves: false, ..LISTED }, none)),
            "as row 53",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "58d",
            "as 58, a reader comes onto the list when it keeps the value",
            alone(near(&BEFORE_RETURN, listed(List { comes_first: false, ..KEPT }), none)),
            "the mark finds nobody, and the value that was read before it is kept before the message arrives",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "58e",
            "as 58 with two writers, MARK takes off the list whom it tells",
            alone(near(&BEFORE_RETURN, Near { renewal: Renewal::AtOnce, ..listed(List { stays: false, ..KEPT }) }, none).writers(2)),
            "the second writer finds nobody, and the message of the first is still under way",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "58f",
            "as 58, a lease counts from the answer to its question",
            alone(near(&BEFORE_RETURN, Near { renewal: Renewal::FromAnswer, ..LISTED }, none)),
            "it was asked for before the mark, and begins when the writer has waited for its end",
        )
        .breaks(&[A, B, C]),
        Row::new(
            "58g",
            "as 58 with two writers",
            alone(near(&BEFORE_RETURN, Near { renewal: Renewal::AtOnce, ..LISTED }, none).writers(2)),
            "the second one waits for those whom the first has told",
        )
        .breaks(&[B, C]),
    ]
}

/// One reader, so that the worlds are not too many.
fn alone(mut protocol: Protocol) -> Protocol {
    protocol.readers.count = 1;
    protocol
}

fn listed(list: List) -> Near {
    Near { awaits: Awaits::Listed(list), ..LISTED }
}
