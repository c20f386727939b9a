//! `cargo xtask torture`; `--help` says what it does.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use cache_tests::torture::{
    self, News,
    instance::{self, ARGUMENT, Assignment},
    options::{self, Format, Level, Options, Request},
    report::{Outcome, Summary},
};

/// Broken promises.
const BROKEN: u8 = 1;
/// Nothing could be judged.
const UNJUDGED: u8 = 2;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((first, rest)) if first == ARGUMENT => match Assignment::parse(rest) {
            Some(assignment) => instance::run(assignment).await.map(|()| ExitCode::SUCCESS),
            None => Err(format!("`{ARGUMENT}` is for the tool itself")),
        },
        _ => match options::parse(arguments) {
            Ok(Request::Help) => {
                print!("{}", options::help());
                Ok(ExitCode::SUCCESS)
            }
            Ok(Request::Run(options)) => run(&options).await,
            Err(mistake) => Err(mistake),
        },
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(UNJUDGED)
    })
}

async fn run(options: &Options) -> Result<ExitCode, String> {
    let mut status = 0;
    let mut summary = Summary::default();
    // One nemesis is told in full; of many, only a table of them all.
    let in_full = options.nemeses.len() == 1 && options.format == Format::Text;
    torture::run(options, |news| match news {
        News::Begins(_, _, _) if in_full => {}
        News::Begins(place, of, round) => eprintln!("==> {place}/{of} {}", told(round)),
        News::Ended(outcome) => {
            summary.add(outcome);
            match options.format {
                Format::Json => print(&outcome.to_json()),
                _ if in_full => print(&outcome.to_table()),
                _ => eprintln!("    {}", outcome.to_line()),
            }
            if let Some(fault) = outcome.fault() {
                status = BROKEN;
                explain(outcome, &fault);
            }
        }
        News::Failed(round, error) => {
            summary.add_failed(round);
            // What is known to be broken is the worse news.
            status = if status == BROKEN { BROKEN } else { UNJUDGED };
            eprintln!("error: {}: {error}", round.nemesis().name);
        }
    })
    .await?;
    match options.format {
        Format::Text if !in_full => print(&summary.to_text()),
        Format::Markdown => print(&summary.to_markdown()),
        Format::Text | Format::Json => {}
    }
    Ok(ExitCode::from(status))
}

fn told(round: &Options) -> String {
    let (nemesis, seconds) = (round.nemesis(), round.time.as_secs());
    match round.level {
        Level::Fresh => format!("{}, {seconds} s: {} (seed {})", nemesis.name, nemesis.does, round.seed),
        Level::Aside => format!("plain cache-aside, {seconds} s: the control"),
    }
}

fn explain(outcome: &Outcome, fault: &str) {
    eprintln!("error: {fault}");
    if outcome.options.level == Level::Fresh {
        eprint!("{}", outcome.violations());
        outcome.logs.iter().for_each(|logs| eprintln!("logs: {}", logs.display()));
    }
}

/// Whoever stopped listening still gets the exit status.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
