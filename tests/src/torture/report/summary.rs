//! One table for many runs. Refuses to show a count without saying whether it was judged.

use std::fmt::Write;

use super::Outcome;
use crate::torture::options::{Level, Options, rule_name};

/// What is kept of each run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    rows: Vec<[String; COLUMNS.len()]>,
    reads: u64,
}

const COLUMNS: [&str; 9] = ["nemesis", "strikes", "reads", "writes", "A", "B", "C", "D", "judged by"];

impl Summary {
    /// Adds a run that could not be judged.
    pub fn add_failed(&mut self, round: &Options) {
        let mut row = ["-"; COLUMNS.len()].map(str::to_owned);
        row[0] = name(round);
        row[COLUMNS.len() - 1] = "nothing: see the error".to_owned();
        self.rows.push(row);
    }

    /// Adds a run.
    pub fn add(&mut self, outcome: &Outcome) {
        let name = name(&outcome.options);
        let is_judged = outcome.options.level == Level::Fresh && outcome.options.without.is_none();
        if is_judged {
            self.reads += outcome.verdict.reads;
        }
        let [a, b, c, d] = outcome.counts().map(|(promise, count)| {
            let is_excused = count > 0 && !outcome.must_hold(promise);
            let marked = is_excused && is_judged;
            format!("{}{}", grouped(count), if marked { " (reported)" } else { "" })
        });
        let judged = if is_judged { outcome.judged() } else { "a control".to_owned() };
        let counts = [outcome.strikes, outcome.verdict.reads, outcome.verdict.writes];
        let [strikes, reads, writes] = counts.map(grouped);
        self.rows.push([name, strikes, reads, writes, a, b, c, d, judged]);
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut widths = COLUMNS.map(str::len);
        for row in &self.rows {
            widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.len()));
        }
        let mut text = String::new();
        for row in [&COLUMNS.map(str::to_owned)].into_iter().chain(&self.rows) {
            let cells: Vec<_> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(text, "{}", cells.join("  ").trim_end()).expect("a string takes all text");
        }
        writeln!(text, "{} reads at `fresh`", grouped(self.reads)).expect("a string takes all text");
        text
    }

    /// For a manual.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!("| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
        for row in &self.rows {
            writeln!(text, "| {} |", row.join(" | ")).expect("a string takes all text");
        }
        writeln!(text, "\n{} reads at `fresh`.", grouped(self.reads)).expect("a string takes all text");
        text
    }
}

/// With a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn name(round: &Options) -> String {
    let nemesis = round.nemesis().name;
    match (round.level, round.without) {
        (Level::Fresh, None) => nemesis.to_owned(),
        (Level::Fresh, Some(rule)) => format!("{nemesis}, without {}", rule_name(rule)),
        (Level::Aside, _) => format!("plain cache-aside, {nemesis}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::{check::Verdict, fleet::Census, nemesis};

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn counts_that_were_not_judged_say_so_and_only_reads_of_the_cache_are_summed() {
        let outcome = |level, name| Outcome {
            options: Options { level, nemeses: nemesis::parse(name).unwrap(), ..Options::default() },
            verdict: Verdict { reads: 10, writes: 2, stale_after_visible: 3, ..Verdict::default() },
            census: Census::default(),
            strikes: 4,
            logs: None,
        };
        let mut summary = Summary::default();
        summary.add(&outcome(Level::Fresh, "flush"));
        summary.add(&outcome(Level::Fresh, "cut"));
        summary.add(&outcome(Level::Aside, "none"));
        assert_eq!(
            summary.to_markdown(),
            "| nemesis | strikes | reads | writes | A | B | C | D | judged by |\n\
             |---|---|---|---|---|---|---|---|---|\n\
             | flush | 4 | 10 | 2 | 0 | 3 (reported) | 0 | 0 | AD |\n\
             | cut | 4 | 10 | 2 | 0 | 3 | 0 | 0 | ABCD |\n\
             | plain cache-aside, none | 4 | 10 | 2 | 0 | 3 | 0 | 0 | a control |\n\n\
             20 reads at `fresh`.\n"
        );
        let text = summary.to_text();
        assert_eq!(text.lines().next().unwrap().split_whitespace().count(), 10);
        assert!(
            text.contains("flush                    4        10     2       0  3 (reported)  0  0  AD"),
            "{text}"
        );
    }
}
