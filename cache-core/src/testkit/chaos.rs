//! A store that fails, stalls and holds commands on demand: the pause points of scripted interleavings.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::bus::{Listener, Sharers};
use crate::error::{StoreError, StoreErrorKind};
use crate::key::Namespace;
use crate::store::{
    Answers, Aside, BoxFuture, ClearRequest, Cleared, FillRequest, Filled, Found, GetRequest, LeaseRequest,
    Leased, MarkRequest, Marked, PendRequest, Queued, Shard, Store, StoreResult,
};
use crate::subject::{EntryKey, JournalId, Position, Subject, Token};

/// A command of the seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is documented at the seam")]
pub enum Command {
    Get,
    Lease,
    Fill,
    Release,
    Aside,
    Mark,
    Clear,
    GetMany,
    LeaseMany,
    FillMany,
    ReleaseMany,
    ClearNamespace,
    Pend,
    PendMany,
    Settle,
    Queued,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
}

/// One command that was told to wait.
#[derive(Clone, Debug)]
pub struct Held(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    reached: Notify,
    released: Notify,
}

impl Held {
    /// Waits until the command has come to where it is held.
    pub async fn reached(&self) {
        self.0.reached.notified().await;
    }

    /// Lets it go on.
    pub fn release(&self) {
        self.0.released.notify_one();
    }
}

/// A store around another that does what a test tells it. Clones share their instructions.
#[derive(Clone, Debug)]
pub struct ChaosStore {
    inner: Arc<dyn Store>,
    orders: Arc<Orders>,
}

#[derive(Debug, Default)]
struct Orders {
    state: Mutex<State>,
    /// Whether commands stand still.
    stalled: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    down: bool,
    connections: u64,
    holds: Vec<(Command, When, Arc<Gate>)>,
    lost: Vec<Command>,
    counts: HashMap<Command, u64>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("down", &self.down)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl ChaosStore {
    /// A store that passes everything on until told otherwise.
    pub fn new(inner: impl Store) -> Self {
        Self { inner: Arc::new(inner), orders: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.orders.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every command fails at once, unsent.
    pub fn down(&self) {
        self.state().down = true;
    }

    /// Ends [`ChaosStore::down`]; counts as another connection.
    pub fn up(&self) {
        let mut state = self.state();
        state.down = false;
        state.connections += 1;
    }

    /// From now on no command is carried out or answered until [`ChaosStore::flow`].
    pub fn stall(&self) {
        self.orders.stalled.send_replace(true);
    }

    /// Ends [`ChaosStore::stall`]; what waited is carried out.
    pub fn flow(&self) {
        self.orders.stalled.send_replace(false);
    }

    /// The next command of this kind waits before it is carried out.
    pub fn hold(&self, command: Command) -> Held {
        self.hold_at(command, When::Before)
    }

    /// The next command of this kind is carried out, and its answer waits.
    pub fn hold_reply(&self, command: Command) -> Held {
        self.hold_at(command, When::After)
    }

    fn hold_at(&self, command: Command, when: When) -> Held {
        let gate = Arc::new(Gate::default());
        self.state().holds.push((command, when, gate.clone()));
        Held(gate)
    }

    /// The next command of this kind is carried out and its answer lost: the caller sees a broken connection.
    pub fn lose_reply(&self, command: Command) {
        self.state().lost.push(command);
    }

    /// How many commands of this kind were asked for.
    #[must_use]
    pub fn count(&self, command: Command) -> u64 {
        self.state().counts.get(&command).copied().unwrap_or(0)
    }

    fn take_hold(&self, command: Command, when: When) -> Option<Arc<Gate>> {
        let mut state = self.state();
        let at = state.holds.iter().position(|(c, w, _)| *c == command && *w == when)?;
        Some(state.holds.remove(at).2)
    }

    /// A command for many entries: what happens to it happens to all of them.
    async fn pass_many<T>(
        &self,
        command: Command,
        entries: usize,
        run: impl Future<Output = Vec<Result<T, StoreError>>>,
    ) -> Vec<Result<T, StoreError>> {
        match self.pass(command, async { Ok(run.await) }).await {
            Ok(answers) => answers,
            Err(error) => {
                let (kind, why) = (error.kind(), error.to_string());
                (0..entries).map(|_| Err(StoreError::new(kind, why.clone()))).collect()
            }
        }
    }

    async fn pass<T>(
        &self,
        command: Command,
        run: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        *self.state().counts.entry(command).or_default() += 1;
        if let Some(gate) = self.take_hold(command, When::Before) {
            gate.reached.notify_one();
            gate.released.notified().await;
        }
        // A dropped sender cannot be: `self` holds it.
        let _ = self.orders.stalled.subscribe().wait_for(|stalled| !stalled).await;
        if self.state().down {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "the test took it down"));
        }
        let answer = run.await;
        if let Some(gate) = self.take_hold(command, When::After) {
            gate.reached.notify_one();
            gate.released.notified().await;
        }
        let lost = {
            let mut state = self.state();
            state.lost.iter().position(|c| *c == command).map(|at| state.lost.remove(at))
        };
        match lost {
            Some(_) => Err(StoreError::new(StoreErrorKind::Disconnected, "the test lost the answer")),
            None => answer,
        }
    }
}

/// Builds the inner future only when it is awaited: a held command has not been carried out.
macro_rules! commands {
    (
        one { $($name:ident: $command:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }
        many { $($many:ident: $for_many:ident($request:ty) -> $each:ty;)* }
    ) => {
        impl Store for ChaosStore {
            $(fn $many<'a>(&'a self, requests: &'a [$request]) -> Answers<'a, $each> {
                let run = async move { self.inner.$many(requests).await };
                Box::pin(self.pass_many(Command::$for_many, requests.len(), run))
            })*

            $(fn $name<'a>(&'a self, $($arg: $type),*) -> StoreResult<'a, $answer> {
                Box::pin(self.pass(Command::$command, async move { self.inner.$name($($arg),*).await }))
            })*

            fn shard(&self, subject: &Subject) -> Shard {
                self.inner.shard(subject)
            }

            fn acknowledged<'a>(&'a self, sharers: &'a Sharers) -> BoxFuture<'a, ()> {
                self.inner.acknowledged(sharers)
            }

            fn forget<'a>(&'a self, sharers: &'a Sharers) -> BoxFuture<'a, ()> {
                self.inner.forget(sharers)
            }

            fn join(&self, namespace: &Namespace, listener: Weak<dyn Listener>) -> Result<(), String> {
                self.inner.join(namespace, listener)
            }

            fn connections(&self) -> u64 {
                self.state().connections + self.inner.connections()
            }

            fn describe(&self) -> String {
                format!("chaos around {}", self.inner.describe())
            }
        }
    };
}

commands! {
    one {
        get: Get(key: &'a EntryKey, tags: &'a [Subject]) -> Found;
        lease: Lease(request: LeaseRequest<'a>) -> Leased;
        fill: Fill(request: FillRequest<'a>) -> Filled;
        release: Release(key: &'a EntryKey, token: Token) -> ();
        aside: Aside(key: &'a EntryKey) -> Option<Aside>;
        pend: Pend(request: PendRequest<'a>) -> Sharers;
        settle: Settle(subject: &'a Subject, journal: JournalId, position: Position) -> ();
        queued: Queued(subject: &'a Subject) -> Option<Queued>;
        mark: Mark(request: MarkRequest<'a>) -> Marked;
        clear: Clear(request: ClearRequest<'a>) -> Cleared;
        clear_namespace: ClearNamespace(namespace: &'a Namespace, seed: u64) -> Duration;
    }
    many {
        get_many: GetMany(GetRequest<'a>) -> Found;
        lease_many: LeaseMany(LeaseRequest<'a>) -> Leased;
        fill_many: FillMany(FillRequest<'a>) -> Filled;
        release_many: ReleaseMany((EntryKey, Token)) -> ();
        pend_many: PendMany(PendRequest<'a>) -> Sharers;
        show_many: Queued(PendRequest<'a>) -> bool;
    }
}
