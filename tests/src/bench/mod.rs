//! Benchmarks against real servers. Refuses to compare figures of different runs: what is compared is measured in turns, so
//! that a busy machine is busy for both.

mod degrade;
mod figures;
mod writes;

use std::time::Duration;

pub use figures::Line;

/// The text of `bench --help`.
pub const HELP: &str = "\
Benchmarks against real servers; what is compared is measured in turns.

Usage: cargo xtask bench NAME [OPTIONS]

Names:
  degrade        Reads while Redis is up, killed and frozen, beside bare sqlx reads
                   target: a killed Redis adds under 5 ms to the 99th percentile
  writes         A transaction through PgTx with one subject, beside the bare transaction
                   target: at most 0.5 ms more at the median

Options:
  --seconds N    How long each case is measured: 5
  --json         One JSON object a line: bench, case, side, value, unit, ratio, target, met

Environment:
  DATABASE_URL   A Postgres server to use instead of a private one; its user may create databases
  REDIS_URL      A Redis server to use instead of a private one (`degrade` kills one of its own)
";

/// A benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Reads without Redis.
    Degrade,
    /// Writes.
    Writes,
}

/// What is to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The benchmark.
    pub name: Name,
    /// How long each case is measured.
    pub time: Duration,
    /// One JSON object a line.
    pub json: bool,
}

/// Reads a command line; `None` asks for help.
///
/// # Errors
/// A sentence that says which argument is wrong.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Options>, String> {
    let (mut name, mut time, mut json) = (None, Duration::from_secs(5), false);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--json" => json = true,
            "--seconds" => {
                let given = arguments.next().unwrap_or_default();
                let seconds = given.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
                time = seconds.map(Duration::from_secs).ok_or_else(|| {
                    format!("`--seconds` wants a whole number from 1 to 3600, not `{given}`")
                })?;
            }
            "degrade" => name = Some(Name::Degrade),
            "writes" => name = Some(Name::Writes),
            other if other.starts_with('-') => {
                return Err(format!("no option `{other}`; `--help` lists them"));
            }
            other => return Err(format!("no benchmark `{other}`; there are `degrade` and `writes`")),
        }
    }
    let name = name.ok_or("which benchmark? there are `degrade` and `writes`")?;
    Ok(Some(Options { name, time, json }))
}

/// Measures.
///
/// # Errors
/// A server that is not there or does not answer.
pub async fn run(options: &Options) -> Result<Vec<Line>, String> {
    match options.name {
        Name::Degrade => degrade::run(options.time).await,
        Name::Writes => writes::run(options.time).await,
    }
}

/// All lines as a table.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let head = format!("{:<18}{:<16}{:>11} {:<4}{:>8}  target\n", "case", "side", "value", "unit", "ratio");
    std::iter::once(head).chain(lines.iter().map(Line::to_row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Option<Options>, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_line_is_understood_or_its_mistake_named() {
        let wanted = Options { name: Name::Writes, time: Duration::from_secs(2), json: true };
        assert_eq!(line("writes --seconds 2 --json"), Ok(Some(wanted)));
        assert_eq!(line("degrade --help"), Ok(None));
        for (text, told) in [
            ("", "which benchmark? there are `degrade` and `writes`"),
            ("reads", "no benchmark `reads`; there are `degrade` and `writes`"),
            ("writes --second 2", "no option `--second`; `--help` lists them"),
            ("writes --seconds x", "`--seconds` wants a whole number from 1 to 3600, not `x`"),
        ] {
            assert_eq!(line(text), Err(told.to_owned()));
        }
    }
}
