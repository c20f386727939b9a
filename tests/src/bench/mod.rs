//! Benchmarks against real servers. Refuses to compare figures of different runs: what is compared is measured in turns, so
//! that a busy machine is busy for both.

mod backlog;
mod degrade;
mod figures;
mod l1;
mod l2;
mod sharers;
pub mod stampede;
mod tags;
mod writes;

use std::path::PathBuf;
use std::time::Duration;

pub use figures::Line;

/// The text of `bench --help`.
pub const HELP: &str = "\
Benchmarks against real servers; what is compared is measured in turns.

Usage: cargo xtask bench NAME [OPTIONS]

Names:
  backlog        1,000,000 writes are queued while the database is away
                   target: from 100,000 on the process grows by less than 16 MiB
  degrade        Reads while Redis is up, killed and frozen, beside bare sqlx reads
                   target: a killed Redis adds under 5 ms to the 99th percentile
  l1             A hit in the L1 through #[cached], beside a bare map of the same library; no server
                   target: at most twice the bare map
  l2             A hit in Redis through #[cached] beside a bare GET that is decoded, 1, 64 and 512 callers
                 target: 0.95 times the reads of bare GETs with 64 callers, 1.5 times with 512, and no worse a 99th percentile
  sharers        MARK and CLEAR of what nobody, one or all of 2, 10 and 50 instances keep in their L1, at the median
  stampede       Four processes read one hot key 1,000 times a second; 0.4 s loads, an expiry every 5 s
                   target: one load an expiry, and no read slower than a hit while a value stands
                   (`waited`: reads of 20 ms and more; `waited anyway`: those of them that came while a value stood;
                   `degraded`: Redis was silent for 50 ms, so they loaded without a lease: the machine was busy)
  tags           A tag of 1,000,000 entries is invalidated, beside one of 100
                   target: under 1 ms at the median
  writes         A row written by a bare UPDATE (`update`), a bare transaction (`begin`), #[invalidates], #[writes_through], and
                 #[writes_behind] over a journal in a folder (`file`) and in Redis (`redis`); a Postgres that syncs
                   target: write-through adds 0.5 ms at most at the median; write-behind makes 10 times the writes of
                   bare UPDATEs, in batches of 100, counted when the database has them
                   (`sql`: statements that Postgres ran for each write)

Options:
  --seconds N    How long each case is measured: 5; `stampede`: 30
  --svg FILE     `stampede`: a plot of its figures
  --json         One JSON object a line: bench, case, side, value, unit, ratio, target, met

Environment:
  DATABASE_URL   A Postgres server to use instead of a private one (`writes` starts one of its own); its user may create databases
  REDIS_URL      A Redis server to use instead of a private one (`degrade`, `l2`, `sharers`, `tags` and `writes` start one of their own)
";

/// A benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A queue without its database.
    Backlog,
    /// Reads without Redis.
    Degrade,
    /// Hits in the memory of the process.
    L1,
    /// Hits in Redis.
    L2,
    /// Writes of what others keep.
    Sharers,
    /// A hot key that expires.
    Stampede,
    /// Tags.
    Tags,
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
    /// Where a plot is to be written.
    pub svg: Option<PathBuf>,
}

/// Reads a command line; `None` asks for help.
///
/// # Errors
/// A sentence that says which argument is wrong.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Option<Options>, String> {
    let (mut name, mut time, mut json, mut svg) = (None, None, false, None);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--json" => json = true,
            "--seconds" => {
                let given = arguments.next().unwrap_or_default();
                let seconds = given.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
                time = Some(seconds.map(Duration::from_secs).ok_or_else(|| {
                    format!("`--seconds` wants a whole number from 1 to 3600, not `{given}`")
                })?);
            }
            "--svg" => svg = Some(arguments.next().ok_or("`--svg` wants the name of a file")?.into()),
            "backlog" => name = Some(Name::Backlog),
            "degrade" => name = Some(Name::Degrade),
            "l1" => name = Some(Name::L1),
            "l2" => name = Some(Name::L2),
            "sharers" => name = Some(Name::Sharers),
            "stampede" => name = Some(Name::Stampede),
            "tags" => name = Some(Name::Tags),
            "writes" => name = Some(Name::Writes),
            other if other.starts_with('-') => {
                return Err(format!("no option `{other}`; `--help` lists them"));
            }
            other => {
                return Err(format!(
                    "no benchmark `{other}`; there are `backlog`, `degrade`, `l1`, `l2`, `sharers`, `stampede`, `tags` and `writes`"
                ));
            }
        }
    }
    let name = name.ok_or(
        "which benchmark? there are `backlog`, `degrade`, `l1`, `l2`, `sharers`, `stampede`, `tags` and `writes`",
    )?;
    if svg.is_some() && name != Name::Stampede {
        return Err("`--svg` belongs to `stampede`".to_owned());
    }
    let usual = if name == Name::Stampede { stampede::TIME } else { Duration::from_secs(5) };
    Ok(Some(Options { name, time: time.unwrap_or(usual), json, svg }))
}

/// Measures.
///
/// # Errors
/// A server that is not there or does not answer.
pub async fn run(options: &Options) -> Result<Vec<Line>, String> {
    match options.name {
        Name::Backlog => backlog::run().await,
        Name::Degrade => degrade::run(options.time).await,
        Name::L1 => l1::run(options.time).await,
        Name::L2 => l2::run(options.time).await,
        Name::Sharers => sharers::run(options.time).await,
        Name::Stampede => stampede::run(options.time, options.svg.as_deref()).await,
        Name::Tags => tags::run(options.time).await,
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
        let wanted = Options { name: Name::Writes, time: Duration::from_secs(2), json: true, svg: None };
        assert_eq!(line("writes --seconds 2 --json"), Ok(Some(wanted)));
        let svg = Some("plot.svg".into());
        let wanted = Options { name: Name::Stampede, time: stampede::TIME, json: false, svg };
        assert_eq!(line("stampede --svg plot.svg"), Ok(Some(wanted)));
        assert_eq!(line("degrade --help"), Ok(None));
        for (text, told) in [
            (
                "",
                "which benchmark? there are `backlog`, `degrade`, `l1`, `l2`, `sharers`, `stampede`, `tags` and `writes`",
            ),
            (
                "reads",
                "no benchmark `reads`; there are `backlog`, `degrade`, `l1`, `l2`, `sharers`, `stampede`, `tags` and `writes`",
            ),
            ("stampede --svg", "`--svg` wants the name of a file"),
            ("writes --svg plot.svg", "`--svg` belongs to `stampede`"),
            ("writes --second 2", "no option `--second`; `--help` lists them"),
            ("writes --seconds x", "`--seconds` wants a whole number from 1 to 3600, not `x`"),
        ] {
            assert_eq!(line(text), Err(told.to_owned()));
        }
    }
}
