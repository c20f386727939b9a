//! What everybody does. No row here keeps A.

use crate::promise::Promise::{A, B, C, D};
use crate::protocol::Step::{Begin, Commit, Delete, Return, SetIfNewer, SetValue};
use crate::protocol::{Faults, Filling, Protocol, Relay};
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "01",
            "delete before the write",
            Protocol::new(Filling::Anyway, &[Delete, Begin, Commit, Return]),
            "a reader fills the old value between the delete and the COMMIT",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "02",
            "delete after the write (cache-aside)",
            Protocol::new(Filling::Anyway, &[Begin, Commit, Delete, Return]),
            "a reader loads before the COMMIT and fills after the delete",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "03",
            "set after the write, 2 writers",
            Protocol::new(Filling::Anyway, &[Begin, Commit, SetValue, Return]).writers(2),
            "the writers commit in one order and set in the other",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "04",
            "delayed double delete, returning after the second",
            Protocol::new(Filling::Anyway, &[Begin, Delete, Commit, Delete, Return]),
            "no delay is long enough: the fill comes after the second delete",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "05",
            "set if newer, no tombstone; entries may be evicted",
            Protocol::new(Filling::IfNewer, &[Begin, Commit, SetIfNewer, Return])
                .faults(Faults { entries_evicted: true, ..Faults::default() }),
            "the new value is evicted, and the old one has nothing to lose against",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "06",
            "change data capture deletes, no lease",
            Protocol::new(Filling::Anyway, &[Begin, Commit, Return]).relay(Relay::Early),
            "the write returns before its event arrives, and a fill comes after it",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "07",
            "change data capture and leases; an event may come before the change is visible",
            Protocol::new(Filling::Leased, &[Begin, Commit, Return]).relay(Relay::Early),
            "a reader loads between the event and visibility, with a lease that nothing voids",
        )
        .breaks(&[A, B, C, D]),
        Row::new(
            "08",
            "the same, an event is held back until the change is visible",
            Protocol::new(Filling::Leased, &[Begin, Commit, Return]).relay(Relay::WhenVisible),
            "heals in the end, but the write returns before its event arrives",
        )
        .breaks(&[A, B, C]),
    ]
}
