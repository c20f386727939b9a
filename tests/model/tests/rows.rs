//! Every row keeps and breaks exactly the promises it states. One test a theme, so that they run side by side.

use cache_model::promise::{Promise, Verdicts};
use cache_model::row::Row;
use cache_model::rows::themes;

/// One thread a row: the tests themselves run in parallel.
const THREADS: usize = 1;

fn theme_is_as_stated(title: &str) {
    let theme = themes().into_iter().find(|theme| theme.title == title).expect("a theme of this title");
    let judged = theme.rows.iter().map(|row| row.judge(&row.check(THREADS)));
    let unexpected: Vec<_> = judged.filter_map(Result::err).map(|error| error.to_string()).collect();
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
}

macro_rules! themes {
    ($($name:ident = $title:literal;)*) => {
        $(#[test]
        fn $name() {
            theme_is_as_stated($title);
        })*

        #[test]
        fn no_theme_is_left_out() {
            let known: Vec<_> = themes().iter().map(|theme| theme.title).collect();
            assert_eq!(known, [$($title),*]);
        }
    };
}

themes! {
    naive_patterns_are_as_stated = "naive patterns";
    leases_are_as_stated = "leases";
    fences_are_as_stated = "fence";
    marks_without_an_answer_are_as_stated = "no answer to MARK";
    flights_are_as_stated = "flights";
    write_through_is_as_stated = "write-through";
    tags_are_as_stated = "tags";
    learned_tags_are_as_stated = "learned tags";
    nested_reads_are_as_stated = "nested reads";
    failover_is_as_stated = "failover";
    strict_is_as_stated = "strict";
    l1_is_as_stated = "L1";
}

fn row(name: &str) -> Row {
    themes()
        .into_iter()
        .flat_map(|theme| theme.rows)
        .find(|row| row.name == name)
        .expect("a row of this name")
}

#[test]
fn a_row_that_breaks_more_than_it_states_is_unexpected() {
    let cache_aside = Row { expected: Verdicts::FRESH, ..row("02") };
    let error = cache_aside.judge(&cache_aside.check(THREADS)).unwrap_err();
    let said = "row 02: expected A ok, B ok, C ok, D ok, but found A FAIL, B FAIL, C FAIL, D FAIL";
    assert_eq!(error.to_string(), said);
}

#[test]
fn a_row_that_breaks_less_than_it_states_is_unexpected() {
    let fenced = row("23").breaks(&[Promise::D]);
    let error = fenced.judge(&fenced.check(THREADS)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 23: expected A ok, B ok, C ok, D FAIL, but found A ok, B ok, C ok, D ok"
    );
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = themes().iter().flat_map(|theme| &theme.rows).map(|row| row.name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn a_counterexample_is_a_short_story_that_ends_with_the_old_value() {
    let story = row("02").counterexample(Promise::A).unwrap();
    assert!(story.last().unwrap().ends_with("returns v0"), "{story:#?}");
    assert!(story.iter().any(|step| step.contains("HGET on node 0 -> miss")), "{story:#?}");
    assert!(story.iter().any(|step| step.contains("writer 1: returns Ok")), "{story:#?}");
    assert!(story.len() < 20, "{story:#?}");
    assert_eq!(row("23").counterexample(Promise::A), None);
}
