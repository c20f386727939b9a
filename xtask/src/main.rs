//! `cargo xtask`: one command for everything. Builds on the standard library alone, so that it is ready in seconds.

mod cargo;
mod ci;
mod layers;
mod servers;
mod sizes;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

const HELP: &str = "\
One command for everything in this workspace.

Usage: cargo xtask <COMMAND>

Commands:
  test [ARGS]        Run all tests, with a private Postgres and Redis. ARGS go to `cargo test`:
                       cargo xtask test -p cache-core freshness
                       cargo xtask test -- --nocapture
  ci                 All that a change must pass: fmt, layers, clippy, doc, test
  layers             Check who imports whom in cache-core, and that no source file is over 600 lines
  servers            Start Postgres and Redis, print their URLs as `export` lines, run until Ctrl-C
  torture [ARGS]     Readers and writers on hot keys over real servers while things go wrong; `torture --help` lists ARGS
  model [ARGS]       Check the freshness model, every row; `model --help` lists ARGS
  simulate [ARGS]    The real engine over a simulated store and database; `simulate --help` lists ARGS
  bench NAME [ARGS]  A benchmark; `bench --help` lists the names
  help               This text

Environment:
  DATABASE_URL       A Postgres server to use instead of a private one; its user may create databases
  REDIS_URL          A Redis server to use instead of a private one
  MYSQL_URL          A MySQL or MariaDB server to use instead of a private MariaDB, which the tests that need one start
                     themselves; its user may create databases and users

Servers that are missing are installed with the system's package manager (apt-get, dnf, apk, pacman
or brew) when this runs as root, with password-less sudo, or under brew; else you are told what to install.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    match command.as_str() {
        "test" => servers::test(rest),
        "torture" | "bench" => cargo::tool("cache-tests", command, rest),
        "model" => cargo::model(rest),
        "simulate" => cargo::tool("cache-simulation", command, rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        "ci" | "layers" | "servers" => match (command.as_str(), rest) {
            (_, [argument, ..]) if argument == "--help" || argument == "-h" => {
                print!("{HELP}");
                Ok(())
            }
            (_, [argument, ..]) => Err(format!("`{command}` takes no arguments, but was given `{argument}`")),
            ("ci", _) => ci::run(),
            ("layers", _) => layers::run(&root()),
            _ => servers::run(),
        },
        other => Err(format!("no command `{other}`; `cargo xtask help` lists them")),
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    let here =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().map_or(here.clone(), Path::to_owned)
}
