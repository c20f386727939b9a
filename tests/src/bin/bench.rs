//! `cargo xtask bench`; `--help` says what it does.

use std::{env, process::ExitCode};

use cache_tests::bench::{self, stampede};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some((stampede::ARGUMENT, rest)) =
        arguments.split_first().map(|(first, rest)| (first.as_str(), rest))
    {
        return match stampede::run_child(rest).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let options = match bench::parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", bench::HELP);
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            eprintln!("error: {mistake}");
            return ExitCode::FAILURE;
        }
    };
    match bench::run(&options).await {
        Ok(lines) if options.json => lines.iter().for_each(|line| println!("{}", line.to_json())),
        Ok(lines) => print!("{}", bench::table(&lines)),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
