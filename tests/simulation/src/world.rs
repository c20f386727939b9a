//! The world that all instances of a run share: who is alive, what is under way, store, database and what happened. Refuses to
//! choose: [`crate::driver`] says what comes next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cache_core::bus::Listener;
use cache_core::subject::{Epoch, WriterId};
use cache_core::time::{Clock, StoreTime};

use crate::check::{At, Facts, Visible, within};
use crate::counts::Counts;
use crate::database::Database;
use crate::dataset::Dataset;
use crate::plan::How;
use crate::rules::StoreRule;
use crate::timeline::Timeline;
use crate::variety::{Choice, Function};
use crate::wire::{CallId, Cargo, Command, Message, Says};

/// A call of the application.
pub type OpId = u32;

/// Milliseconds of the store's clock at the beginning.
const DAWN: u64 = 1_700_000_000_000;

/// One process of one instance; an instance that is started again is another process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Which instance, from 1.
    pub instance: usize,
    pub is_alive: bool,
    /// The store cannot be reached before this time.
    pub store_down_until: Duration,
}

/// What is known about a call of the application.
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub process: usize,
    /// How fast it is: how likely a message of it is the next to arrive.
    pub weight: u32,
    /// Whether it writes without a transaction.
    pub is_alone: bool,
}

/// Whose fence it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Op(OpId),
    /// Some write without a transaction of this process.
    AloneOf(usize),
}

#[derive(Debug, Default)]
struct Call {
    waker: Option<Waker>,
    answer: Option<Says>,
}

/// See [`World`].
pub struct State {
    pub rng: fastrand::Rng,
    pub now: Duration,
    /// On whose behalf code runs at this moment.
    pub acting: Option<OpId>,
    pub messages: Vec<Message>,
    calls: BTreeMap<CallId, Call>,
    last: u64,
    /// When each place in the order of events was taken.
    order: Vec<Duration>,
    pub processes: Vec<Process>,
    pub master: Dataset,
    /// A copy of the master from some time ago: what a replica or a disk holds.
    pub replica: Dataset,
    pub database: Database,
    pub owners: BTreeMap<WriterId, Owner>,
    pub ops: BTreeMap<OpId, Op>,
    pub facts: Facts,
    pub counts: Counts,
    /// The policies in force.
    pub choice: Option<Choice>,
    /// The functions whose reads have returned something, and under which policies.
    pub called: BTreeSet<(Choice, Function, How)>,
    pub timeline: Timeline,
    pub odds: Odds,
    /// A write of this process is half-way: what goes wrong now hurts most.
    pub ripe: Option<usize>,
    /// The L1s of all processes.
    pub listeners: Vec<Weak<dyn Listener>>,
}

/// How likely is what happens to single messages, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Odds {
    pub repeated: u32,
    pub rejected: u32,
    pub refused: u32,
    pub stuck: u32,
    pub unknown: u32,
    /// How often a statement that reads is turned away.
    pub busy: u32,
    /// How often it takes long to be answered.
    pub slow: u32,
    /// How often a command over several subjects is carried out in parts.
    pub split: u32,
    /// The same for clears.
    pub split_clears: u32,
    /// How often the replica, or the disk, catches up when a lease was granted.
    pub replicated: u32,
}

/// One run's world.
pub struct World(Mutex<State>);

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    pub fn new(
        rng: fastrand::Rng,
        rows: &[u64],
        odds: Odds,
        lacks: Option<StoreRule>,
        timeline: Timeline,
    ) -> Arc<Self> {
        let data = Dataset::new(Epoch(1), lacks);
        let first = |(row, &version): (usize, &u64)| Visible { row, version, op: 0, at: 0 };
        let facts = Facts { visible: rows.iter().enumerate().map(first).collect(), ..Facts::default() };
        Arc::new(Self(Mutex::new(State {
            rng,
            now: Duration::ZERO,
            acting: None,
            messages: Vec::new(),
            calls: BTreeMap::new(),
            last: 0,
            order: Vec::new(),
            processes: Vec::new(),
            replica: data.clone(),
            master: data,
            database: Database::new(rows),
            owners: BTreeMap::new(),
            ops: BTreeMap::new(),
            facts,
            counts: Counts::default(),
            choice: None,
            called: BTreeSet::new(),
            timeline,
            odds,
            ripe: None,
            listeners: Vec::new(),
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a question; the future is its answer, and never ends if the process is dead.
    pub fn ask(self: &Arc<Self>, process: usize, cargo: Cargo) -> Answer {
        let mut state = self.lock();
        if !state.processes[process].is_alive {
            return Answer { world: self.clone(), call: 0 };
        }
        let call = state.send(process, cargo);
        state.calls.insert(call, Call::default());
        Answer { world: self.clone(), call }
    }

    /// Sends what nobody waits for.
    pub fn tell(&self, process: usize, cargo: Cargo) {
        let mut state = self.lock();
        if state.processes[process].is_alive {
            state.send(process, cargo);
        }
    }
}

impl State {
    /// The next place in the order of events.
    pub fn mark_time(&mut self) -> At {
        self.order.push(self.now);
        self.order.len() as At
    }

    /// The first place that was taken no longer than this before another one.
    pub fn within(&self, window: Duration, at: At) -> At {
        within(&self.order, window, at)
    }

    /// For how long after a write its old value may answer now, where a call says so.
    pub fn window(&self) -> Duration {
        self.choice.map_or(Duration::ZERO, |choice| choice.window())
    }

    fn next_id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn send(&mut self, process: usize, cargo: Cargo) -> CallId {
        let id = self.next_id();
        let op = self.acting.or_else(|| self.owner_of(&cargo));
        let weight = match op {
            Some(op) => self.ops.get(&op).map_or(4, |op| op.weight),
            None => self.rng.u32(1..=6),
        };
        self.say(|state| state.sends(process, op, &cargo));
        let not_before = Duration::ZERO;
        self.messages.push(Message { id, process, call: id, op, weight, not_before, cargo });
        id
    }

    /// The call whose fence a command is about.
    fn owner_of(&self, cargo: &Cargo) -> Option<OpId> {
        let Cargo::Store(job) = cargo else { return None };
        let (Command::Mark { writer, .. } | Command::Clear { writer, .. }) = &job.command else {
            return None;
        };
        match self.owners.get(writer) {
            Some(Owner::Op(op)) => Some(*op),
            _ => None,
        }
    }

    /// Puts something that follows from a message under way.
    pub fn follow(&mut self, from: &Message, not_before: Duration, cargo: Cargo) {
        let id = self.next_id();
        let Message { process, call, op, weight, .. } = *from;
        self.messages.push(Message { id, process, call, op, weight, not_before, cargo });
    }

    /// Puts something under way that a server does by itself.
    pub fn by_itself(&mut self, process: usize, op: OpId, not_before: Duration, cargo: Cargo) {
        let id = self.next_id();
        self.messages.push(Message { id, process, call: 0, op: Some(op), weight: 4, not_before, cargo });
    }

    /// Whether somebody still waits for this answer.
    pub fn is_awaited(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|call| call.answer.is_none())
    }

    /// Hands an answer over.
    pub fn answer(&mut self, id: CallId, says: Says) {
        if let Some(call) = self.calls.get_mut(&id).filter(|call| call.answer.is_none()) {
            call.answer = Some(says);
            if let Some(waker) = call.waker.take() {
                waker.wake();
            }
        }
    }

    /// The store's clock.
    pub fn store_time(&self) -> StoreTime {
        StoreTime(DAWN).after(self.now)
    }

    /// A process of this instance.
    pub fn start(&mut self, instance: usize) -> usize {
        self.processes.push(Process { instance, is_alive: true, store_down_until: Duration::ZERO });
        self.processes.len() - 1
    }

    /// Something for the timeline, made only if there is one.
    pub fn say(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.timeline.is_kept() {
            let text = text(self);
            self.timeline.push(self.now, text);
        }
    }
}

/// The answer to a question.
pub struct Answer {
    world: Arc<World>,
    call: CallId,
}

impl Future for Answer {
    type Output = Says;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Says> {
        let mut state = self.world.lock();
        let Some(call) = state.calls.get_mut(&self.call) else { return Poll::Pending };
        if let Some(says) = call.answer.take() {
            return Poll::Ready(says);
        }
        call.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // The waker may hold whatever was waiting: it is dropped when the world is free again.
        let call = self.world.lock().calls.remove(&self.call);
        drop(call);
    }
}

/// Polls a future on behalf of an operation.
pub struct Acting<F> {
    pub world: Arc<World>,
    pub op: OpId,
    pub future: Pin<Box<F>>,
}

impl<F: Future> Future for Acting<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let op = self.op;
        let before = self.world.lock().acting.replace(op);
        let polled = self.future.as_mut().poll(context);
        self.world.lock().acting = before;
        polled
    }
}

/// Time as the instances see it: the run's own.
#[derive(Debug)]
pub struct Watch(pub Arc<World>);

impl Clock for Watch {
    fn wall(&self) -> StoreTime {
        self.0.lock().store_time()
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().now
    }
}
