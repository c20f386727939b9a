//! One connection and the epoch it was opened in. Refuses to reconnect, and refuses every reply once it is retired.

mod together;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value, cmd};
use tokio::sync::Notify;

use self::together::Together;
use super::error::{Fault, Refusal, disconnected, unavailable};
use super::lease::Lease;
use super::script::Script;
use crate::error::StoreError;
use crate::subject::Epoch;
use crate::time::{Clock, StoreTime, millis};

/// How often scripts are loaded again for one pipeline.
const LOADS: usize = 3;

/// A command of a pipeline.
#[derive(Debug)]
pub(super) enum Step {
    /// A script; its name is known to the command.
    Script(&'static Script, Cmd),
    /// A read that must see what the scripts before it did.
    Read(Cmd),
}

impl Step {
    /// A call of a script with these keys; arguments follow.
    pub(super) fn script(script: &'static Script, keys: &[String], arguments: impl FnOnce(&mut Cmd)) -> Self {
        let mut cmd = cmd("EVALSHA");
        cmd.arg(&script.digest).arg(keys.len()).arg(keys);
        arguments(&mut cmd);
        Self::Script(script, cmd)
    }

    fn script_called(&self) -> Option<&'static Script> {
        match self {
            Self::Script(script, _) => Some(script),
            Self::Read(_) => None,
        }
    }

    fn cmd(&self) -> &Cmd {
        match self {
            Self::Script(_, cmd) | Self::Read(cmd) => cmd,
        }
    }
}

/// A connection in use: everything that comes back on it belongs to one epoch.
#[derive(Debug)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    together: Arc<Together>,
    pub(super) epoch: Epoch,
    /// Nothing is sent for anybody once it has lapsed.
    pub(super) lease: Lease,
    clock: Arc<dyn Clock>,
    /// When it was opened.
    pub(super) since: Duration,
    /// The server's clock minus the monotonic one, in milliseconds; wraps.
    skew: AtomicU64,
    is_retired: AtomicBool,
    trouble: Mutex<Option<Refusal>>,
    told: Notify,
}

impl Link {
    pub(super) fn new(connection: MultiplexedConnection, epoch: Epoch, clock: Arc<dyn Clock>) -> Self {
        Self {
            connection,
            together: Arc::default(),
            epoch,
            lease: Lease::default(),
            since: clock.monotonic(),
            clock,
            skew: AtomicU64::default(),
            is_retired: AtomicBool::default(),
            trouble: Mutex::default(),
            told: Notify::new(),
        }
    }

    /// The server's clock by the last probe.
    pub(super) fn now(&self) -> StoreTime {
        StoreTime(millis(self.clock.monotonic()).wrapping_add(self.skew.load(Ordering::Relaxed)))
    }

    /// The server told `time` in an answer to a question asked at `asked`. Counts the whole way as passed since then: a
    /// clock that is early would serve what has expired.
    pub(super) fn tells(&self, time: StoreTime, asked: Duration) {
        let skew = time.0.wrapping_sub(millis(asked));
        self.skew.store(skew, Ordering::Relaxed);
    }

    /// From now on no reply counts, not even one that has arrived already.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    /// Waits until a command has learnt that this is no longer the server to talk to.
    pub(super) async fn troubled(&self) -> Refusal {
        loop {
            if let Some(refusal) = self.reason() {
                return refusal;
            }
            self.told.notified().await;
        }
    }

    fn tell(&self, refusal: Refusal) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
        self.told.notify_one();
    }

    /// Sends one command; its reply may be an error of the command's own.
    pub(super) async fn send(&self, cmd: &Cmd) -> Result<Value, StoreError> {
        self.may_send()?;
        Ok(self.exchange(vec![cmd.clone()]).await?.pop().unwrap_or_default())
    }

    /// Sends commands in one go. Scripts the server does not have were not run: they are loaded and sent again, together
    /// with the reads that were to see what they do.
    pub(super) async fn send_all(&self, steps: &[Step]) -> Result<Vec<Value>, StoreError> {
        self.may_send()?;
        self.send_anyway(steps).await
    }

    /// As [`send_all`](Self::send_all), whatever the lease: for questions about the server, which serve nobody's data.
    pub(super) async fn send_anyway(&self, steps: &[Step]) -> Result<Vec<Value>, StoreError> {
        let mut replies = self.exchange(steps.iter().map(|step| step.cmd().clone()).collect()).await?;
        for _ in 0..LOADS {
            let is_lost = |at: &usize| matches!(&replies[*at], Value::ServerError(error) if Fault::of(error) == Fault::NoScript);
            let Some(first) = (0..steps.len()).find(is_lost) else { break };
            let again: Vec<usize> = (first..steps.len())
                .filter(|at| is_lost(at) || matches!(steps[*at], Step::Read(_)))
                .collect();
            let scripts = again.iter().filter_map(|&at| steps[at].script_called());
            let mut commands: Vec<_> = scripts.map(loading).collect();
            let loads = commands.len();
            commands.extend(again.iter().map(|&at| steps[at].cmd().clone()));
            let answers = self.exchange(commands).await?;
            for (at, answer) in again.into_iter().zip(answers.into_iter().skip(loads)) {
                replies[at] = answer;
            }
        }
        Ok(replies)
    }

    /// Asks for something in a slot that this server is importing. The permission counts for one command, so both go together.
    pub(super) async fn ask(&self, step: &Step) -> Result<Value, StoreError> {
        self.may_send()?;
        let mut commands = Vec::new();
        for _ in 0..=LOADS {
            commands.extend([cmd("ASKING"), step.cmd().clone()]);
            let reply = self.exchange(commands).await?.pop().unwrap_or_default();
            let is_lost = matches!(&reply, Value::ServerError(error) if Fault::of(error) == Fault::NoScript);
            let Some(script) = step.script_called().filter(|_| is_lost) else { return Ok(reply) };
            commands = vec![loading(script)];
        }
        Err(Fault::NoScript.into())
    }

    /// Gives the connection up: no reply counts any more, and the supervisor opens the next.
    pub(super) fn give_up(&self, refusal: Refusal) {
        self.tell(refusal);
        self.retire();
    }

    /// Why it was given up, if somebody said so.
    pub(super) fn reason(&self) -> Option<Refusal> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asked before anything of an operation is sent, and once: who reads what comes back began before the lease lapsed, and so
    /// before anybody's write through the next master has returned.
    fn may_send(&self) -> Result<(), StoreError> {
        if self.lease.has_lapsed(&*self.clock) {
            return Err(unavailable("the sentinels have not confirmed the master for too long".into()));
        }
        Ok(())
    }

    async fn exchange(&self, commands: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let replies = self.together.exchange(&self.connection, commands).await;
        if self.is_retired.load(Ordering::Acquire) {
            return Err(disconnected("the connection was given up before the reply was read"));
        }
        let replies = replies.map_err(|error| {
            let why = disconnected(&error);
            self.tell(Refusal::Away(error));
            why
        })?;
        replies.iter().try_for_each(|reply| self.check(reply))?;
        Ok(replies)
    }

    fn check(&self, reply: &Value) -> Result<(), StoreError> {
        if let Value::ServerError(error) = reply
            && let Fault::Gone(refusal) = Fault::of(error)
        {
            let error = disconnected(refusal.text());
            self.tell(refusal);
            return Err(error);
        }
        Ok(())
    }
}

/// Teaches a server a script.
fn loading(script: &Script) -> Cmd {
    let mut load = cmd("SCRIPT");
    load.arg("LOAD").arg(script.source);
    load
}

#[cfg(test)]
mod tests;
