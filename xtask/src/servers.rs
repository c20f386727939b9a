//! The commands that need servers.

use std::{env, thread, time::Instant};

use cache_test_support::{Error, database_url, redis_url};

use crate::cargo::{Cargo, say};

/// `cargo test` with one Postgres and one Redis for all test programs. The servers end with this process, however it ends.
pub(crate) fn test(arguments: &[String]) -> Result<(), String> {
    let (database, redis) = urls()?;
    Cargo::new(test_arguments(arguments)).env("DATABASE_URL", &database).env("REDIS_URL", &redis).run()
}

/// Starts both and waits for the end of this process.
pub(crate) fn run() -> Result<(), String> {
    let (database, redis) = urls()?;
    println!("export DATABASE_URL='{database}'");
    println!("export REDIS_URL='{redis}'");
    say("running; Ctrl-C stops them");
    loop {
        thread::park();
    }
}

/// Asks for both before it gives up, so that the user hears of everything that is missing at once.
fn urls() -> Result<(String, String), String> {
    let database = provided("Postgres", "DATABASE_URL", database_url);
    let redis = provided("Redis", "REDIS_URL", redis_url);
    match (database, redis) {
        (Ok(database), Ok(redis)) => Ok((database, redis)),
        (Err(one), Err(other)) => Err(format!("{one}\nerror: {other}")),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

fn provided(
    name: &str,
    variable: &str,
    url: impl FnOnce() -> Result<String, Error>,
) -> Result<String, String> {
    let is_given = env::var(variable).is_ok_and(|url| !url.is_empty());
    let begin = Instant::now();
    let url = url().map_err(|error| error.to_string())?;
    if is_given {
        say(&format!("{name}: the one in {variable}"));
    } else {
        say(&format!("{name}: {url}, private, started in {:.1} s", begin.elapsed().as_secs_f32()));
    }
    Ok(url)
}

/// All packages, unless some are named.
fn test_arguments(given: &[String]) -> Vec<&str> {
    let for_cargo = given.iter().map(String::as_str).take_while(|argument| *argument != "--");
    let names_packages = for_cargo.into_iter().any(|argument| {
        ["-p", "--package", "--manifest-path", "--workspace"]
            .iter()
            .any(|option| argument == *option || argument.starts_with(&format!("{option}=")))
            || (argument.starts_with("-p") && !argument.starts_with("--"))
    });
    let whole = if names_packages { None } else { Some("--workspace") };
    ["test"].into_iter().chain(whole).chain(given.iter().map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(given: &[&str]) -> String {
        let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
        test_arguments(&given).join(" ")
    }

    #[test]
    fn all_packages_are_tested_unless_some_are_named() {
        assert_eq!(line(&[]), "test --workspace");
        assert_eq!(line(&["freshness"]), "test --workspace freshness");
        assert_eq!(line(&["-p", "conduit"]), "test -p conduit");
        assert_eq!(line(&["--package=conduit"]), "test --package=conduit");
    }

    #[test]
    fn what_follows_two_dashes_is_for_the_tests() {
        assert_eq!(line(&["--", "--nocapture"]), "test --workspace -- --nocapture");
        assert_eq!(line(&["--", "-p"]), "test --workspace -- -p");
    }
}
