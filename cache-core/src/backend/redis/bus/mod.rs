//! Tells other processes of writes, and who they are that may hold what is written: one pub/sub channel and one board a namespace.
//! Refuses to vouch beyond a lease, and to hear over a connection that somebody else reconnects.
//!
//! `docs/decisions/0019-l1-coherence.md` has the protocol and its reasons; the scripts `tell`, `renew`, `heard` and
//! `forget` are its words.

mod ear;
mod message;
mod session;
mod waits;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use redis::Cmd;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::message::hex;
pub(super) use self::waits::{Told, acknowledged, forget, told};
use super::link::{Link, Step};
use super::node::Beside;
use super::parts::Parts;
use super::script;
use super::send::Job;
use super::words::{key, on_part};
use crate::bus::{HOLDS, LEASE, Listener, Sharers};
use crate::rng::Rng;
use crate::subject::{Epoch, Subject};
use crate::time::{Clock, millis};

/// How much longer than anything is kept it is written down who reads it: for clocks that run unevenly, and for jumps too small to
/// make a board begin a new life.
const SLACK: Duration = Duration::from_secs(10 * 60);

/// What tells and hears for a server of its own.
pub(super) struct Bus {
    database: u32,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    runtime: Handle,
    channels: RwLock<HashMap<Box<str>, Arc<Channel>>>,
    tasks: RwLock<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").finish_non_exhaustive()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(JoinHandle::abort);
        let channels = self.channels.get_mut().unwrap_or_else(PoisonError::into_inner);
        channels.values().for_each(|channel| channel.leaves());
    }
}

impl Bus {
    pub(super) fn new(database: u32, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let (channels, tasks) = (RwLock::default(), RwLock::default());
        Self { database, clock, rng, runtime: Handle::current(), channels, tasks }
    }

    /// What is said about a subject.
    pub(super) fn channel(&self, subject: &Subject, parts: &Parts) -> Arc<Channel> {
        let name = subject.name();
        self.channel_of(name.split([':', '#']).next().unwrap_or(name), parts)
    }

    /// What is said in a namespace.
    pub(super) fn channel_of(&self, namespace: &str, parts: &Parts) -> Arc<Channel> {
        let known = self.channels.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = known.get(namespace) {
            return channel.clone();
        }
        drop(known);
        let mut known = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        let channel = || Arc::new(Channel::new(namespace, self.database, parts, self.clock.clone()));
        known.entry(namespace.into()).or_insert_with(channel).clone()
    }

    /// Hears for this listener from now on.
    pub(super) fn join(&self, channel: &Arc<Channel>, listener: Weak<dyn Listener>, beside: Beside) {
        let mut listeners = channel.listeners.write().unwrap_or_else(PoisonError::into_inner);
        let is_first = listeners.is_none();
        listeners.get_or_insert_default().push(listener);
        drop(listeners);
        channel.joined.notify_one();
        if is_first {
            let (channel, clock, rng) = (channel.clone(), self.clock.clone(), self.rng.clone());
            let task = self.runtime.spawn(session::forever(channel, beside, clock, rng));
            self.tasks.write().unwrap_or_else(PoisonError::into_inner).push(task);
        }
    }
}

/// What is said of the writes of one namespace.
pub(super) struct Channel {
    /// The part of the namespace in whose slot the board is.
    tag: Subject,
    /// Pub/sub knows no databases.
    name: String,
    board: Arc<str>,
    parts: super::parts::All,
    clock: Arc<dyn Clock>,
    /// `None` while nobody has ever joined here.
    listeners: RwLock<Option<Vec<Weak<dyn Listener>>>>,
    joined: Notify,
    member: RwLock<Option<Member>>,
    /// Whether this process has ever seen that somebody listens there.
    is_used: AtomicBool,
}

/// Who this process is on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    id: u64,
    /// Of the server whose board it is.
    epoch: Epoch,
    /// Whether it has to be written down what he reads; else everybody is told of everything.
    registers: bool,
}

impl Channel {
    fn new(namespace: &str, database: u32, parts: &Parts, clock: Arc<dyn Clock>) -> Self {
        let parts = parts.of(namespace);
        let tag = parts[0].tag.clone();
        let board = key(&tag, 'm');
        Self {
            name: format!("{board}:{database}"),
            board: board.into(),
            tag,
            parts,
            clock,
            listeners: RwLock::default(),
            joined: Notify::new(),
            member: RwLock::default(),
            is_used: AtomicBool::new(false),
        }
    }

    /// Every listener that is still there.
    fn listeners(&self) -> Vec<Arc<dyn Listener>> {
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        listeners.iter().flatten().filter_map(Weak::upgrade).collect()
    }

    /// These were written, here or elsewhere.
    pub(super) fn marked(&self, stripes: &[u64]) {
        self.listeners().iter().for_each(|listener| listener.marked(stripes));
    }

    /// Something may have been missed.
    fn doubts(&self) {
        self.listeners().iter().for_each(|listener| listener.doubts());
    }

    /// Everything of the namespace is worthless: what is known of its generations first, so that nobody reads by them what he then
    /// keeps.
    pub(super) fn forgets_all(&self) {
        let now = self.clock.monotonic();
        self.parts.iter().for_each(|part| part.forgets(now));
        self.doubts();
    }

    /// From now on this process is nobody there. In this order: who reads as this member has asked for it before the doubt.
    fn leaves(&self) {
        *self.member.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.doubts();
    }

    fn is_member(&self, member: Member) {
        *self.member.write().unwrap_or_else(PoisonError::into_inner) = Some(member);
        self.is_used.store(true, Ordering::Relaxed);
    }

    /// Who this process is there now.
    pub(super) fn member(&self) -> Option<Member> {
        *self.member.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of the board.
    pub(super) fn board(&self) -> String {
        self.board.to_string()
    }

    /// The arguments that `tell` wants, and what is told.
    pub(super) fn tell<'a>(
        &self,
        cmd: &mut Cmd,
        server: Epoch,
        subjects: impl IntoIterator<Item = &'a Subject>,
    ) {
        let stripes: Vec<u8> =
            subjects.into_iter().flat_map(|subject| subject.stripe().to_le_bytes()).collect();
        cmd.arg(&self.name).arg(hex(server.0)).arg(millis(LEASE)).arg(stripes);
    }

    /// Tells everybody that all of the namespace is worthless.
    pub(super) fn tell_all(&self) -> Job<'_> {
        Job::idempotent(&self.tag, |server| {
            Step::script(&script::TELL, &[self.board()], |cmd| self.tell(cmd, server, []))
        })
    }

    /// Who has to be waited for after a mark that answered this on a connection.
    pub(super) fn sharers(&self, told: Option<Told>, link: &Link) -> Sharers {
        let Some(told) = told else {
            // Nobody listens, and there is no board. On a connection that is young that may be one that was lost a moment ago
            // with its server, while somebody's lease on it still runs.
            let is_young = self.clock.monotonic() < link.since + LEASE;
            let is_unknown = is_young && self.is_used.load(Ordering::Relaxed);
            return Sharers { is_unknown, ..Sharers::default() };
        };
        self.is_used.store(true, Ordering::Relaxed);
        // This process is told directly.
        told.sharers(&self.board, self.member().map(|member| member.id))
    }
}

impl Member {
    /// Whether it has to be written down what he reads.
    pub(super) fn registers(self) -> bool {
        self.registers
    }

    /// Makes it known that he is about to read something; nothing where that need not be. Commands and no script: one that the server
    /// had lost would be carried out after the reads.
    pub(super) fn shares(self, subject: &Subject) -> Vec<Job<'_>> {
        let write = move |_| {
            let mut write = on_part("HSET", subject, 'h');
            write.arg(hex(self.id)).arg(0);
            Step::Read(write)
        };
        let lives = move |_| {
            let mut lives = on_part("PEXPIRE", subject, 'h');
            lives.arg(millis(HOLDS + SLACK));
            Step::Read(lives)
        };
        if self.registers {
            vec![Job::idempotent(subject, write), Job::idempotent(subject, lives)]
        } else {
            Vec::new()
        }
    }

    /// Whether what a connection has registered counts.
    pub(super) fn is_known_to(self, link: &Link) -> bool {
        self.epoch == link.epoch
    }
}
