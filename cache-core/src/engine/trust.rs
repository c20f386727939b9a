//! Whether the store may answer reads: not while a write may have passed it by. Refuses to guess: it is trusted again only after
//! the outbox was asked, and said that nothing waits there that could not reach the store.
//!
//! Each reason for doubt has a number, and trust is trust up to a number: an answer counts only if it was asked for after the last
//! reason, and while no commit was on its way that leaves a row.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::Core;
use crate::error::{StoreError, StoreErrorKind};
use crate::heal::Healer;
use crate::key::Namespace;
use crate::outbox::Table;
use crate::store::{Fence, Origin, Store};
use crate::subject::{Kind, WriterId};

/// Pauses between two questions: the first, and while rows wait.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// What a question takes at most.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) const DISTRUSTED: &str = "it may have missed writes that wait in the outbox";

/// What one cache knows about whom its store may have missed.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// Whether there is an outbox at all.
    is_watched: AtomicBool,
    /// Reasons for doubt so far.
    doubts: AtomicU64,
    /// How many of them are settled, and the connections the store had made when that was asked.
    settled: AtomicU64,
    connections: AtomicU64,
    /// Commits under way that leave a row.
    holds: AtomicUsize,
    state: Mutex<State>,
    tables: RwLock<Vec<Arc<dyn Table>>>,
}

#[derive(Debug, Default)]
struct State {
    is_asking: bool,
    /// When the next question may be asked.
    next: Duration,
    pause: Duration,
    /// The log was told that there is nobody to ask, or that he does not know.
    told: bool,
    /// Commits with a row whose outcome nobody knows.
    undecided: Vec<Undecided>,
}

#[derive(Clone, Debug)]
struct Undecided {
    writer: WriterId,
    origin: Origin,
    since: Duration,
}

impl Trust {
    /// Begins to doubt: from now on somebody must say that nothing waits.
    pub(crate) fn watch(&self) {
        if !self.is_watched.load(Ordering::SeqCst) {
            self.doubt();
            self.is_watched.store(true, Ordering::SeqCst);
        }
    }

    /// Adds a table unless a living one of its name is there.
    pub(crate) fn add(&self, table: Arc<dyn Table>) {
        let is_it = |known: &Arc<dyn Table>| known.name() == table.name();
        let known = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|known| is_it(known) && known.is_alive()) {
            return;
        }
        drop(known);
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|known| !is_it(known));
        tables.push(table);
        // What waits in a table that nobody has heard of was not asked about.
        self.doubt();
        drop(tables);
        self.watch();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reason not to trust the store from now on.
    pub(super) fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the store is trusted at this moment.
    fn is_given(&self, store: &Arc<dyn Store>) -> bool {
        if !self.is_watched.load(Ordering::SeqCst) {
            return true;
        }
        // Whoever holds doubts before he lets go: so the holders are looked at first.
        self.holds.load(Ordering::SeqCst) == 0
            && self.settled.load(Ordering::SeqCst) == self.doubts.load(Ordering::SeqCst)
            && self.connections.load(Ordering::SeqCst) == store.connections()
    }

    /// A commit is on its way that leaves a row: whoever returns from it must not be served what was there before.
    fn hold(self: &Arc<Self>, undecided: Undecided) -> Hold {
        self.watch();
        self.holds.fetch_add(1, Ordering::SeqCst);
        Hold { trust: Some(self.clone()), undecided: Some(undecided) }
    }

    /// Whether to ask now; if so, nobody else does until the answer is there.
    fn begins(self: &Arc<Self>, now: Duration) -> Option<Asking> {
        let mut state = self.state();
        if state.is_asking || now < state.next || self.holds.load(Ordering::SeqCst) > 0 {
            return None;
        }
        state.is_asking = true;
        Some(Asking { trust: self.clone(), answered: None })
    }

    /// Asks. `Ok` when nothing waits.
    async fn ask(&self, asked: &Asked) -> Result<(), String> {
        let undecided = self.state().undecided.clone();
        for writer in undecided {
            if !asked.is_finished(&writer).await {
                return Err("it is not known yet how a commit ended whose connection was lost".into());
            }
            self.state().undecided.retain(|known| known.writer != writer.writer);
        }
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner).clone();
        if tables.is_empty() {
            return Err(
                "this cache has an outbox and nobody to ask about it: start a relay (`cache_sqlx::Relay`)"
                    .into(),
            );
        }
        for table in tables {
            if table.holds_unreached(&asked.namespace).await? {
                return Err("the outbox holds what could not reach the store".into());
            }
        }
        Ok(())
    }
}

/// A commit that leaves a row. Dropped before anybody said how it ended, it may still be made.
#[derive(Debug)]
pub(crate) struct Hold {
    /// `None` only where a test took the rule out.
    trust: Option<Arc<Trust>>,
    undecided: Option<Undecided>,
}

impl Hold {
    /// It was made, and its row can be seen; or it was not, and never will be.
    pub(crate) fn decided(mut self) {
        self.undecided = None;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(trust) = &self.trust else { return };
        if let Some(undecided) = self.undecided.take() {
            trust.state().undecided.push(undecided);
        }
        // In this order: who finds nobody holding knows of this doubt.
        trust.doubt();
        trust.holds.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A question under way.
struct Asking {
    trust: Arc<Trust>,
    answered: Option<Duration>,
}

impl Asking {
    fn is_answered(&mut self, now: Duration) {
        self.answered = Some(now);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut state = self.trust.state();
        state.is_asking = false;
        // Unanswered it was cancelled, with its runtime.
        if let Some(now) = self.answered {
            state.next = now.saturating_add(state.pause);
        }
    }
}

/// What a question needs of its cache.
struct Asked {
    namespace: Namespace,
    store: Arc<dyn Store>,
    healers: Vec<Arc<dyn Healer>>,
    now: Duration,
    orphan_after: Duration,
}

impl Asked {
    async fn is_finished(&self, of: &Undecided) -> bool {
        let age = self.now.saturating_sub(of.since);
        if of.origin.is_none() {
            return age >= self.orphan_after;
        }
        let subject = self.namespace.subject(Kind::Entity, |text| text.literal("undecided"));
        let fence = Fence { subject, writer: of.writer, origin: of.origin.clone(), age };
        for healer in self.healers.iter().filter(|healer| healer.knows(&fence)) {
            if healer.finished(std::slice::from_ref(&fence)).await.contains(&of.writer) {
                return true;
            }
        }
        false
    }
}

impl Core {
    /// A commit of this transaction is on its way that leaves a row.
    pub(crate) fn hold(&self, origin: Origin) -> Hold {
        if self.settings.faults.trusts_early {
            self.trust.doubt();
            return Hold { trust: None, undecided: None };
        }
        let writer = self.new_writer();
        self.trust.hold(Undecided { writer, origin, since: self.clock.monotonic() })
    }

    /// Whether what the store has said counts at this moment.
    #[inline]
    pub(super) fn is_trusted(&self) -> bool {
        self.settings.faults.trusts_anyway || self.store().is_some_and(|store| self.trust.is_given(store))
    }

    /// Whether the store may be asked on the read path; if not, somebody finds out when it may.
    pub(super) fn trusts(&self) -> Result<(), StoreError> {
        let Some(store) = self.store().filter(|_| !self.settings.faults.trusts_anyway) else { return Ok(()) };
        if self.trust.is_given(store) {
            return Ok(());
        }
        self.wonder(store);
        Err(StoreError::new(StoreErrorKind::Unavailable, DISTRUSTED))
    }

    /// The store failed a read: it may have been away, and others may have written meanwhile.
    pub(super) fn doubts(&self, error: &StoreError) {
        if matches!(error.kind(), StoreErrorKind::Unavailable | StoreErrorKind::Disconnected) {
            self.trust.doubt();
        }
    }

    /// Asks behind everybody's back whether the store can be trusted, unless somebody does or did a moment ago.
    fn wonder(&self, store: &Arc<dyn Store>) {
        let now = self.clock.monotonic();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let Some(mut asking) = self.trust.begins(now) else { return };
        let asked = Asked {
            namespace: self.namespace.clone(),
            store: store.clone(),
            healers: self.healing.known(),
            now,
            orphan_after: self.settings.orphan_after,
        };
        let (clock, trust) = (self.clock.clone(), self.trust.clone());
        runtime.spawn(async move {
            let doubts = trust.doubts.load(Ordering::SeqCst);
            let connections = asked.store.connections();
            if trust.holds.load(Ordering::SeqCst) > 0 {
                return;
            }
            let answer = tokio::time::timeout(PATIENCE, trust.ask(&asked)).await;
            let answer = answer.unwrap_or_else(|_| Err("the database did not answer".into()));
            asking.is_answered(clock.monotonic());
            let mut state = trust.state();
            match answer {
                Ok(()) => {
                    trust.connections.store(connections, Ordering::SeqCst);
                    trust.settled.store(doubts, Ordering::SeqCst);
                    state.pause = FIRST_PAUSE;
                    if std::mem::take(&mut state.told) {
                        tracing::info!("nothing waits in the outbox that could not reach the store: it answers reads again");
                    }
                }
                Err(why) => {
                    state.pause = (state.pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
                    if !std::mem::replace(&mut state.told, true) {
                        tracing::warn!(why, "the store is not trusted, and reads load, until the outbox is known to hold nothing that could not reach it");
                    }
                }
            }
        });
    }
}
