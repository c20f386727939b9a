//! An L1 in every instance, under a volume lease. Not built yet; this is what it would rest on.

use super::fenced;
use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{AwaitNear, Begin, Clear, Commit, Invalidate, Mark, Return};
use crate::protocol::{Faults, Filling, Healing, Near, Protocol, Step};
use crate::row::Row;

const CAREFUL: Near = Near { compares_moves: true, flushes: true, renews_in_order: true };
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
    ]
}
