//! `cargo xtask torture`; `--help` says what it does.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use cache_tests::torture::{
    self,
    instance::{self, ARGUMENT, Assignment},
    options::{self, HELP, Options, Request},
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
                print!("{HELP}");
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
    let mut status = ExitCode::SUCCESS;
    torture::run(options, |outcome| {
        let told = if options.json { outcome.to_json() } else { outcome.to_table() };
        // Whoever stopped listening still gets the exit status.
        let _ = writeln!(io::stdout(), "{told}");
        if let Some(fault) = outcome.fault() {
            status = ExitCode::from(BROKEN);
            eprintln!("error: {fault}");
            if outcome.options.level == options::Level::Fresh {
                eprint!("{}", outcome.violations());
                outcome.logs.iter().for_each(|logs| eprintln!("logs: {}", logs.display()));
            }
        }
    })
    .await?;
    Ok(status)
}
