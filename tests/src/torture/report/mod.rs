//! What a run is told as: a table for people, an object for programs. Refuses to call a run proof in which nothing happened.

use std::{fmt::Write, path::PathBuf};

use super::{
    check::{Promise, Verdict, Violation},
    event::{COORDINATOR, Event, Kind},
    fleet::Census,
    options::{Level, Options},
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
            Level::Fresh if !self.verdict.is_clean() => {
                Some("`fresh` broke a promise; the logs are kept".to_owned())
            }
            Level::Aside if per_million(stale_after_return, reads) <= LEAST_OF_CONTROL => Some(format!(
                "the control has {:.0} stale reads per million after a write returned; up to {LEAST_OF_CONTROL:.0} \
                 means that the checker is broken, or that too little happened (try a longer --seconds or --pause-ms)",
                per_million(stale_after_return, reads)
            )),
            _ => None,
        }
    }

    fn nemesis(&self) -> String {
        match self.options.crash {
            0.0 => "none".to_owned(),
            percent => format!("kill -9 of {percent} % of the writes between commit and clear"),
        }
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
        fields.text("nemesis", &self.nemesis());
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

    /// A table of two columns, with what is worth explaining below.
    #[must_use]
    pub fn to_table(&self) -> String {
        let Self { options, verdict, census, .. } = self;
        let mut table = String::new();
        let mut row = |name: &str, value: String| {
            writeln!(table, "{name:<22}{value}").expect("a string takes all text");
        };
        row("level", options.level.name().to_owned());
        row("nemesis", self.nemesis());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::check::judge;

    fn outcome(level: Level, reads: u64, stale: u64) -> Outcome {
        let verdict = Verdict { reads, writes: 1, stale_after_return: stale, ..Verdict::default() };
        let options = Options { level, ..Options::default() };
        Outcome { options, verdict, census: Census::default(), logs: None }
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
        assert!(json.starts_with(r#"{"level":"fresh","nemesis":"kill -9"#) && json.ends_with('}'), "{json}");
        assert!(!json.contains('\n'));
        for field in [
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
        let event =
            |kind, begin, version| Event { begin, end: begin + 500, version, key: 4, instance: 1, kind };
        let events = vec![event(Kind::Write, 1_000, 7), event(Kind::Hit, 2_000, 6)];
        let verdict = judge(events, &[0; 5]);
        let outcome = Outcome { verdict, ..outcome(Level::Fresh, 1, 0) };
        assert_eq!(
            outcome.violations(),
            "A: key 4: a hit on version 6 by instance 1 (1.0 to 1.5 us) after a write of version 7 by instance 1 (0.0 to 0.5 us)\n"
        );
    }
}
