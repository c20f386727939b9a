//! What came out, for people: a line a row, counterexamples in numbered steps, the table of the manual. Refuses to judge.

use std::io::{self, Write};

use crate::check::Outcome;
use crate::promise::{Promise, Verdicts};
use crate::row::Row;
use crate::rows::Theme;

const TITLE: usize = 66;

/// The heading of a theme.
///
/// # Errors
/// Nobody takes the output.
pub fn heading(out: &mut impl Write, theme: &Theme) -> io::Result<()> {
    writeln!(out, "\n{}", theme.title)
}

/// One row: name, title, verdicts, states, seconds, and whether that was expected.
///
/// # Errors
/// Nobody takes the output.
pub fn line(out: &mut impl Write, row: &Row, outcome: &Outcome) -> io::Result<()> {
    let title = plain(row.title);
    let seconds = outcome.took.as_secs_f32();
    let judged = match row.judge(outcome) {
        Ok(()) => "as expected".to_owned(),
        Err(_) => format!("UNEXPECTED, should be {}", row.expected),
    };
    let (name, verdicts, states) = (row.name, outcome.verdicts, outcome.states);
    // A long title has a line of its own, so that the figures stay in columns.
    let (title, rest) =
        if title.chars().count() > TITLE { (title, format!("\n{:6}", "")) } else { (title, String::new()) };
    let width = if rest.is_empty() { TITLE } else { 0 };
    write!(out, "{name:<5} {title:<width$}{rest}")?;
    let indent = if rest.is_empty() { 0 } else { TITLE };
    writeln!(out, "{:indent$}  {verdicts:<30} {states:>9} states {seconds:>6.1} s  {judged}", "")
}

/// How each promise of a row is broken.
///
/// # Errors
/// Nobody takes the output.
pub fn counterexamples(out: &mut impl Write, row: &Row, verdicts: Verdicts) -> io::Result<()> {
    writeln!(out, "      {}", plain(row.why))?;
    for promise in Promise::ALL.into_iter().filter(|promise| !verdicts.holds(*promise)) {
        let Some(steps) = row.counterexample(promise) else { continue };
        writeln!(out, "\n      {} is broken: {}", promise.letter(), promise.broken())?;
        for (number, step) in steps.iter().enumerate() {
            writeln!(out, "      {:>3}. {step}", number + 1)?;
        }
    }
    writeln!(out)
}

/// The table of the manual, one theme.
///
/// # Errors
/// Nobody takes the output.
pub fn markdown(out: &mut impl Write, theme: &Theme, outcomes: &[Outcome]) -> io::Result<()> {
    writeln!(out, "\n**{}**\n", capitalised(theme.title))?;
    writeln!(out, "| row | protocol | A | B | C | D | why |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for (row, outcome) in theme.rows.iter().zip(outcomes) {
        let verdict = |promise| if outcome.verdicts.holds(promise) { "ok" } else { "FAIL" };
        let [a, b, c, d] = Promise::ALL.map(verdict);
        writeln!(out, "| {} | {} | {a} | {b} | {c} | {d} | {} |", row.name, row.title, row.why)?;
    }
    Ok(())
}

fn plain(text: &str) -> String {
    text.replace("**", "")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
