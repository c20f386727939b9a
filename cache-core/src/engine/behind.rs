//! Loads that go on behind the caller's back: how many, which, and which rest because they failed. Refuses a second one of a
//! key in one process, and more at a time than there are places.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tracing::Instrument;

use super::Core;
use super::lease::{Asked, Force, Grant};
use super::load::{FIRST_PAUSE, LAST_PAUSE};
use super::read::Plan;
use crate::flight::Shared;
use crate::freshness::{Arrival, Proof, Stage, may_take};
use crate::loading::Known;
use crate::store::{BoxFuture, Leased};
use crate::subject::{EntryKey, Subject};

/// How many failed keys are remembered; beyond that the ones whose rest is over are forgotten, and then any.
const MOST_RESTING: usize = 10_000;

/// A load in the background holds its place no longer than this, and its `hard_timeout`: nobody waits for it, so nobody would
/// notice one that hangs. Long, since the dearest loads are the ones that are loaded behind everybody's back.
const LONGEST: Duration = Duration::from_secs(300);

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
    /// With the tags it is loaded under: under others, what its fill proves says nothing.
    running: HashMap<EntryKey, (Vec<Subject>, watch::Receiver<Progress>)>,
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

    /// A place for this key's load, unless it has one or there is none.
    fn begin(core: &Arc<Core>, plan: &Plan) -> Begun {
        let mut state = core.behind.state();
        if let Some((tags, events)) = state.running.get(&plan.key) {
            let arrival = if *tags == plan.tags { events.borrow().stage } else { Stage::Sealed };
            return Begun::Before(Awaited { events: events.clone(), arrival: Some(arrival) });
        }
        let Ok(permit) = core.behind.places.clone().try_acquire_owned() else { return Begun::Not };
        let (teller, events) = watch::channel(Progress { stage: Stage::Pending, outcome: None });
        state.running.insert(plan.key.clone(), (plan.tags.clone(), events.clone()));
        let place = Place { core: core.clone(), key: plan.key.clone(), _permit: permit };
        Begun::Now(place, Teller(teller), Awaited { events, arrival: None })
    }
}

/// Whether a background load begins.
enum Begun {
    /// Now, for this caller.
    Now(Place, Teller, Awaited),
    /// It did before.
    Before(Awaited),
    /// All places are taken.
    Not,
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

/// How far a background load is.
#[derive(Debug)]
struct Progress {
    stage: Stage,
    outcome: Option<Outcome>,
}

/// How a background load ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Loaded { value: Shared, is_tainted: bool, is_skipped: bool, filled: bool },
    Failed,
}

/// A background load that a caller may wait for.
pub(super) struct Awaited {
    events: watch::Receiver<Progress>,
    /// How far it was when the caller came; `None` for the one that it was begun for.
    arrival: Option<Stage>,
}

/// What a background load is to one who waited for it.
pub(super) enum Ending {
    /// A value for this caller.
    Value {
        value: Shared,
        is_tainted: bool,
        is_skipped: bool,
    },
    /// A value that is not his, or none was loaded since somebody else does: there may be an entry.
    LookAgain,
    Failed,
}

impl Awaited {
    /// Whether it was begun for another caller.
    pub(super) fn is_anothers(&self) -> bool {
        self.arrival.is_some()
    }

    /// Waits for its end.
    pub(super) async fn ending(&mut self) -> Ending {
        let Ok(progress) = self.events.wait_for(|progress| progress.outcome.is_some()).await else {
            return Ending::LookAgain;
        };
        match (&progress.outcome, self.arrival) {
            (Some(Outcome::Loaded { value, is_tainted, is_skipped, filled }), arrival) => {
                let proof = Proof::Load { filled: *filled };
                // Nobody else may take what an older value went into, or what may have been outdated when he came.
                let is_his =
                    arrival.is_none_or(|stage| !is_tainted && may_take(Arrival { stage, asked: 0 }, proof));
                match is_his {
                    true => Ending::Value {
                        value: value.clone(),
                        is_tainted: *is_tainted,
                        is_skipped: *is_skipped,
                    },
                    false => Ending::LookAgain,
                }
            }
            _ => Ending::Failed,
        }
    }
}

/// What a call that was made again finds in its task.
pub(super) struct Resume {
    core: Arc<Core>,
    key: EntryKey,
    grant: Option<Grant>,
    previous: Option<Known>,
    teller: Teller,
}

impl Resume {
    /// The lease, what stands, and whom to tell.
    pub(super) fn begin(self) -> (Option<Grant>, Option<Known>, Teller) {
        (self.grant, self.previous, self.teller)
    }
}

/// Tells whoever waits how the load goes; dropped before its end, that there is nothing.
pub(super) struct Teller(watch::Sender<Progress>);

impl Teller {
    /// About to poll the loader for the first time, or (`Sealed`) about to send the fill.
    pub(super) fn reaches(&self, stage: Stage) {
        self.0.send_modify(|progress| progress.stage = stage);
    }

    /// Whether anybody waits. One receiver is kept for those who come.
    fn is_awaited(&self) -> bool {
        self.0.receiver_count() > 1
    }

    pub(super) fn tell(self, outcome: Outcome) {
        self.0.send_modify(|progress| progress.outcome = Some(outcome));
    }
}

tokio::task_local! {
    static RESUME: RefCell<Option<Resume>>;
}

/// Whether the running task makes a call again, whichever that is.
pub(super) fn is_again() -> bool {
    RESUME.try_with(|_| ()).is_ok()
}

/// What this call is to go on with, if it was made again for this entry of this cache.
pub(super) fn resume(core: &Arc<Core>, key: &EntryKey) -> Option<Resume> {
    let mine = |resume: &mut Resume| Arc::ptr_eq(&resume.core, core) && resume.key == *key;
    RESUME.try_with(|resume| resume.borrow_mut().take_if(mine)).ok().flatten()
}

/// Loads an entry anew in a task of its own, if a place is free, nobody does already, and the lease can be had. Gives what may be
/// waited for: that load, or the one that runs.
pub(super) fn renew(
    core: &Arc<Core>,
    plan: &Plan,
    force: Force,
    previous: Option<Known>,
    again: impl Again,
) -> Option<Awaited> {
    let (place, teller, awaited) = match Behind::begin(core, plan) {
        Begun::Now(place, teller, awaited) => (place, teller, awaited),
        Begun::Before(awaited) => return Some(awaited),
        Begun::Not => return None,
    };
    let call = again.again()?;
    let (core, plan) = (core.clone(), plan.clone());
    // Not a part of the request, which does not wait for it, but caused by it.
    let span = tracing::debug_span!(parent: None, "cache.refresh", template = plan.state.site.template, key = %plan.key.subject);
    span.follows_from(tracing::Span::current());
    let renewal = async move {
        let _place = place;
        let faults = core.settings.faults;
        let late = faults.renews_by_set || faults.refreshes_by_set;
        let grant = if late { None } else { lease(&core, &plan, force, &teller).await };
        if late || grant.is_some() {
            plan.state.counters.refreshes.add();
            let limit = LONGEST.saturating_add(plan.state.policy().timeouts.hard.unwrap_or_default());
            let resume = Resume { core, key: plan.key.clone(), grant, previous, teller };
            if tokio::time::timeout(limit, within(resume, call)).await.is_err() {
                plan.state.counters.load_timeouts.add();
                tracing::warn!(template = plan.state.site.template, key = %plan.key.subject, ?limit, "a load in the background took too long and was dropped");
            }
        }
    };
    tokio::spawn(renewal.instrument(span));
    Some(awaited)
}

/// A lease although this entry stands. While another instance has it, it is asked for again for as long as somebody here waits
/// for what that one loads.
async fn lease(core: &Arc<Core>, plan: &Plan, force: Force, teller: &Teller) -> Option<Grant> {
    let (since, mut pause) = (core.clock.monotonic(), FIRST_PAUSE);
    loop {
        match core.lease(plan, force, &[]).await {
            Ok(Asked::Granted(grant)) => return Some(grant),
            Ok(Asked::Other(Leased::Busy)) if teller.is_awaited() => {}
            _ => return None,
        }
        if core.clock.monotonic().saturating_sub(since) >= plan.waits() {
            return None;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST_PAUSE);
    }
}

async fn within(resume: Resume, call: impl Future<Output = ()>) {
    RESUME.scope(RefCell::new(Some(resume)), call).await;
}
