//! `model`: checks the rows, all or by name. Refuses names that no row has.

use std::io::{self, Write};
use std::process::ExitCode;

use cache_model::check::Outcome;
use cache_model::report;
use cache_model::row::Row;
use cache_model::rows::{Theme, themes};

const HELP: &str = "\
Checks every row of the freshness model; fails if one differs from what it expects.

Usage: model [NAMES] [OPTIONS]

Arguments:
  NAMES       Only rows whose names begin so, separated by commas: 02,X1

Options:
  -v          Print how each broken promise is broken, step by step
  --markdown  Print the tables of the manual
  --help      Print this text

A read that begins after a write RETURNED sees it: A; after it was VISIBLE: B.
Reads are monotonic: C. Nothing stays stale once the system is quiet: D.
";

/// How many threads look at one row.
const THREADS: usize = 2;

#[derive(Default)]
struct Wanted {
    names: Vec<String>,
    verbose: bool,
    markdown: bool,
    help: bool,
}

fn main() -> ExitCode {
    match wanted(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wanted(arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    for argument in arguments {
        match argument.as_str() {
            "-v" => wanted.verbose = true,
            "--markdown" => wanted.markdown = true,
            "--help" | "-h" => wanted.help = true,
            option if option.starts_with('-') => {
                return Err(format!("no option `{option}`; `--help` lists them"));
            }
            names => wanted.names.extend(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned)),
        }
    }
    Ok(wanted)
}

fn run(wanted: Wanted) -> Result<(), String> {
    if wanted.help {
        print!("{HELP}");
        return Ok(());
    }
    let mut unexpected = Vec::new();
    for theme in chosen(&wanted.names)? {
        let outcomes = print(&wanted, &theme).map_err(|error| format!("cannot print: {error}"))?;
        let judged = theme.rows.iter().zip(&outcomes).map(|(row, outcome)| row.judge(outcome));
        unexpected.extend(judged.filter_map(Result::err).map(|error| error.to_string()));
    }
    if unexpected.is_empty() { Ok(()) } else { Err(unexpected.join("\nerror: ")) }
}

/// The rows of these names, by theme; all without names.
fn chosen(names: &[String]) -> Result<Vec<Theme>, String> {
    let mut themes = themes();
    let all: Vec<&str> = themes.iter().flat_map(|theme| &theme.rows).map(|row| row.name).collect();
    if let Some(wrong) = names.iter().find(|name| !all.iter().any(|row| row.starts_with(name.as_str()))) {
        return Err(format!("no row begins with `{wrong}`; there are {}", all.join(", ")));
    }
    let is_meant =
        |row: &Row| names.is_empty() || names.iter().any(|name| row.name.starts_with(name.as_str()));
    for theme in &mut themes {
        theme.rows.retain(is_meant);
    }
    themes.retain(|theme| !theme.rows.is_empty());
    Ok(themes)
}

fn print(wanted: &Wanted, theme: &Theme) -> io::Result<Vec<Outcome>> {
    let out = &mut io::stdout().lock();
    if wanted.markdown {
        let outcomes: Vec<_> = theme.rows.iter().map(|row| row.check(THREADS)).collect();
        report::markdown(out, theme, &outcomes)?;
        return Ok(outcomes);
    }
    report::heading(out, theme)?;
    let mut outcomes = Vec::new();
    for row in &theme.rows {
        let outcome = row.check(THREADS);
        report::line(out, row, &outcome)?;
        if wanted.verbose {
            report::counterexamples(out, row, outcome.verdicts)?;
        }
        out.flush()?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
