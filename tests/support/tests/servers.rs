//! The servers' lives, seen from outside: only sockets, processes and folders are looked at.

#![allow(clippy::unwrap_used, reason = "this file is all tests; the lint knows only their functions")]

use std::{
    env,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cache_test_support::{
    MariaDb, Memcached, Postgres, Redis, database_url, fresh_database, mysql_url, redis_url, unique_name,
};

fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

fn say(address: SocketAddr, question: &str) -> std::io::Result<String> {
    say_within(PATIENCE, address, question)
}

fn say_within(patience: Duration, address: SocketAddr, question: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(question.as_bytes())?;
    let mut answer = [0; 512];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn is_alive(pid: u32) -> bool {
    // A zombie that nobody collects is dead for us.
    let state = Command::new("sh")
        .args(["-c", "kill -0 $1 2>/dev/null && ! grep -qs '^State:.Z' /proc/$1/status", "sh"])
        .arg(pid.to_string())
        .status();
    state.unwrap().success()
}

#[test]
fn redis_answers_stops_and_comes_back_empty_on_its_port() {
    let redis = Redis::start().unwrap();
    let address = redis.address();
    assert_eq!(say(address, "SET k v\r\n").unwrap(), "+OK\r\n");
    assert_eq!(say(address, "CONFIG GET save\r\n").unwrap(), "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");

    redis.stop();
    assert_eq!(redis.pid(), None);
    assert!(TcpStream::connect(address).is_err());

    redis.restart().unwrap();
    assert_eq!(redis.address(), address);
    assert_eq!(say(address, "GET k\r\n").unwrap(), "$-1\r\n");
}

#[test]
fn an_append_only_redis_keeps_its_data_over_a_restart() {
    let redis = Redis::options().args(["--appendonly", "yes", "--appendfsync", "always"]).start().unwrap();
    assert_eq!(say(redis.address(), "SET k v\r\n").unwrap(), "+OK\r\n");
    redis.kill();
    assert!(TcpStream::connect(redis.address()).is_err());
    redis.restart().unwrap();
    assert_eq!(say(redis.address(), "GET k\r\n").unwrap(), "$1\r\nv\r\n");
}

#[test]
fn a_paused_redis_takes_connections_and_says_nothing() {
    let redis = Redis::start().unwrap();
    redis.pause();
    let silence = say_within(Duration::from_millis(100), redis.address(), "PING\r\n").unwrap_err();
    assert!(matches!(silence.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
    redis.resume();
    assert_eq!(say(redis.address(), "PING\r\n").unwrap(), "+PONG\r\n");
}

#[test]
fn a_paused_server_can_be_stopped() {
    let redis = Redis::start().unwrap();
    redis.pause();
    redis.stop();
    assert_eq!(redis.pid(), None);
}

#[test]
fn a_dropped_server_is_gone() {
    let redis = Redis::start().unwrap();
    let (pid, address) = (redis.pid().unwrap(), redis.address());
    drop(redis);
    assert!(!is_alive(pid));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let error = Redis::options().args(["--no-such-option", "1"]).start().unwrap_err().to_string();
    assert!(error.contains("ended at once"), "{error}");
    assert!(error.to_lowercase().contains("bad directive"), "{error}");
}

#[test]
fn memcached_answers_and_comes_back() {
    let memcached = Memcached::start().unwrap();
    assert!(say(memcached.address(), "version\r\n").unwrap().starts_with("VERSION"));
    memcached.kill();
    assert!(TcpStream::connect(memcached.address()).is_err());
    memcached.restart().unwrap();
    assert!(say(memcached.address(), "version\r\n").unwrap().starts_with("VERSION"));
}

#[test]
fn mariadb_greets_stops_and_comes_back_on_its_port() {
    let mariadb = MariaDb::options().args(["--server-id=7"]).start().unwrap();
    let address = mariadb.address();
    let greets = || say(address, "").is_ok_and(|hello| hello.contains("MariaDB"));
    assert!(greets());
    mariadb.stop();
    assert_eq!(mariadb.pid(), None);
    assert!(TcpStream::connect(address).is_err());
    mariadb.restart().unwrap();
    mariadb.kill();
    assert!(TcpStream::connect(address).is_err());
    mariadb.restart().unwrap();
    assert!(greets());
    let error = MariaDb::options().args(["--no-such-option"]).start().unwrap_err().to_string();
    assert!(error.contains("ended at once") && error.contains("no-such-option"), "{error}");
}

#[test]
fn postgres_keeps_its_databases_over_a_stop_and_a_kill() {
    let postgres = Postgres::options().setting("max_connections", "30").start().unwrap();
    let first = postgres.fresh_database().unwrap();
    let second = postgres.fresh_database().unwrap();
    assert_ne!(first, second);
    let address = postgres.address();

    postgres.stop();
    assert!(TcpStream::connect(address).is_err());
    assert!(postgres.fresh_database().is_err());

    postgres.restart().unwrap();
    postgres.kill();
    assert!(TcpStream::connect(address).is_err());

    postgres.restart().unwrap();
    assert_eq!(postgres.address(), address);
    assert!(database_exists(&postgres, &first));
    assert!(!database_exists(&postgres, "postgres://127.0.0.1/cache_test_absent"));
}

/// Opens a session: the server refuses one for a database it does not have.
fn database_exists(postgres: &Postgres, url: &str) -> bool {
    let name = url.rsplit('/').next().unwrap();
    let parameters = format!("user\0postgres\0database\0{name}\0\0");
    let mut hello = u32::try_from(8 + parameters.len()).unwrap().to_be_bytes().to_vec();
    hello.extend([0, 3, 0, 0]);
    hello.extend(parameters.bytes());
    let mut stream = TcpStream::connect(postgres.address()).unwrap();
    stream.write_all(&hello).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = Vec::new();
    let mut buffer = [0; 1024];
    // `Z`, ready for query; or `E` with SQLSTATE 3D000, and the end.
    while !said.ends_with(b"Z\0\0\0\x05I") {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            length => said.extend(&buffer[..length]),
        }
    }
    let refused = said.windows(5).any(|window| window == b"3D000");
    assert!(refused || said.ends_with(b"I"), "{}", String::from_utf8_lossy(&said));
    !refused
}

#[test]
fn a_fresh_database_lies_on_the_shared_server_under_a_new_name() {
    let shared = database_url().unwrap();
    let (first, second) = (fresh_database().unwrap(), fresh_database().unwrap());
    let server = |url: &str| url[..url.rfind('/').unwrap()].to_owned();
    assert_eq!(server(&first), server(&shared));
    assert_ne!(first, second);
}

#[test]
fn the_shared_servers_start_once() {
    assert_eq!(redis_url().unwrap(), redis_url().unwrap());
    assert_eq!(database_url().unwrap(), database_url().unwrap());
}

#[test]
fn urls_from_the_environment_win() {
    let output = this_test_alone("helper_prints_the_urls")
        .env("DATABASE_URL", "postgres://db.example/app")
        .env("REDIS_URL", "redis://cache.example/0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("urls: postgres://db.example/app redis://cache.example/0"), "{said}");
    let output = this_test_alone("helper_prints_the_mysql_url")
        .env("MYSQL_URL", "mysql://db.example")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("url: mysql://db.example\n"), "{said}");
}

/// Some machines have a `postgres` on `PATH` that tells its version and then does something else.
#[test]
fn an_installation_that_does_not_work_is_passed_over() {
    let folder = env::temp_dir().join(unique_name("cache_wrapper"));
    std::fs::create_dir(&folder).unwrap();
    for program in ["postgres", "initdb"] {
        let path = folder.join(program);
        let script = "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\necho wrapped >&2\nexit 1\n";
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let rest = env::var("PATH").unwrap();
    let output = this_test_alone("helper_prints_the_urls")
        .env("PATH", format!("{}:{rest}", folder.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("urls: postgres://postgres@127.0.0.1:"), "{said}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn servers_do_not_outlive_a_parent_that_is_killed() {
    let folder = PathBuf::from("/tmp").join(unique_name("cache_orphans"));
    std::fs::create_dir(&folder).unwrap();
    let mut parent = this_test_alone("helper_starts_servers_and_hangs")
        .env("TMPDIR", &folder)
        .env("CACHE_TEST_REPORT", folder.join("pids"))
        .stdout(Stdio::null())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pids = Vec::new();
    eventually("the helper has started its servers", || {
        let report = std::fs::read_to_string(folder.join("pids")).unwrap_or_default();
        pids = report.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()).collect();
        report.ends_with('\n')
    });
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|&pid| is_alive(pid)));

    // `Child::kill` is SIGKILL: no destructor of the helper runs.
    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("the servers are gone", || pids.iter().all(|&pid| !is_alive(pid)));
    let left = || std::fs::read_dir(&folder).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    eventually("their folders are gone", || left().count() == 0);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// This test program again, running only one of the helpers below, which do nothing in a normal run.
fn this_test_alone(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("CACHE_TEST_HELPER", name)
        .env_remove("DATABASE_URL")
        .env_remove("REDIS_URL");
    command
}

fn is_asked_for(helper: &str) -> bool {
    env::var("CACHE_TEST_HELPER").is_ok_and(|name| name == helper)
}

#[test]
fn helper_prints_the_urls() {
    if is_asked_for("helper_prints_the_urls") {
        println!("urls: {} {}", database_url().unwrap(), redis_url().unwrap());
    }
}

#[test]
fn helper_prints_the_mysql_url() {
    if is_asked_for("helper_prints_the_mysql_url") {
        println!("url: {}", mysql_url().unwrap());
    }
}

#[test]
fn helper_starts_servers_and_hangs() {
    if !is_asked_for("helper_starts_servers_and_hangs") {
        return;
    }
    let (redis, paused, postgres) =
        (Redis::start().unwrap(), Redis::start().unwrap(), Postgres::start().unwrap());
    paused.pause();
    let report = PathBuf::from(env::var_os("CACHE_TEST_REPORT").unwrap());
    let pids = [redis.pid(), paused.pid(), postgres.pid()].map(|pid| pid.unwrap().to_string()).join(" ");
    std::fs::write(report.with_extension("new"), format!("{pids}\n")).unwrap();
    std::fs::rename(report.with_extension("new"), &report).unwrap();
    // Until the test kills us; its pipe closes should it die before that.
    let _ = std::io::stdin().read(&mut [0]);
}
