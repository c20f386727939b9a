//! Reads a command line.

use std::time::Duration;

use super::{Format, Level, Options, Request, rules};
use crate::torture::nemesis::{self, Nemesis};

/// Reads a command line.
///
/// # Errors
/// A sentence that says which argument is wrong, and what would be right.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Request, String> {
    let mut options = Options::default();
    let mut nemeses = None;
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
            "--json" => options.format = Format::Json,
            "--markdown" => options.format = Format::Markdown,
            "--keep" => options.keep = true,
            "--level" => options.level = level(&value()?)?,
            "--seconds" => options.time = Duration::from_secs(number(name, &value()?, 1..=86_400)?),
            "--instances" => options.instances = number(name, &value()?, 1..=64)?,
            "--nemesis" => nemeses = Some(nemesis::parse(&value()?)?),
            "--crash" => options.crash = Some(percent(name, &value()?)?),
            "--without" => options.without = Some(rules::parse(&value()?)?),
            "--l1" => options.l1 = number(name, &value()?, 0..=1_000_000)?,
            "--keys" => options.keys = number(name, &value()?, 1..=10_000)?,
            "--readers" => options.readers = number(name, &value()?, 1..=10_000)?,
            "--writers" => options.writers = number(name, &value()?, 0..=1_000)?,
            "--pause-ms" => options.pause = Duration::from_millis(number(name, &value()?, 0..=10_000)?),
            "--linger-ms" => options.linger = Duration::from_millis(number(name, &value()?, 0..=10_000)?),
            "--write-pause-ms" => {
                options.write_pause = Duration::from_millis(number(name, &value()?, 0..=10_000)?);
            }
            "--seed" => options.seed = number(name, &value()?, 0..=u64::MAX)?,
            _ => return Err(format!("no option `{argument}`; `--help` lists them")),
        }
    }
    options.nemeses = nemeses.unwrap_or_else(|| match options.crash {
        Some(0.0) => vec![nemesis::NONE],
        _ => options.nemeses,
    });
    let is_for_control = |nemesis: &&Nemesis| **nemesis == *nemesis::NONE || **nemesis == *nemesis::DEFAULT;
    if options.level == Level::Aside && !options.nemeses.iter().all(is_for_control) {
        return Err(format!(
            "`--level aside` is the control, and runs under `{}` and `{}` only",
            nemesis::NONE.name,
            nemesis::DEFAULT.name
        ));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Request, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_line_reads_back() {
        let Ok(Request::Run(options)) = line(
            "--level aside --seconds=7 --instances 2 --crash 2.5% --l1 11 --keys 3 --readers 4 --writers 5 --pause-ms 6 --linger-ms 8 \
             --write-pause-ms 7 --seed 9 --json --keep --nemesis none,kill-writers --without sealed-flights",
        ) else {
            panic!("it is a run")
        };
        assert_eq!((options.level, options.time.as_secs(), options.crash), (Level::Aside, 7, Some(2.5)));
        assert_eq!(options.l1, 11);
        assert_eq!((options.keys, options.readers, options.writers, options.seed), (3, 4, 5, 9));
        assert_eq!(parse(options.to_arguments()), Ok(Request::Run(options.clone())));
        assert_eq!(
            options.nemeses.iter().map(|nemesis| nemesis.name).collect::<Vec<_>>(),
            ["none", "kill-writers"]
        );
        assert_eq!(line(""), Ok(Request::Run(Options::default())));
        assert_eq!(line("--json --help"), Ok(Request::Help));
    }

    #[test]
    fn writers_die_by_default_only_where_nothing_else_was_asked_for() {
        for (text, name, crash) in [
            ("", "kill-writers", 2.0),
            ("--crash 5", "kill-writers", 5.0),
            ("--crash 0", "none", 0.0),
            ("--nemesis flush", "flush", 0.0),
            ("--nemesis flush --crash 1", "flush", 1.0),
        ] {
            let Ok(Request::Run(options)) = line(text) else { panic!("{text} is a run") };
            assert_eq!((options.nemesis().name, options.crash()), (name, crash), "{text}");
        }
    }

    #[test]
    fn the_help_names_every_nemesis() {
        let help = crate::torture::options::help();
        assert!(nemesis::ALL.iter().all(|one| help.contains(one.name) && help.contains(one.does)));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, told) in [
            ("--level strikt", "no level `strikt`; there are `fresh` and `aside`"),
            (
                "--level aside --nemesis flush",
                "`--level aside` is the control, and runs under `none` and `kill-writers` only",
            ),
            ("--nemesis", "`--nemesis` wants a value"),
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
