//! `conduit warm`, and the instance that waits until it is warm.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use cache_test_support::{redis_url, unique_name};

use crate::binary::{conduit, started};
use crate::harness::World;

fn warm(database_url: &str, namespace: &str, arguments: &[&str]) -> Output {
    let mut command = conduit();
    command.env("DATABASE_URL", database_url).env("REDIS_URL", redis_url().unwrap());
    command.env("CACHE_NAMESPACE", namespace).arg("warm").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

async fn filled() -> World {
    let world = World::new().await;
    let jake = world.register("jake").await;
    world.register("ann").await;
    for title in ["One", "Two", "Three"] {
        world.publish(&jake, title, &[]).await;
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_fills_what_is_missing_and_can_go_on_from_a_position() {
    let world = filled().await;
    let namespace = unique_name("conduit");
    let run = |arguments: &[&str]| said(&warm(world.database_url(), &namespace, arguments));
    assert_eq!(run(&["articles", "--from", "1", "--rate", "1000"]), "articles 3 of 3: 2 filled\n");
    assert_eq!(run(&[]), "articles 3 of 3: 1 filled, 2 present\nprofiles 2 of 2: 2 filled\n");
    assert_eq!(run(&["profiles"]), "profiles 2 of 2: 2 present\n");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_warmed_is_said_in_a_line() {
    let world = World::new().await;
    let complaint = |output: Output| {
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let told = complaint(warm(world.database_url(), "x", &["--from", "7"]));
    assert_eq!(
        told,
        "conduit: `--from` is a position in one set: name it, for example `warm articles --from 120`\n"
    );
    let off = conduit().env("DATABASE_URL", world.database_url()).env("CACHE", "off").arg("warm").output();
    assert_eq!(complaint(off.unwrap()), "conduit: there is no cache to warm: CACHE is off\n");
    world.close().await;
}

fn health(address: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: conduit\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.rsplit("\r\n\r\n").next().unwrap().to_owned())
}

/// Asks until the answer is this, or for long enough.
fn becomes_healthy(address: &str, wanted: impl Fn(&(u16, String)) -> bool) -> (u16, String) {
    let mut answer = health(address);
    for _ in 0..2_000 {
        if wanted(&answer) {
            break;
        }
        std::thread::yield_now();
        answer = health(address);
    }
    answer
}

/// An instance that is killed at the end; its output is kept open, for it to write to.
struct Killed(Child, #[allow(dead_code, reason = "held, not read")] BufReader<ChildStdout>);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn instance(command: &mut Command) -> (Killed, String) {
    let (child, output, address) = started(command.stderr(Stdio::null()));
    (Killed(child, output), address)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_warms_at_start_says_when_it_is_ready_and_why_it_is_not() {
    let world = filled().await;
    let with = |redis: &str| {
        let mut command = conduit();
        command.env("DATABASE_URL", world.database_url()).env("REDIS_URL", redis);
        command.env("CACHE_NAMESPACE", unique_name("conduit"));
        command
    };
    let url = redis_url().unwrap();
    let (_cold, address) = instance(&mut with(&url));
    assert_eq!(health(&address), (200, "ready".to_owned()));
    let (_warm, address) = instance(with(&url).env("WARM_AT_START", "true"));
    assert_eq!(becomes_healthy(&address, |(status, _)| *status == 200), (200, "ready".to_owned()));
    // Nobody listens there: everything is loaded, and nothing stored.
    let (_lost, address) = instance(with("redis://127.0.0.1:1").env("WARM_AT_START", "true"));
    let told = becomes_healthy(&address, |(_, reason)| reason.matches("ended cold").count() == 2);
    let reason = "`articles` ended cold, 3 of 3: 3 unstored; `profiles` ended cold, 2 of 2: 2 unstored";
    assert_eq!(told, (503, reason.to_owned()));
    world.close().await;
}
