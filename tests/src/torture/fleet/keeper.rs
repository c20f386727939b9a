//! The thread that looks after one instance, through all of its lives.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, MutexGuard},
};

use rustix::process::{Pid, Signal};

use super::{Member, Orders, Phase, Shared, Stage, State};
use crate::torture::{ground::Ground, instance::Assignment};

/// Looks after one instance.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) ground: Arc<Ground>,
    pub(super) orders: Orders,
    pub(super) number: u8,
}

impl Keeper {
    pub(super) fn keep(&self) {
        for life in 0.. {
            let ended = self.live(life);
            let mut state = self.shared.state();
            let stage = self.member(&mut state).stage;
            let fault = match ended {
                _ if state.phase == Phase::End => return,
                Ok(status) if status.success() && stage == Stage::Done => return,
                Ok(status) if status.success() && stage == Stage::Leaving => {
                    self.bury(&mut state);
                    continue;
                }
                Ok(status) if status.signal() == Some(Signal::KILL.as_raw()) => {
                    state.census.crashes += 1;
                    self.bury(&mut state);
                    continue;
                }
                Ok(status) => format!("instance {} ended by itself ({status})", self.number),
                Err(error) => format!("instance {}: {error}", self.number),
            };
            state.fault.get_or_insert(fault);
            self.shared.changed.notify_all();
            return;
        }
    }

    fn bury(&self, state: &mut MutexGuard<'_, State>) {
        let member = self.member(state);
        (member.stage, member.stdin) = (Stage::Starting, None);
    }

    fn member<'s>(&self, state: &'s mut MutexGuard<'_, State>) -> &'s mut Member {
        &mut state.members[usize::from(self.number)]
    }

    /// One life, from start to end.
    fn live(&self, life: u32) -> std::io::Result<ExitStatus> {
        let mut child = self.spawn(life)?;
        let stdout = child.stdout.take();
        {
            let mut state = self.shared.state();
            let is_wanted = state.phase != Phase::End;
            let member = self.member(&mut state);
            if is_wanted {
                member.stdin = child.stdin.take();
                member.pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            }
        }
        // Ended input ends an instance that was born too late.
        drop(child.stdin.take());
        for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
            self.heard(&line?);
        }
        // Once it is waited for, its number may belong to somebody else.
        self.member(&mut self.shared.state()).pid = None;
        child.wait()
    }

    fn spawn(&self, life: u32) -> std::io::Result<Child> {
        let release = self.member(&mut self.shared.state()).release;
        let assignment = Assignment {
            number: self.number,
            life,
            release,
            namespace: self.ground.namespace().to_owned(),
            log: self.orders.folder.join(format!("{}-{life}.log", self.number)),
            options: self.orders.options.clone(),
        };
        let urls = self.ground.urls(self.number);
        Command::new(std::env::current_exe()?)
            .args(assignment.to_arguments())
            .env("DATABASE_URL", urls.database)
            .env("REDIS_URL", urls.redis)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
    }

    fn heard(&self, line: &str) {
        let mut state = self.shared.state();
        let phase = state.phase;
        let member = self.member(&mut state);
        match line.split(' ').next() {
            Some("ready") => {
                // Whoever was killed misses the order that the others were given.
                let order = match phase {
                    Phase::Traffic => Some("go"),
                    Phase::Rest => Some("rest"),
                    _ => None,
                };
                member.stage = if order.is_some() { Stage::Working } else { Stage::Idle };
                order.into_iter().for_each(|order| member.tell(order));
            }
            Some("quiet") => member.stage = Stage::Idle,
            Some("left") => state.census.take_over(line),
            Some("done") => {
                member.stage = Stage::Done;
                state.census.take_over(line);
            }
            _ => {
                state.fault.get_or_insert(format!("instance {} said `{line}`", self.number));
            }
        }
        self.shared.changed.notify_all();
    }
}

impl super::Census {
    /// Adds what an instance said at its end: a word, three numbers, perhaps an error.
    fn take_over(&mut self, line: &str) {
        let mut words = line.splitn(5, ' ').skip(1);
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        self.cancelled += number();
        self.read_errors += number();
        self.write_errors += number();
        let example = words.next().filter(|error| !error.is_empty()).map(str::to_owned);
        self.example = self.example.take().or(example);
    }
}
