//! The program itself: its help, its complaints, and that it stops when it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const VARIABLES: [&str; 8] = [
    "DATABASE_URL",
    "REDIS_URL",
    "CACHE",
    "CACHE_NAMESPACE",
    "PORT",
    "CONDUIT_HOST",
    "JWT_SECRET",
    "WARM_AT_START",
];

pub(crate) fn conduit() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conduit"));
    for name in VARIABLES {
        command.env_remove(name);
    }
    command
}

fn complaint(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn tell(child: &Child, signal: &str) {
    let told = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(told.success());
}

/// Starts an instance on a free port; returns it with its output and its address.
pub(crate) fn started(command: &mut Command) -> (Child, BufReader<ChildStdout>, String) {
    let mut child = command.env("PORT", "0").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let listens = line(&mut output);
    let address = listens.strip_prefix("conduit listens on http://").unwrap_or_else(|| panic!("{listens}"));
    let address = address.strip_suffix("/api").unwrap().to_owned();
    (child, output, address)
}

#[test]
fn help_names_every_variable() {
    let output = conduit().arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for name in VARIABLES {
        assert!(help.contains(&format!("env: {name}")), "{name}: {help}");
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let database_url = cache_test_support::fresh_database().unwrap();
    let redis_url = cache_test_support::redis_url().unwrap();
    for signal in ["TERM", "INT"] {
        let namespace = cache_test_support::unique_name("conduit");
        let (child, mut output, address) = started(
            conduit()
                .env("DATABASE_URL", &database_url)
                .env("REDIS_URL", &redis_url)
                .env("CACHE_NAMESPACE", &namespace),
        );
        let database = line(&mut output);
        assert!(
            database.starts_with("  database  PostgreSQL ") && !database.contains("private"),
            "{database}"
        );
        let cache = line(&mut output);
        assert!(cache.starts_with("  cache     Redis at ") && cache.ends_with(&namespace), "{cache}");
        for _ in 0..10 {
            assert_serves(&address);
        }
        let said = assert_stops(child, output, signal);
        let counted = said.lines().find(|line| line.starts_with("tags ")).unwrap_or_else(|| panic!("{said}"));
        assert!(counted.contains(" hits "), "{said}");
    }
}

#[test]
fn with_the_cache_off_it_needs_no_redis() {
    let database_url = cache_test_support::fresh_database().unwrap();
    let (child, mut output, address) = started(
        conduit()
            .env("DATABASE_URL", &database_url)
            .env("REDIS_URL", "redis://nowhere.invalid")
            .env("CACHE", "off"),
    );
    line(&mut output);
    assert_eq!(line(&mut output), "  cache     off");
    assert_serves(&address);
    assert_eq!(assert_stops(child, output, "TERM"), "conduit has stopped\n");
}

#[test]
fn without_servers_it_runs_its_own_and_takes_them_along() {
    // Set and empty is unset.
    let (child, mut output, address) = started(conduit().env("DATABASE_URL", "").env("REDIS_URL", ""));
    let (database, cache) = (line(&mut output), line(&mut output));
    assert!(database.contains("(private, gone when conduit stops"), "{database}");
    assert!(cache.contains("(private, gone when conduit stops"), "{cache}");
    let servers = [place(&database, '/'), place(&cache, ',')];
    for server in servers {
        assert!(TcpStream::connect(server).is_ok(), "{server}");
    }
    assert_serves(&address);
    assert_stops(child, output, "INT");
    for server in servers {
        assert!(TcpStream::connect(server).is_err(), "{server} outlived it");
    }
}

/// The address in a line of the banner.
fn place(line: &str, end: char) -> &str {
    let (_, rest) = line.split_once(" at ").unwrap();
    rest.split(end).next().unwrap()
}

fn assert_serves(address: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /api/tags HTTP/1.1\r\nhost: conduit\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(r#"{"tags":[]}"#), "{answer}");
}

/// Returns what it said after the banner.
fn assert_stops(mut child: Child, mut output: BufReader<ChildStdout>, signal: &str) -> String {
    tell(&child, signal);
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("conduit has stopped\n"), "{rest}");
    rest
}

#[test]
fn a_bad_database_redis_or_port_is_said_plainly() {
    let said = complaint(conduit().env("DATABASE_URL", "mysql://x").env("CACHE", "off").env("PORT", "0"));
    assert!(said.contains("conduit: DATABASE_URL is no Postgres URL"), "{said}");
    let named = |redis: &str, namespace: &str| {
        let mut command = conduit();
        command.env("DATABASE_URL", "postgres://127.0.0.1:1/x").env("PORT", "0");
        complaint(command.env("REDIS_URL", redis).env("CACHE_NAMESPACE", namespace))
    };
    let said = named("http://x", "conduit");
    assert!(said.contains("conduit: no cache: the Redis URL cannot be used"), "{said}");
    let said = named("redis://127.0.0.1:1", "Not A Name");
    assert!(said.contains("conduit: no cache: the namespace `Not A Name` cannot be used"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = complaint(conduit().env("PORT", &port));
    assert!(said.contains(&format!("conduit: cannot listen on 127.0.0.1:{port}")), "{said}");
}
