use super::*;

const WRITE: OpId = 1;
const READ: OpId = 2;

/// Row 0 holds v1 from the beginning; v2 becomes visible at 10.
fn facts(write: Write, read: Read) -> Facts {
    let visible = |version, op, at| Visible { row: 0, version, op, at };
    Facts {
        visible: vec![visible(1, 0, 0), visible(2, WRITE, 10)],
        reads: vec![read],
        writes: BTreeMap::from([(WRITE, write)]),
        ..Facts::default()
    }
}

fn read(begin: At, end: At, version: Version) -> Read {
    Read { op: READ, begin, end, seen: vec![(0, version)], at_rest: false, is_loaded: false, since: None }
}

fn broken(facts: &Facts) -> Vec<Promise> {
    let mut broken: Vec<_> = judge(facts).iter().map(|violation| violation.promise).collect();
    broken.sort_unstable();
    broken
}

const IN_FLIGHT: Write =
    Write { returned: None, lost: None, cleared: None, forsaken: false, is_uncovered: false };
const RETURNED: Write = Write { returned: Some(20), cleared: Some(19), ..IN_FLIGHT };
const LOST: Write = Write { lost: Some(5), ..IN_FLIGHT };
const UNCOVERED: Write = Write { returned: Some(20), is_uncovered: true, ..IN_FLIGHT };

#[test]
fn a_read_that_begins_after_the_return_must_show_the_write() {
    assert_eq!(broken(&facts(RETURNED, read(21, 30, 1))), [Promise::A, Promise::B]);
    assert_eq!(broken(&facts(RETURNED, read(21, 30, 2))), []);
}

#[test]
fn a_read_that_begins_before_the_change_is_visible_may_show_either() {
    assert_eq!(broken(&facts(RETURNED, read(9, 30, 1))), []);
    assert_eq!(broken(&facts(RETURNED, read(9, 30, 2))), []);
}

#[test]
fn a_read_that_begins_after_the_change_is_visible_must_show_it() {
    assert_eq!(broken(&facts(IN_FLIGHT, read(11, 15, 1))), [Promise::B]);
    let dead = Write { forsaken: true, ..IN_FLIGHT };
    assert_eq!(broken(&facts(dead, read(11, 15, 1))), [Promise::B], "a dead writer excuses nothing");
}

#[test]
fn a_lost_fence_excuses_until_the_clear_is_confirmed_and_never_after_the_return() {
    assert_eq!(broken(&facts(LOST, read(11, 15, 1))), []);
    let cleared = Write { cleared: Some(19), ..LOST };
    assert_eq!(broken(&facts(cleared, read(18, 30, 1))), [], "it began before");
    assert_eq!(broken(&facts(cleared, read(20, 30, 1))), [Promise::B]);
    let returned = Write { returned: Some(20), ..cleared };
    assert_eq!(broken(&facts(returned, read(21, 30, 1))), [Promise::A, Promise::B]);
    let late = Write { lost: Some(16), ..IN_FLIGHT };
    assert_eq!(broken(&facts(late, read(11, 15, 1))), [Promise::B], "it was lost after the read");
}

#[test]
fn a_read_must_not_be_older_than_an_earlier_one() {
    let mut facts = facts(IN_FLIGHT, read(13, 15, 1));
    facts.reads.push(read(11, 12, 2));
    assert_eq!(broken(&facts), [Promise::B, Promise::C]);
    facts.reads[1].end = 14;
    assert_eq!(broken(&facts), [Promise::B], "they overlap");
    facts.writes.insert(WRITE, LOST);
    facts.reads[1].end = 12;
    assert_eq!(broken(&facts), [], "a lost fence excuses both");
}

#[test]
fn at_rest_only_a_lost_fence_of_a_dead_writer_excuses() {
    let at_rest = Read { at_rest: true, ..read(40, 41, 1) };
    assert_eq!(broken(&facts(IN_FLIGHT, at_rest.clone())), [Promise::B, Promise::D]);
    assert_eq!(
        broken(&facts(LOST, at_rest.clone())),
        [Promise::D],
        "its writer lives, and has cleared by now"
    );
    assert_eq!(broken(&facts(Write { forsaken: true, ..LOST }, at_rest.clone())), []);
    assert_eq!(broken(&facts(Write { forsaken: true, ..IN_FLIGHT }, at_rest)), [Promise::B, Promise::D]);
}

#[test]
fn what_was_never_visible_must_not_be_read() {
    assert_eq!(broken(&facts(IN_FLIGHT, read(1, 9, 2))), [Promise::Real], "visible only later");
    assert_eq!(broken(&facts(IN_FLIGHT, read(1, 11, 2))), []);
    assert_eq!(broken(&facts(IN_FLIGHT, read(11, 12, 7))), [Promise::Real]);
}

#[test]
fn each_of_several_rows_is_judged() {
    let mut facts = facts(RETURNED, read(21, 30, 2));
    facts.visible.push(Visible { row: 1, version: 1, op: 0, at: 0 });
    facts.visible.push(Visible { row: 1, version: 2, op: WRITE, at: 10 });
    facts.reads[0].seen = vec![(0, 2), (1, 1)];
    let violations = judge(&facts);
    assert_eq!(violations.len(), 2);
    assert!(violations.iter().all(|violation| violation.row == 1 && violation.by == Some(WRITE)));
}

#[test]
fn what_was_loaded_before_a_clear_must_not_be_read_after_it() {
    let mut facts = facts(UNCOVERED, read(41, 50, 1));
    assert_eq!(broken(&facts), [], "nobody told the cache of it");
    facts.clears = vec![Clear { begin: 30, end: 40 }];
    assert_eq!(broken(&facts), [Promise::E]);
    facts.reads[0].begin = 39;
    assert_eq!(broken(&facts), [], "it began before the clear had returned");
    facts.reads[0].begin = 41;
    facts.clears = vec![Clear { begin: 9, end: 40 }];
    assert_eq!(broken(&facts), [], "the clear began before the change was visible");
    facts.clears = vec![Clear { begin: 30, end: 40 }];
    facts.reads[0].seen = vec![(0, 2)];
    assert_eq!(broken(&facts), []);
}

#[test]
fn a_covered_write_counts_beside_one_that_is_not() {
    let mut facts = facts(UNCOVERED, read(41, 50, 1));
    facts.visible.push(Visible { row: 0, version: 3, op: 3, at: 25 });
    facts.writes.insert(3, Write { returned: Some(28), ..RETURNED });
    assert_eq!(broken(&facts), [Promise::A, Promise::B]);
}

#[test]
fn what_is_to_be_loaded_shows_what_was_visible_when_it_was_asked_for() {
    let mut facts = facts(UNCOVERED, Read { is_loaded: true, ..read(11, 50, 1) });
    assert_eq!(broken(&facts), [Promise::F]);
    facts.reads[0].begin = 9;
    assert_eq!(broken(&facts), []);
}

#[test]
fn what_is_within_a_window_was_current_in_it() {
    let within = |since, begin, version| Read { since: Some(since), ..read(begin, 50, version) };
    assert_eq!(broken(&facts(RETURNED, within(10, 40, 1))), [], "invalidated when the window began");
    assert_eq!(broken(&facts(RETURNED, within(11, 40, 1))), [Promise::G]);
    assert_eq!(broken(&facts(RETURNED, within(11, 40, 2))), []);
    assert_eq!(broken(&facts(IN_FLIGHT, within(11, 40, 1))), [Promise::G], "visible is enough");
    assert_eq!(broken(&facts(UNCOVERED, within(11, 40, 1))), [], "nobody told the cache of it");
    assert_eq!(broken(&facts(IN_FLIGHT, within(1, 9, 2))), [], "returned when it was visible");
    assert_eq!(broken(&facts(IN_FLIGHT, within(11, 40, 7))), [Promise::Real]);
}

#[test]
fn a_lost_fence_excuses_a_window_that_begins_before_its_clear() {
    let within = |since| Read { since: Some(since), ..read(40, 50, 1) };
    let cleared = Write { cleared: Some(19), ..LOST };
    assert_eq!(broken(&facts(cleared, within(18))), []);
    assert_eq!(broken(&facts(cleared, within(20))), [Promise::G]);
    let returned = Write { returned: Some(20), cleared: Some(30), ..LOST };
    assert_eq!(broken(&facts(returned, within(20))), []);
    assert_eq!(broken(&facts(returned, within(21))), [Promise::G], "it had returned");
}

#[test]
fn a_window_excuses_nobody_else_and_nothing_but_covered_writes() {
    let old = Read { since: Some(1), ..read(41, 50, 1) };
    let mut facts = facts(RETURNED, old.clone());
    facts.reads.push(read(41, 50, 1));
    assert_eq!(broken(&facts), [Promise::A, Promise::B], "the plain read");
    facts.reads = vec![old];
    facts.clears = vec![Clear { begin: 30, end: 40 }];
    assert_eq!(broken(&facts), [Promise::E]);
}

#[test]
fn each_row_of_a_value_within_a_window_is_judged() {
    let mut facts = facts(RETURNED, Read { since: Some(21), ..read(40, 50, 2) });
    facts.visible.push(Visible { row: 1, version: 1, op: 0, at: 0 });
    facts.visible.push(Visible { row: 1, version: 2, op: WRITE, at: 10 });
    facts.reads[0].seen = vec![(0, 2), (1, 1)];
    assert_eq!(broken(&facts), [Promise::G]);
}

#[test]
fn a_window_begins_with_the_first_place_that_is_not_too_old() {
    // The places 1 to 5.
    let taken = [0, 3, 3, 9, 10].map(Duration::from_millis);
    let within = |window, at| within(&taken, Duration::from_millis(window), at);
    assert_eq!(within(7, 5), 2, "what happened just then counts");
    assert_eq!(within(6, 5), 4);
    assert_eq!(within(6, 4), 2);
    assert_eq!(within(0, 5), 5);
    assert_eq!(within(0, 3), 2, "places of one moment cannot be told apart");
    assert_eq!(within(11, 5), 1, "longer than the run");
}
