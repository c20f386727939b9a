//! The program itself: its help, its complaints, and that it stops when it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

fn conduit() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conduit"));
    for name in ["DATABASE_URL", "REDIS_URL", "CACHE", "PORT", "CONDUIT_HOST", "JWT_SECRET"] {
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
fn started(command: &mut Command) -> (Child, BufReader<ChildStdout>, String) {
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
    for name in ["DATABASE_URL", "REDIS_URL", "CACHE", "PORT", "CONDUIT_HOST", "JWT_SECRET"] {
        assert!(help.contains(&format!("env: {name}")), "{name}: {help}");
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let database_url = cache_test_support::fresh_database().unwrap();
    for signal in ["TERM", "INT"] {
        let (child, mut output, address) = started(conduit().env("DATABASE_URL", &database_url));
        let database = line(&mut output);
        assert!(
            database.starts_with("  database  PostgreSQL ") && !database.contains("private"),
            "{database}"
        );
        assert_serves(&address);
        assert_stops(child, output, signal);
    }
}

#[test]
fn without_a_database_it_runs_its_own_and_takes_it_along() {
    // Set and empty is unset.
    let (child, mut output, address) = started(conduit().env("DATABASE_URL", ""));
    let database = line(&mut output);
    let (_, place) = database.split_once(" at ").unwrap();
    let (database_address, rest) = place.split_once('/').unwrap();
    assert!(rest.contains("(private, gone when conduit stops"), "{database}");
    assert!(TcpStream::connect(database_address).is_ok());
    assert_serves(&address);
    assert_stops(child, output, "INT");
    assert!(TcpStream::connect(database_address).is_err(), "its database outlived it");
}

fn assert_serves(address: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /api/tags HTTP/1.1\r\nhost: conduit\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(r#"{"tags":[]}"#), "{answer}");
}

fn assert_stops(mut child: Child, mut output: BufReader<ChildStdout>, signal: &str) {
    tell(&child, signal);
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("conduit has stopped\n"), "{rest}");
}

#[test]
fn a_bad_database_or_port_is_said_plainly() {
    let said = complaint(conduit().env("DATABASE_URL", "mysql://x").env("PORT", "0"));
    assert!(said.contains("conduit: DATABASE_URL is no Postgres URL"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = complaint(conduit().env("PORT", &port));
    assert!(said.contains(&format!("conduit: cannot listen on 127.0.0.1:{port}")), "{said}");
}
