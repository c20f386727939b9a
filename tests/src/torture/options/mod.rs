//! What a run does, and how it is asked for on a command line. Refuses what it does not know.

mod help;
mod parse;
mod rules;

use std::time::Duration;

use cache_core::testkit::Rule;

pub use self::{help::help, parse::parse, rules::name as rule_name};
use super::nemesis::{self, Nemesis};

/// How the instances read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The cache.
    Fresh,
    /// Plain cache-aside, the control.
    Aside,
}

impl Level {
    const ALL: [Self; 2] = [Self::Fresh, Self::Aside];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Aside => "aside",
        }
    }
}

/// How an outcome is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tables for people.
    Text,
    /// One JSON object a line.
    Json,
    /// A table for a manual.
    Markdown,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How the instances read and write.
    pub level: Level,
    /// How long they do.
    pub time: Duration,
    /// Processes.
    pub instances: u8,
    /// What goes wrong, one after the other; never empty. An instance has one.
    pub nemeses: Vec<&'static Nemesis>,
    /// Percent of the writes that die between COMMIT and clear; `None`: what the nemesis says.
    pub crash: Option<f64>,
    /// Values that each instance keeps in its L1; 0 for none.
    pub l1: u32,
    /// A rule that the cache breaks: then a promise must be broken, or the run shows nothing.
    pub without: Option<Rule>,
    /// Hot keys.
    pub keys: u16,
    /// Readers an instance.
    pub readers: u16,
    /// Writers an instance.
    pub writers: u16,
    /// The longest pause between a loader's statement and the fill.
    pub pause: Duration,
    /// The longest pause of one write in four before COMMIT, and of one in four after it; one in forty takes up to ten of it.
    pub linger: Duration,
    /// The longest pause between two writes of one writer.
    pub write_pause: Duration,
    /// Start of all random choices.
    pub seed: u64,
    /// How the outcome is told.
    pub format: Format,
    /// Keep the logs.
    pub keep: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: Level::Fresh,
            time: Duration::from_secs(20),
            instances: 3,
            nemeses: vec![nemesis::DEFAULT],
            crash: None,
            l1: 0,
            without: None,
            keys: 8,
            readers: 48,
            writers: 2,
            pause: Duration::from_millis(3),
            linger: Duration::from_millis(30),
            write_pause: Duration::from_millis(100),
            seed: 0,
            format: Format::Text,
            keep: false,
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The help text.
    Help,
    /// A run.
    Run(Options),
}

impl Options {
    /// The first of what goes wrong.
    #[must_use]
    pub fn nemesis(&self) -> &'static Nemesis {
        self.nemeses.first().copied().unwrap_or(nemesis::NONE)
    }

    /// The same with one nemesis alone.
    #[must_use]
    pub fn under(&self, nemesis: &'static Nemesis) -> Self {
        Self { nemeses: vec![nemesis], ..self.clone() }
    }

    /// Percent of the writes that die between COMMIT and clear, under the first nemesis.
    #[must_use]
    pub fn crash(&self) -> f64 {
        self.crash.unwrap_or(self.nemesis().within.crash)
    }

    /// The command line that asks for this run; [`parse`] reads it back.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        add("--level", self.level.name().into());
        add("--seconds", self.time.as_secs().to_string());
        add("--instances", self.instances.to_string());
        let names: Vec<_> = self.nemeses.iter().map(|nemesis| nemesis.name).collect();
        add("--nemesis", names.join(","));
        if let Some(crash) = self.crash {
            add("--crash", crash.to_string());
        }
        if let Some(rule) = self.without {
            add("--without", rule_name(rule).to_owned());
        }
        add("--l1", self.l1.to_string());
        add("--keys", self.keys.to_string());
        add("--readers", self.readers.to_string());
        add("--writers", self.writers.to_string());
        add("--pause-ms", self.pause.as_millis().to_string());
        add("--linger-ms", self.linger.as_millis().to_string());
        add("--write-pause-ms", self.write_pause.as_millis().to_string());
        add("--seed", self.seed.to_string());
        arguments.extend(match self.format {
            Format::Text => None,
            Format::Json => Some("--json".to_owned()),
            Format::Markdown => Some("--markdown".to_owned()),
        });
        arguments.extend(self.keep.then(|| "--keep".to_owned()));
        arguments
    }
}
