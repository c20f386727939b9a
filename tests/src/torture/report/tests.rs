use super::*;
use crate::torture::check::judge;

fn outcome(level: Level, reads: u64, stale: u64) -> Outcome {
    let verdict = Verdict { reads, writes: 1, stale_after_return: stale, ..Verdict::default() };
    let options = Options { level, ..Options::default() };
    Outcome { options, verdict, census: Census::default(), strikes: 1, logs: None }
}

fn under(names: &str, crash: Option<f64>, verdict: Verdict) -> Outcome {
    let nemeses = nemesis::parse(names).unwrap();
    let options = Options { nemeses, crash, ..Options::default() };
    let verdict = Verdict { reads: 100, writes: 1, ..verdict };
    Outcome { options, verdict, census: Census::default(), strikes: 1, logs: None }
}

#[test]
fn a_lost_fence_excuses_b_and_c_and_never_a() {
    let b = Verdict { stale_after_visible: 2, non_monotonic: 1, ..Verdict::default() };
    assert_eq!(under("flush", None, b.clone()).fault(), None);
    assert_eq!(under("flush", None, b.clone()).judged(), "AD");
    let fault = under("cut", None, b).fault().unwrap();
    assert!(fault.starts_with("`fresh` broke B 2 times, C 1 times under `cut`"), "{fault}");
    let a = Verdict { stale_after_return: 1, ..Verdict::default() };
    assert!(under("flush", Some(2.0), a).fault().is_some());
}

#[test]
fn what_stays_stale_is_excused_only_where_writers_died_too() {
    let d = Verdict { stale_at_rest: 1, ..Verdict::default() };
    assert!(under("flush", None, d.clone()).fault().is_some());
    assert_eq!(under("flush", Some(1.0), d.clone()).fault(), None);
    assert!(under("cut", Some(1.0), d).fault().is_some());
}

#[test]
fn a_nemesis_that_never_struck_proves_nothing() {
    let idle = |name| Outcome { strikes: 0, ..under(name, None, Verdict::default()) };
    assert_eq!(idle("flush").fault().unwrap(), "`flush` never struck, so this run proves nothing");
    assert_eq!(idle("none").fault(), None);
}

#[test]
fn without_a_rule_something_must_break() {
    let without = |outcome: Outcome| {
        let rule = Some(cache_core::testkit::Rule::ConfirmedClear);
        Outcome { options: Options { without: rule, ..outcome.options }, ..outcome }
    };
    let broken = Verdict { stale_after_return: 1, ..Verdict::default() };
    assert_eq!(without(under("flush", None, broken)).fault(), None);
    assert!(without(under("flush", None, Verdict::default())).fault().is_some());
    let excused = Verdict { stale_after_visible: 1, ..Verdict::default() };
    assert!(without(under("flush", None, excused.clone())).fault().is_some());
    assert_eq!(without(under("cut", None, excused)).fault(), None);
}

#[test]
fn a_death_that_nobody_planned_is_a_fault() {
    let died = |name, crashes, kills| {
        let census = Census { crashes, kills, ..Census::default() };
        Outcome { census, ..under(name, None, Verdict::default()) }.fault()
    };
    assert_eq!(died("kill-readers", 2, 2), None);
    assert_eq!(died("kill-writers", 2, 0), None);
    assert!(died("kill-readers", 3, 2).is_some());
}

#[test]
fn fresh_must_be_clean_and_the_control_must_not() {
    assert_eq!(outcome(Level::Fresh, 1_000_000, 0).fault(), None);
    assert!(outcome(Level::Fresh, 1_000_000, 1).fault().is_some());
    assert_eq!(outcome(Level::Aside, 1_000_000, 1_001).fault(), None);
    assert!(outcome(Level::Aside, 1_000_000, 1_000).fault().is_some());
    assert!(outcome(Level::Fresh, 0, 0).fault().is_some());
}

#[test]
fn json_is_one_line_with_the_promised_fields() {
    let json = outcome(Level::Fresh, 10, 0).to_json();
    assert!(
        json.starts_with(r#"{"level":"fresh","nemesis":"kill-writers""#) && json.ends_with('}'),
        "{json}"
    );
    assert!(!json.contains('\n'));
    for field in [
        "strikes",
        "reads",
        "writes",
        "crashes",
        "loads",
        "stale_after_return",
        "stale_after_visible",
        "non_monotonic",
        "stale_at_rest",
    ] {
        assert!(json.contains(&format!("\"{field}\":")), "{field} in {json}");
    }
}

#[test]
fn a_violation_is_told_with_what_it_came_after() {
    let event = |kind, begin, version| Event { begin, end: begin + 500, version, key: 4, instance: 1, kind };
    let events = vec![event(Kind::Write, 1_000, 7), event(Kind::Hit, 2_000, 6)];
    let verdict = judge(events, &[0; 5]);
    let outcome = Outcome { verdict, ..outcome(Level::Fresh, 1, 0) };
    assert_eq!(
        outcome.violations(),
        "A: key 4: a hit on version 6 by instance 1 (1.0 to 1.5 us) after a write of version 7 by instance 1 (0.0 to 0.5 us)\n"
    );
}
