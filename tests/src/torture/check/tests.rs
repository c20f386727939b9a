use super::*;
use crate::torture::event::COORDINATOR;

fn event(kind: Kind, begin: u64, end: u64, version: u32) -> Event {
    Event { begin, end, version, key: 0, instance: 0, kind }
}

fn of(key: u16, event: Event) -> Event {
    Event { key, ..event }
}

/// A, B, C, D.
fn counts(events: &[Event], truth: u32) -> [u64; 4] {
    let verdict = judge(events.to_vec(), &[truth, truth]);
    [verdict.stale_after_return, verdict.stale_after_visible, verdict.non_monotonic, verdict.stale_at_rest]
}

#[test]
fn a_read_that_begins_after_a_write_returned_must_show_it() {
    let write = event(Kind::Write, 10, 20, 2);
    for kind in [Kind::Hit, Kind::Miss, Kind::TagHit, Kind::TagMiss] {
        assert_eq!(counts(&[write, event(kind, 21, 30, 1)], 2), [1, 0, 0, 0], "{kind:?}");
        assert_eq!(counts(&[write, event(kind, 21, 30, 2)], 2), [0; 4], "{kind:?}");
    }
}

#[test]
fn a_read_that_overlaps_a_write_may_show_either() {
    let write = event(Kind::Write, 10, 20, 2);
    assert_eq!(counts(&[write, event(Kind::Hit, 19, 40, 1)], 2), [0; 4]);
    assert_eq!(counts(&[write, event(Kind::Hit, 20, 40, 1)], 2), [0; 4], "the same nanosecond is not before");
}

#[test]
fn a_read_that_begins_after_anybody_saw_a_version_must_not_be_older() {
    for instance in [0, COORDINATOR] {
        let seen = Event { instance, ..event(Kind::Seen, 10, 20, 2) };
        assert_eq!(counts(&[seen, event(Kind::Hit, 21, 30, 1)], 2), [0, 1, 0, 0]);
        assert_eq!(counts(&[seen, event(Kind::Hit, 20, 30, 1)], 2), [0; 4]);
    }
}

#[test]
fn a_read_that_begins_after_another_ended_must_not_be_older() {
    let first = Event { instance: 1, ..event(Kind::TagHit, 10, 20, 2) };
    assert_eq!(counts(&[first, event(Kind::Hit, 21, 30, 1)], 2), [0, 0, 1, 0]);
    assert_eq!(counts(&[first, event(Kind::Hit, 20, 30, 1)], 2), [0; 4]);
}

#[test]
fn a_quiet_system_must_show_what_the_database_holds() {
    assert_eq!(counts(&[event(Kind::Rest, 10, 20, 1)], 2), [0, 0, 0, 1]);
    assert_eq!(counts(&[event(Kind::Rest, 10, 20, 3)], 2), [0, 0, 0, 1]);
    assert_eq!(counts(&[event(Kind::Rest, 10, 20, 2)], 2), [0; 4]);
    let of_a_key_nobody_made = of(7, event(Kind::Rest, 10, 20, 0));
    assert_eq!(counts(&[of_a_key_nobody_made], 0), [0, 0, 0, 1]);
}

#[test]
fn one_key_says_nothing_about_another() {
    let write = of(1, event(Kind::Write, 10, 20, 2));
    assert_eq!(counts(&[write, event(Kind::Hit, 21, 30, 1)], 2), [0; 4]);
}

#[test]
fn the_newest_witness_counts_even_when_an_older_one_ended_later() {
    let newer = event(Kind::Write, 10, 20, 3);
    let older = event(Kind::Write, 5, 25, 2);
    let read = event(Kind::Hit, 30, 40, 2);
    let verdict = judge(vec![older, newer, read], &[3]);
    assert_eq!(verdict.shown, [Violation { promise: Promise::A, read, after: Some(newer) }]);
}

#[test]
fn a_long_read_is_judged_by_when_it_began_and_accuses_by_when_it_ended() {
    let long = event(Kind::Miss, 0, 100, 2);
    let within = event(Kind::Hit, 50, 60, 1);
    let after = event(Kind::Hit, 101, 110, 1);
    assert_eq!(counts(&[long, within, after], 2), [0, 0, 1, 0]);
    let write = event(Kind::Write, 1, 2, 3);
    assert_eq!(counts(&[long, write], 3), [0; 4]);
}

#[test]
fn one_read_can_break_three_promises() {
    let events = [
        event(Kind::Write, 1, 2, 5),
        event(Kind::Seen, 1, 2, 5),
        event(Kind::Miss, 1, 2, 5),
        event(Kind::Hit, 3, 4, 4),
    ];
    assert_eq!(counts(&events, 5), [1, 1, 1, 0]);
}

#[test]
fn everything_is_counted() {
    let events = vec![
        event(Kind::Hit, 1, 2, 0),
        event(Kind::TagHit, 1, 2, 0),
        event(Kind::Miss, 0, 2, 0),
        event(Kind::TagMiss, 1, 2, 0),
        event(Kind::Write, 1, 2, 1),
        event(Kind::Seen, 1, 2, 0),
        Event { instance: COORDINATOR, ..event(Kind::Seen, 1, 2, 0) },
        event(Kind::Rest, 3, 4, 1),
    ];
    let wanted = Verdict {
        reads: 4,
        hits: 2,
        slowest_read: 2,
        writes: 1,
        loads: 1,
        rest_reads: 1,
        ..Verdict::default()
    };
    assert_eq!(judge(events, &[1]), wanted);
}

/// A correct history by construction: in each nanosecond step one key's version grows, then is read.
#[test]
fn many_correct_reads_are_clean_and_one_planted_violation_of_each_kind_is_found() {
    const KEYS: u16 = 16;
    let mut versions = [0_u32; KEYS as usize];
    let mut events = Vec::with_capacity(300_000);
    for step in 0..200_000_u64 {
        let key = u16::try_from(step % u64::from(KEYS)).unwrap();
        let version = &mut versions[usize::from(key)];
        let at = step * 10;
        if step % 7 == 0 {
            *version += 1;
            events.push(of(key, event(Kind::Write, at, at + 1, *version)));
            events.push(of(key, event(Kind::Seen, at, at + 1, *version)));
        }
        events.push(of(key, event(Kind::Hit, at + 2, at + 3 + step % 1000, *version)));
    }
    let end = 20_000_000;
    events.extend((0..KEYS).map(|key| of(key, event(Kind::Rest, end, end + 1, versions[usize::from(key)]))));
    let clean = judge(events.clone(), &versions);
    assert!(clean.is_clean(), "{:?}", clean.shown);
    assert_eq!((clean.reads, clean.rest_reads), (200_000, 16));

    events.push(of(3, event(Kind::Hit, end, end + 1, versions[3] - 1)));
    events.push(of(4, event(Kind::Rest, end, end + 1, versions[4] - 1)));
    let verdict = judge(events, &versions);
    let found = [
        verdict.stale_after_return,
        verdict.stale_after_visible,
        verdict.non_monotonic,
        verdict.stale_at_rest,
    ];
    assert_eq!(found, [1, 1, 1, 1]);
}

#[test]
fn violations_beyond_those_shown_are_counted() {
    let mut events = vec![event(Kind::Write, 1, 2, 1)];
    events.extend((0..50).map(|at| event(Kind::Hit, 10 + at, 11 + at, 0)));
    let verdict = judge(events, &[1]);
    assert_eq!((verdict.stale_after_return, verdict.shown.len()), (50, SHOWN));
    assert!(!verdict.is_clean());
}
