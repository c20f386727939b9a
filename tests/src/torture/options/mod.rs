//! What a run does, and how it is asked for on a command line. Refuses what it does not know.

use std::time::Duration;

/// The text of `torture --help`.
pub const HELP: &str = "\
Readers and writers on a few hot keys, over real Redis and Postgres, in several processes that are killed. Every read is
judged. Exit status 1 if a promise of the level was broken, 2 if nothing could be judged.

Usage: cargo xtask torture [OPTIONS]

Options:
  --level LEVEL      fresh (the default): the cache, all promises; a short run of `aside` follows as the control
                     aside: plain cache-aside (GET, load, SET; DEL after COMMIT), which breaks them all
  --seconds N        How long they read and write: 20
  --instances N      Processes: 3
  --crash PERCENT    Writes that die by SIGKILL between COMMIT and clear, with their whole process; a quarter as many
                     die after mark and before COMMIT: 2
  --keys N           Hot keys: 8
  --readers N        Readers an instance, shared out over the keys: 48
  --writers N        Writers an instance: 2
  --pause-ms N       A loader waits up to N ms between its statement and the fill, which widens the races: 3
  --write-pause-ms N A writer waits up to N ms between two writes: 100
  --seed N           Start of all random choices; 0, the default, picks one and prints it
  --json             One JSON object a line instead of a table
  --keep             Keep the logs of the events, and say where

Environment:
  DATABASE_URL       A Postgres server to use instead of a private one; its user may create databases
  REDIS_URL          A Redis server to use instead of a private one

Promises (counted in stale reads):
  stale_after_return   A: a read that began after a write had returned was older
  stale_after_visible  B: a read that began after somebody had seen a version in the database was older
  non_monotonic        C: a read that began after another one had ended was older
  stale_at_rest        D: a read of the quiet system, after all writes, was not what the database holds
";

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

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How the instances read and write.
    pub level: Level,
    /// How long they do.
    pub time: Duration,
    /// Processes.
    pub instances: u8,
    /// Percent of the writes that die between COMMIT and clear.
    pub crash: f64,
    /// Hot keys.
    pub keys: u16,
    /// Readers an instance.
    pub readers: u16,
    /// Writers an instance.
    pub writers: u16,
    /// The longest pause between a loader's statement and the fill.
    pub pause: Duration,
    /// The longest pause between two writes of one writer.
    pub write_pause: Duration,
    /// Start of all random choices.
    pub seed: u64,
    /// One JSON object a line.
    pub json: bool,
    /// Keep the logs.
    pub keep: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: Level::Fresh,
            time: Duration::from_secs(20),
            instances: 3,
            crash: 2.0,
            keys: 8,
            readers: 48,
            writers: 2,
            pause: Duration::from_millis(3),
            write_pause: Duration::from_millis(100),
            seed: 0,
            json: false,
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

/// Reads a command line.
///
/// # Errors
/// A sentence that says which argument is wrong, and what would be right.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Request, String> {
    let mut options = Options::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value =
            || attached.clone().or_else(|| arguments.next()).ok_or_else(|| format!("`{name}` wants a value"));
        match name {
            "--help" | "-h" => return Ok(Request::Help),
            "--json" => options.json = true,
            "--keep" => options.keep = true,
            "--level" => options.level = level(&value()?)?,
            "--seconds" => options.time = Duration::from_secs(number(name, &value()?, 1..=86_400)?),
            "--instances" => options.instances = number(name, &value()?, 1..=64)?,
            "--crash" => options.crash = percent(name, &value()?)?,
            "--keys" => options.keys = number(name, &value()?, 1..=10_000)?,
            "--readers" => options.readers = number(name, &value()?, 1..=10_000)?,
            "--writers" => options.writers = number(name, &value()?, 0..=1_000)?,
            "--pause-ms" => options.pause = Duration::from_millis(number(name, &value()?, 0..=10_000)?),
            "--write-pause-ms" => {
                options.write_pause = Duration::from_millis(number(name, &value()?, 0..=10_000)?);
            }
            "--seed" => options.seed = number(name, &value()?, 0..=u64::MAX)?,
            _ => return Err(format!("no option `{argument}`; `--help` lists them")),
        }
    }
    Ok(Request::Run(options))
}

fn level(text: &str) -> Result<Level, String> {
    Level::ALL.into_iter().find(|level| level.name() == text).ok_or_else(|| {
        let known: Vec<_> = Level::ALL.iter().map(|level| format!("`{}`", level.name())).collect();
        format!("no level `{text}`; there are {}", known.join(" and "))
    })
}

fn number<N>(name: &str, text: &str, range: std::ops::RangeInclusive<N>) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        format!("`{name}` wants a whole number from {} to {}, not `{text}`", range.start(), range.end())
    })
}

fn percent(name: &str, text: &str) -> Result<f64, String> {
    text.trim_end_matches('%')
        .parse()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| format!("`{name}` wants a percentage from 0 to 100, not `{text}`"))
}

impl Options {
    /// The command line that asks for this run; [`parse`] reads it back.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        add("--level", self.level.name().into());
        add("--seconds", self.time.as_secs().to_string());
        add("--instances", self.instances.to_string());
        add("--crash", self.crash.to_string());
        add("--keys", self.keys.to_string());
        add("--readers", self.readers.to_string());
        add("--writers", self.writers.to_string());
        add("--pause-ms", self.pause.as_millis().to_string());
        add("--write-pause-ms", self.write_pause.as_millis().to_string());
        add("--seed", self.seed.to_string());
        arguments.extend(self.json.then(|| "--json".to_owned()));
        arguments.extend(self.keep.then(|| "--keep".to_owned()));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Request, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_line_reads_back() {
        let Ok(Request::Run(options)) = line(
            "--level aside --seconds=7 --instances 2 --crash 2.5% --keys 3 --readers 4 --writers 5 --pause-ms 6 \
             --write-pause-ms 7 --seed 9 --json --keep",
        ) else {
            panic!("it is a run")
        };
        assert_eq!((options.level, options.time.as_secs(), options.crash), (Level::Aside, 7, 2.5));
        assert_eq!((options.keys, options.readers, options.writers, options.seed), (3, 4, 5, 9));
        assert_eq!(parse(options.to_arguments()), Ok(Request::Run(options)));
        assert_eq!(line(""), Ok(Request::Run(Options::default())));
        assert_eq!(line("--json --help"), Ok(Request::Help));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, told) in [
            ("--level strikt", "no level `strikt`; there are `fresh` and `aside`"),
            ("--level", "`--level` wants a value"),
            ("--seconds 0", "`--seconds` wants a whole number from 1 to 86400, not `0`"),
            ("--instances=-1", "`--instances` wants a whole number from 1 to 64, not `-1`"),
            ("--crash 101", "`--crash` wants a percentage from 0 to 100, not `101`"),
            ("--crash nan", "`--crash` wants a percentage from 0 to 100, not `nan`"),
            ("--levle fresh", "no option `--levle`; `--help` lists them"),
            ("fresh", "no option `fresh`; `--help` lists them"),
        ] {
            assert_eq!(line(text), Err(told.to_owned()));
        }
    }
}
