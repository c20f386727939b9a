//! Hears over a connection of its own, and asks for leases on it, so that a lease that is granted proves that everything before was
//! heard. Refuses to outlive the connection that commands go over: both see one dataset, or neither counts.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, PushInfo, Value, cmd};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::ear::Ear;
use super::message::{Place, decimal, hex, unhex};
use super::{Channel, Member};
use crate::backend::redis::dial::Dialled;
use crate::backend::redis::error::{Fault, Refusal};
use crate::backend::redis::identity::{self, Info};
use crate::backend::redis::link::{Link, Step};
use crate::backend::redis::node::{Beside, OPEN_DEADLINE, pause};
use crate::backend::redis::open::{refused, text};
use crate::backend::redis::script::{self, Script};
use crate::bus::{LEASE, Listener, Moment};
use crate::rng::Rng;
use crate::time::{Clock, millis};

/// How often a lease is asked for: two attempts may fail before the last one ends.
const RENEW_EVERY: Duration = Duration::from_millis(333);
/// What a lease is shorter here than it is for those who wait for its end: for clocks that run unevenly.
const MARGIN: Duration = Duration::from_millis(50);
/// A server that is silent for so long is given up; leases have long ended by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether this process is still on the board.
enum Standing {
    Here { at: Place, registers: bool },
    Gone,
}

/// Runs until it is aborted.
pub(super) async fn forever(channel: Arc<Channel>, beside: Beside, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) {
    let _presence = Presence(&channel);
    let (mut attempt, mut is_known) = (0, false);
    loop {
        while channel.listeners().is_empty() {
            channel.joined.notified().await;
        }
        let (link, server) = beside.up().await;
        let opening = async {
            let ear = Arc::new(Ear::new(channel.clone()));
            let hears = {
                let ear = ear.clone();
                move |info: PushInfo| {
                    ear.hears(&info);
                    Ok::<(), ()>(())
                }
            };
            let place = beside.place();
            let Dialled { mut connection, driver } =
                place.dialer.dial_and_listen(&server, &place.access, hears).await?;
            // First, so that nothing is missed that is told to who has joined.
            connection.subscribe(&channel.name).await.map_err(|error| Refusal::Away(error.to_string()))?;
            let driver = driver.take().ok_or_else(closed)?;
            Ok(Session {
                channel: &channel,
                link: &link,
                clock: &*clock,
                rng: &*rng,
                connection,
                driver,
                ear,
            })
        };
        let opened = timeout(OPEN_DEADLINE, opening).await;
        let refusal = match opened.unwrap_or_else(|_| Err(Refusal::Away("it does not answer".into()))) {
            Ok(mut session) => tokio::select! {
                refusal = session.runs(&mut attempt, &mut is_known) => refusal,
                () = beside.down(&link) => Refusal::Renewed("the connection for commands was given up".into()),
            },
            Err(refusal) => refusal,
        };
        channel.leaves();
        let (store, why) = (&beside.place().name, refusal.text());
        if matches!(refusal, Refusal::Renewed(_)) || std::mem::replace(&mut is_known, true) {
            tracing::debug!(%store, why, "other instances are not heard; the L1 serves nothing");
        } else {
            tracing::warn!(%store, why, "other instances are not heard: the L1 serves nothing until they are, and it is tried again");
        }
        sleep(pause(attempt, rng.unit())).await;
        attempt += 1;
    }
}

/// Nobody is heard any more when the task ends, however it ends.
struct Presence<'a>(&'a Channel);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.leaves();
    }
}

/// A connection that hears.
struct Session<'a> {
    channel: &'a Arc<Channel>,
    link: &'a Arc<Link>,
    clock: &'a dyn Clock,
    rng: &'a dyn Rng,
    connection: MultiplexedConnection,
    /// Ends when the connection does.
    driver: JoinHandle<()>,
    ear: Arc<Ear>,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn closed() -> Refusal {
    Refusal::Away("the connection was closed".into())
}

fn silent() -> Refusal {
    Refusal::Away("it stopped answering".into())
}

impl Session<'_> {
    /// Joins, and stays for as long as it can be.
    async fn runs(&mut self, attempt: &mut u32, is_known: &mut bool) -> Refusal {
        loop {
            let member = self.rng.bits();
            match self.asks(member, "join").await {
                Ok(Standing::Here { .. }) => {}
                Ok(Standing::Gone) => return Refusal::Away("it let nobody join".into()),
                Err(refusal) => return refusal,
            }
            *attempt = 0;
            if std::mem::take(is_known) {
                tracing::info!(channel = %self.channel.name, "other instances are heard again");
            }
            if let Err(refusal) = self.stays(member).await {
                return refusal;
            }
            // Struck off, or the board is a new one: nothing counts that was read as this member.
            self.channel.leaves();
        }
    }

    /// Asks for a lease every now and then, and answers who waits. `Ok` when it is gone from the board.
    async fn stays(&mut self, member: u64) -> Result<(), Refusal> {
        loop {
            let mut due = pin!(sleep(RENEW_EVERY));
            loop {
                tokio::select! {
                    _ = &mut self.driver => return Err(closed()),
                    () = self.ear.called.notified() => {}
                    () = due.as_mut() => break,
                }
                if self.ear.has_missed() {
                    break;
                }
                if let Some(place) = self.ear.owes()
                    && !self.answers(member, place).await?
                {
                    return Ok(());
                }
            }
            if self.channel.listeners().is_empty() {
                self.says_goodbye(member).await;
                return Err(Refusal::Renewed("nobody listens any more".into()));
            }
            if let Standing::Gone = self.asks(member, "renew").await? {
                return Ok(());
            }
        }
    }

    /// Asks for a lease, and whose server this is. What was published before the answer has been heard when it is there.
    async fn asks(&mut self, member: u64, how: &str) -> Result<Standing, Refusal> {
        // From before the question is sent.
        let moments: Vec<(Arc<dyn Listener>, Moment)> =
            self.channel.listeners().into_iter().map(|listener| (listener.clone(), listener.now())).collect();
        let left = self.link.lease.left(self.clock);
        let mut questions = Pipeline::new();
        for section in ["server", "replication", "memory"] {
            questions.cmd("INFO").arg(section);
        }
        let answers = self.exchange(&questions).await?;
        let [server, replication, memory] = answers.as_slice() else { return Err(silent()) };
        let (server, replication) = (Info(text(server)?), Info(text(replication)?));
        if identity::epoch(server, replication, None)? != self.link.epoch {
            return Err(Refusal::Renewed("it holds another dataset than before".into()));
        }
        let whom = if evicts(Info(text(memory)?)) { "all" } else { "each" };
        let heard = self.ear.last().map_or(0, |last| last.number);
        let seed = hex(self.rng.bits());
        let answer = self
            .call(&script::RENEW, |cmd| {
                cmd.arg(hex(member))
                    .arg(hex(self.link.epoch.0))
                    .arg(heard)
                    .arg(whom)
                    .arg(millis(LEASE))
                    .arg(&seed)
                    .arg(how);
            })
            .await?;
        let standing = standing(&answer)?;
        let Standing::Here { at, registers } = standing else { return Ok(standing) };
        if how == "join" {
            self.ear.joins(member, at);
            self.channel.is_member(Member { id: member, epoch: self.link.epoch, registers });
        } else if !self.ear.confirms(at) {
            // It has called itself: the next lease is asked for at once.
            return Ok(standing);
        }
        let lease = left.map_or(LEASE, |left| left.min(LEASE)).saturating_sub(MARGIN);
        for (listener, moment) in moments {
            listener.vouches(moment, lease);
        }
        Ok(standing)
    }

    /// Acknowledges everything up to a message; whether it is still on the board.
    async fn answers(&mut self, member: u64, at: Place) -> Result<bool, Refusal> {
        let answer = self.call(&script::HEARD, |cmd| {
            cmd.arg(hex(member)).arg(hex(at.life)).arg(at.number);
        });
        Ok(matches!(answer.await?, Value::Int(1)))
    }

    async fn says_goodbye(&mut self, member: u64) {
        let Some(Place { life, .. }) = self.ear.last() else { return };
        // Best effort: else somebody waits for him once.
        let _ = self
            .call(&script::FORGET, |cmd| {
                cmd.arg(hex(life)).arg(hex(member)).arg("");
            })
            .await;
    }

    async fn call(
        &mut self,
        script: &'static Script,
        arguments: impl FnOnce(&mut redis::Cmd),
    ) -> Result<Value, Refusal> {
        let Step::Script(_, call) = Step::script(script, &[self.channel.board.to_string()], arguments) else {
            return Err(silent());
        };
        let mut pipeline = Pipeline::new();
        for _ in 0..2 {
            pipeline.add_command(call.clone());
            let answer = self.exchange(&pipeline).await?.pop().unwrap_or_default();
            match &answer {
                Value::ServerError(error) if Fault::of(error) == Fault::NoScript => {
                    pipeline = Pipeline::new();
                    pipeline.cmd("SCRIPT").arg("LOAD").arg(script.source);
                }
                Value::ServerError(error) => return Err(refused(error, &cmd("EVALSHA"))),
                _ => return Ok(answer),
            }
        }
        Err(Refusal::Away("it forgets the scripts as fast as they are loaded".into()))
    }

    async fn exchange(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, Refusal> {
        let answers = self.connection.send_packed_commands(pipeline, 0, pipeline.len());
        let answers = timeout(PATIENCE, answers).await.map_err(|_| silent())?;
        answers.map_err(|error| Refusal::Away(error.to_string()))
    }
}

/// Whether the server may throw away who reads what, which expires by itself.
fn evicts(memory: Info<'_>) -> bool {
    let is_limited = memory.field("maxmemory").is_none_or(|bytes| bytes != "0");
    is_limited && memory.field("maxmemory_policy") != Some("noeviction")
}

fn standing(answer: &Value) -> Result<Standing, Refusal> {
    let strange = || Refusal::Away("a script gave an answer that this version does not understand".into());
    let Value::Array(parts) = answer else { return Err(strange()) };
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let parts: Vec<_> = parts.iter().map(text).collect::<Option<_>>().ok_or_else(strange)?;
    match parts.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
        [b"gone"] => Ok(Standing::Gone),
        [b"here", life, number, whom] => {
            let life = unhex(life).ok_or_else(strange)?;
            let at = Place { life, number: decimal(number).ok_or_else(strange)? };
            Ok(Standing::Here { at, registers: whom != b"all" })
        }
        _ => Err(strange()),
    }
}
