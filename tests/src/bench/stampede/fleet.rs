//! Starts the processes that read, lets them begin together, and collects what they say. Dropped, it ends them.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::PROCESSES;
use super::child::ARGUMENT;
use super::judge::Log;
use super::side::{self, Side};
use crate::time::now;

/// Between the order to begin and the first read: every process has read the order by then.
const HEAD_START: u64 = 200_000_000;

struct Fleet(Vec<Child>);

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Most have ended by themselves; the others are of no use any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(super) fn run(side: Side, namespace: &str, redis: &str, time: Duration) -> Result<Log, String> {
    let failed = |error: std::io::Error| format!("a process that reads: {error}");
    let mut fleet = Fleet(Vec::new());
    for _ in 0..PROCESSES {
        let child = Command::new(env::current_exe().map_err(failed)?)
            .args([ARGUMENT, side.name(), namespace])
            .env("REDIS_URL", redis)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        fleet.0.push(child);
    }
    let mut voices = Vec::new();
    for child in &mut fleet.0 {
        let mut voice = BufReader::new(child.stdout.take().ok_or("a process that reads is mute")?);
        let mut line = String::new();
        voice.read_line(&mut line).map_err(failed)?;
        if line.trim() != "ready" {
            return Err(format!("a process that reads did not begin, but said `{}`", line.trim()));
        }
        voices.push(voice);
    }
    let begin = now() + HEAD_START;
    let end = begin + u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let step = side::pause() / u64::from(PROCESSES);
    for (place, child) in (0..).zip(&mut fleet.0) {
        let mut stdin = child.stdin.take().ok_or("a process that reads is deaf")?;
        writeln!(stdin, "{} {end}", begin + place * step).map_err(failed)?;
    }
    let mut log = Log { end, ..Log::default() };
    for voice in voices {
        hear(voice, &mut log).map_err(failed)?;
    }
    for child in &mut fleet.0 {
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            return Err(format!("a process that reads ended with {status}"));
        }
    }
    Ok(log)
}

fn hear(voice: BufReader<ChildStdout>, log: &mut Log) -> std::io::Result<()> {
    for line in voice.lines() {
        let line = line?;
        let mut words = line.split(' ');
        let word = words.next();
        let mut numbers = words.map(|word| word.parse::<u64>());
        match (word, numbers.next(), numbers.next()) {
            (Some("read"), Some(Ok(due)), Some(Ok(took))) => log.reads.push((due, took)),
            (Some("load"), Some(Ok(begin)), Some(Ok(end))) => log.loads.push((begin, end)),
            (Some("degraded"), Some(Ok(reads)), _) => log.degraded += reads,
            _ => return Err(std::io::Error::other(format!("it said `{line}`"))),
        }
    }
    Ok(())
}
