//! Loads that go on behind the caller's back: how many, which, and which rest because they failed. Refuses a second one of a
//! key in one process, and more at a time than there are places.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Core;
use super::lease::{Force, Grant};
use super::read::Plan;
use crate::flight::Shared;
use crate::loading::Known;
use crate::store::BoxFuture;
use crate::subject::EntryKey;

/// How many failed keys are remembered; beyond that the ones whose rest is over are forgotten, and then any.
const MOST_RESTING: usize = 10_000;

/// Calls a function again by itself.
pub(crate) trait Again {
    /// Whether it can.
    const CAN: bool;

    /// The call, for a task of its own; it finds what it is for in the task. `None` where it cannot.
    fn again(self) -> Option<BoxFuture<'static, ()>>;
}

/// A function that can only be called by its caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inline;

impl Again for Inline {
    const CAN: bool = false;

    fn again(self) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// A function that can be called again, by this closure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Background<C>(pub(crate) C);

impl<C: FnOnce() -> BoxFuture<'static, ()>> Again for Background<C> {
    const CAN: bool = true;

    fn again(self) -> Option<BoxFuture<'static, ()>> {
        Some((self.0)())
    }
}

/// The background loads of one cache in one process.
#[derive(Debug)]
pub(crate) struct Behind {
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: HashSet<EntryKey>,
    /// Until when, on the monotonic clock.
    resting: HashMap<EntryKey, Duration>,
}

impl Behind {
    pub(crate) fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a load of this key failed a moment ago.
    pub(super) fn rests(&self, key: &EntryKey, now: Duration) -> bool {
        let mut state = self.state();
        match state.resting.get(key) {
            Some(until) if now < *until => true,
            Some(_) => {
                state.resting.remove(key);
                false
            }
            None => false,
        }
    }

    /// A load of this key failed: it rests until then.
    pub(super) fn failed(&self, key: &EntryKey, now: Duration, until: Duration) {
        let mut state = self.state();
        if state.resting.len() >= MOST_RESTING {
            state.resting.retain(|_, until| now < *until);
        }
        if state.resting.len() >= MOST_RESTING {
            state.resting.clear();
        }
        state.resting.insert(key.clone(), until);
    }

    fn running(core: &Arc<Core>, key: &EntryKey) -> Option<Place> {
        let permit = core.behind.places.clone().try_acquire_owned().ok()?;
        let is_first = core.behind.state().running.insert(key.clone());
        is_first.then(|| Place { core: core.clone(), key: key.clone(), _permit: permit })
    }
}

/// A key's background load, while it runs.
struct Place {
    core: Arc<Core>,
    key: EntryKey,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.core.behind.state().running.remove(&self.key);
    }
}

/// How a background load ended.
pub(super) enum Outcome {
    Loaded { value: Shared, is_tainted: bool, is_skipped: bool },
    Failed,
}

/// What a call that was made again finds in its task.
pub(super) struct Resume {
    core: Arc<Core>,
    key: EntryKey,
    grant: Option<Grant>,
    previous: Option<Known>,
    told: oneshot::Sender<Outcome>,
}

impl Resume {
    /// The lease, what stands, and whom to tell.
    pub(super) fn begin(self) -> (Option<Grant>, Option<Known>, Teller) {
        (self.grant, self.previous, Teller(self.told))
    }
}

/// Tells whoever waits how the load ended; nothing if it is dropped.
pub(super) struct Teller(oneshot::Sender<Outcome>);

impl Teller {
    pub(super) fn tell(self, outcome: Outcome) {
        // Nobody waits where the value that stands was served at once.
        let _ = self.0.send(outcome);
    }
}

tokio::task_local! {
    static RESUME: RefCell<Option<Resume>>;
}

/// What this call is to go on with, if it was made again for this entry of this cache.
pub(super) fn resume(core: &Arc<Core>, key: &EntryKey) -> Option<Resume> {
    let mine = |resume: &mut Resume| Arc::ptr_eq(&resume.core, core) && resume.key == *key;
    RESUME.try_with(|resume| resume.borrow_mut().take_if(mine)).ok().flatten()
}

/// Loads an entry anew in a task of its own, if a place is free, nobody does already, and the lease can be had. The answer comes
/// when the load has ended; it is dropped where there was none.
pub(super) fn renew(
    core: &Arc<Core>,
    plan: &Plan,
    force: Force,
    previous: Option<Known>,
    again: impl Again,
) -> Option<oneshot::Receiver<Outcome>> {
    let place = Behind::running(core, &plan.key)?;
    let call = again.again()?;
    let (told, outcome) = oneshot::channel();
    let (core, plan) = (core.clone(), plan.clone());
    tokio::spawn(async move {
        let _place = place;
        let faults = core.settings.faults;
        let late = faults.renews_by_set || faults.refreshes_by_set;
        let grant = if late { None } else { core.lease_early(&plan, force).await };
        if late || grant.is_some() {
            plan.state.counters.refreshes.add();
            let resume = Resume { core, key: plan.key.clone(), grant, previous, told };
            within(resume, call).await;
        }
    });
    Some(outcome)
}

async fn within(resume: Resume, call: impl Future<Output = ()>) {
    RESUME.scope(RefCell::new(Some(resume)), call).await;
}
