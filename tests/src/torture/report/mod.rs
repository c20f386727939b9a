//! What a run is told as: a table for people, an object for programs. Refuses to call a run proof in which nothing happened.

mod summary;
#[cfg(test)]
mod tests;

use std::{fmt::Write, path::PathBuf};

pub use self::summary::Summary;
use super::{
    check::{Promise, Verdict, Violation},
    event::{COORDINATOR, Event, Kind},
    fleet::Census,
    nemesis,
    options::{Level, Options, rule_name},
    round::{LEAST_OF_CONTROL, per_million, per_second},
};
use crate::json::Object;

/// A run and what was found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was asked for.
    pub options: Options,
    /// What was found.
    pub verdict: Verdict,
    /// What became of the processes.
    pub census: Census,
    /// How often the nemesis hit something.
    pub strikes: u64,
    /// Where the logs are, if they were kept.
    pub logs: Option<PathBuf>,
}

impl Outcome {
    /// What is wrong with it, if anything is: a promise that its level makes and broke; or that it proves nothing.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let Verdict { reads, writes, stale_after_return, .. } = self.verdict;
        if reads == 0 || (writes == 0 && self.options.writers > 0) {
            return Some(format!("{reads} reads and {writes} writes prove nothing"));
        }
        match self.options.level {
            Level::Fresh => self.fault_of_fresh(),
            Level::Aside if per_million(stale_after_return, reads) <= LEAST_OF_CONTROL => Some(format!(
                "the control has {:.0} stale reads per million after a write returned; up to {LEAST_OF_CONTROL:.0} \
                 means that the checker is broken, or that too little happened (try a longer --seconds or --pause-ms)",
                per_million(stale_after_return, reads)
            )),
            Level::Aside => None,
        }
    }

    fn fault_of_fresh(&self) -> Option<String> {
        let nemesis = self.options.nemesis();
        if let Some(rule) = self.options.without {
            // What is excused under this nemesis may break with the rule, too.
            let terms = nemesis.terms(self.options.crash());
            let is_found = self.counts().iter().any(|(promise, count)| *count > 0 && terms.holds(*promise));
            return (!is_found).then(|| {
                format!(
                    "without `{}` no promise was broken that holds under `{}`: too little happened, or the rule is for \
                     something else",
                    rule_name(rule),
                    nemesis.name
                )
            });
        }
        let Census { crashes, kills, .. } = self.census;
        let broken: Vec<_> = self
            .counts()
            .into_iter()
            .filter(|(promise, count)| *count > 0 && self.must_hold(*promise))
            .collect();
        if !broken.is_empty() {
            let told: Vec<_> =
                broken.iter().map(|(promise, count)| format!("{promise:?} {count} times")).collect();
            return Some(format!(
                "`fresh` broke {} under `{}`; the logs are kept",
                told.join(", "),
                nemesis.name
            ));
        }
        if self.strikes == 0 && nemesis != nemesis::NONE && self.options.writers > 0 {
            return Some(format!("`{}` never struck, so this run proves nothing", nemesis.name));
        }
        if self.options.crash() == 0.0 && crashes > kills {
            return Some(format!("{crashes} processes were killed, and only {kills} of them by the nemesis"));
        }
        None
    }

    /// How often each promise was broken.
    #[must_use]
    pub fn counts(&self) -> [(Promise, u64); 4] {
        let Verdict { stale_after_return, stale_after_visible, non_monotonic, stale_at_rest, .. } =
            self.verdict;
        [
            (Promise::A, stale_after_return),
            (Promise::B, stale_after_visible),
            (Promise::C, non_monotonic),
            (Promise::D, stale_at_rest),
        ]
    }

    /// Whether a promise is judged here. The others are reported only.
    #[must_use]
    pub fn must_hold(&self, promise: Promise) -> bool {
        let is_judged = self.options.level == Level::Fresh && self.options.without.is_none();
        // Until a write returns, others may serve the older value from their L1.
        let is_excused = self.options.l1 > 0 && matches!(promise, Promise::B | Promise::C);
        is_judged && !is_excused && self.options.nemesis().terms(self.options.crash()).holds(promise)
    }

    /// The promises that are judged here, as letters.
    #[must_use]
    pub fn judged(&self) -> String {
        self.counts()
            .iter()
            .filter(|(promise, _)| self.must_hold(*promise))
            .map(|(p, _)| format!("{p:?}"))
            .collect()
    }

    fn hit_share(&self) -> f64 {
        if self.verdict.reads == 0 { 0.0 } else { self.verdict.hits as f64 / self.verdict.reads as f64 }
    }

    /// One JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Self { options, verdict, census, .. } = self;
        let mut fields = Object::default();
        fields.text("level", options.level.name());
        fields.text("nemesis", options.nemesis().name);
        fields.text("without", options.without.map_or("", rule_name));
        fields.number("strikes", self.strikes);
        fields.text("judged", &self.judged());
        fields.number("seconds", options.time.as_secs());
        fields.number("instances", options.instances);
        fields.number("seed", options.seed);
        fields.number("reads", verdict.reads);
        fields.number("writes", verdict.writes);
        fields.number("crashes", census.crashes);
        fields.number("loads", verdict.loads);
        fields.number("stale_after_return", verdict.stale_after_return);
        fields.number("stale_after_visible", verdict.stale_after_visible);
        fields.number("non_monotonic", verdict.non_monotonic);
        fields.number("stale_at_rest", verdict.stale_at_rest);
        fields.number("rest_reads", verdict.rest_reads);
        fields.number("cancelled", census.cancelled);
        fields.number("read_errors", census.read_errors);
        fields.number("write_errors", census.write_errors);
        fields.number("reads_per_second", format!("{:.0}", per_second(verdict.reads, options.time)));
        fields.number("hit_share", format!("{:.4}", self.hit_share()));
        fields.number("slowest_read_ms", format!("{:.1}", verdict.slowest_read as f64 / 1e6));
        let stale = per_million(verdict.stale_after_return, verdict.reads);
        fields.number("stale_after_return_per_million", format!("{stale:.1}"));
        fields.text("verdict", if self.fault().is_none() { "as promised" } else { "fault" });
        fields.end()
    }

    /// One line, while others are still to come.
    #[must_use]
    pub fn to_line(&self) -> String {
        let Verdict { reads, writes, slowest_read, .. } = self.verdict;
        let counts: Vec<_> =
            self.counts().iter().map(|(promise, count)| format!("{promise:?} {count}")).collect();
        let Census { crashes, cancelled, read_errors, write_errors, example, .. } = &self.census;
        let example = example.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        format!(
            "{} strikes, {reads} reads, {writes} writes; {}; slowest read {:.0} ms; {crashes} killed, {cancelled} dropped, \
             {read_errors} reads and {write_errors} writes failed{example}",
            self.strikes,
            counts.join(", "),
            slowest_read as f64 / 1e6
        )
    }

    /// A table of two columns, with what is worth explaining below.
    #[must_use]
    pub fn to_table(&self) -> String {
        let Self { options, verdict, census, .. } = self;
        let mut table = String::new();
        let mut row = |name: &str, value: String| {
            writeln!(table, "{name:<22}{value}").expect("a string takes all text");
        };
        row("level", options.level.name().to_owned());
        row("nemesis", options.nemesis().name.to_owned());
        if let Some(rule) = options.without {
            row("without", rule_name(rule).to_owned());
        }
        row("strikes", self.strikes.to_string());
        row("instances, keys, seed", format!("{}, {}, {}", options.instances, options.keys, options.seed));
        let rate = per_second(verdict.reads, options.time);
        row(
            "reads",
            format!("{}  ({rate:.0} a second, {:.1} % hits)", verdict.reads, self.hit_share() * 100.0),
        );
        row("slowest read", format!("{:.1} ms", verdict.slowest_read as f64 / 1e6));
        row(
            "writes",
            format!("{}  ({:.0} a second)", verdict.writes, per_second(verdict.writes, options.time)),
        );
        row("crashes", census.crashes.to_string());
        row("loads", verdict.loads.to_string());
        for (name, count) in [
            ("stale_after_return", verdict.stale_after_return),
            ("stale_after_visible", verdict.stale_after_visible),
            ("non_monotonic", verdict.non_monotonic),
        ] {
            row(name, format!("{count}  ({:.0} per million)", per_million(count, verdict.reads)));
        }
        row("stale_at_rest", format!("{}  (of {})", verdict.stale_at_rest, verdict.rest_reads));
        if options.level == Level::Fresh {
            row("judged by", self.judged());
        }
        if census.read_errors + census.write_errors > 0 {
            let example = census.example.as_deref().unwrap_or_default();
            row("errors", format!("{} reads, {} writes: {example}", census.read_errors, census.write_errors));
        }
        if let Some(logs) = &self.logs {
            row("logs", logs.display().to_string());
        }
        table
    }

    /// The first violations, one a line, with what they came after.
    #[must_use]
    pub fn violations(&self) -> String {
        self.verdict.shown.iter().map(told).collect()
    }
}

fn told(violation: &Violation) -> String {
    let Violation { promise, read, after } = violation;
    let base = after.map_or(read.begin, |after| after.begin);
    let after = match (promise, after) {
        (Promise::D, _) | (_, None) => "on the quiet system".to_owned(),
        (_, Some(after)) => format!("after {}", seen(after, base)),
    };
    format!("{promise:?}: key {}: {} {after}\n", read.key, seen(read, base))
}

/// An event in words, its times in microseconds since `base`.
fn seen(event: &Event, base: u64) -> String {
    let micros = |time: u64| (time as f64 - base as f64) / 1e3;
    let what = match event.kind {
        Kind::Write => "a write of",
        Kind::Seen => "a look at the database that saw",
        Kind::Hit => "a hit on",
        Kind::Miss => "a load of",
        Kind::TagHit => "a hit by tag on",
        Kind::TagMiss => "a load by tag of",
        Kind::Rest => "a last read of",
    };
    let whose = match event.instance {
        COORDINATOR => "the observer".to_owned(),
        number => format!("instance {number}"),
    };
    let (begin, end) = (micros(event.begin), micros(event.end));
    format!("{what} version {} by {whose} ({begin:.1} to {end:.1} us)", event.version)
}
