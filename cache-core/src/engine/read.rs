//! A read: look, join, lead, load. Refuses to fail for the cache's sake: whatever goes wrong in it ends in a load.

use std::any::TypeId;
use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::behind::{self, Again, Outcome};
use super::hint::{Frame, Learned, Namer};
use super::lease::Force;
use super::load::{Loaded, Obtained, Reader};
use super::{Core, SiteState, put};
use crate::breaker::Touched;
use crate::codec;
use crate::entry::{self, Header};
use crate::flight::{self, Ending, Leader, Next, Role, Shared, Waiter};
use crate::freshness::{self, Arrival, Proof, Stage, Wanted, may_take};
use crate::key::{Namespace, Text};
use crate::loading::{self, Known};
use crate::mode;
use crate::output::{Output, Payload, ValueOf};
use crate::policy::{Early, OnWait, Sharing};
use crate::site::ReadSite;
use crate::stampede::{self, Age, Standing};
use crate::store::{Found, Store};
use crate::subject::{EntryKey, Kind, Subject};

/// Collects the tags of an entry.
#[derive(Debug)]
pub struct Tags {
    pub(super) namespace: Namespace,
    pub(super) tags: Vec<Subject>,
    pub(super) frames: Vec<Frame>,
}

impl Tags {
    /// The tag whose text `write` writes.
    pub fn tag(&mut self, write: impl FnOnce(&mut Text)) {
        self.tags.push(self.namespace.subject(Kind::Tag, write));
    }

    /// A tag whose text the value completes ([`ValueTags`](super::ValueTags)).
    pub fn frame(&mut self, write: impl FnOnce(&mut Frame)) {
        let mut frame = Frame::default();
        write(&mut frame);
        self.frames.push(frame);
    }
}

/// What one call of a cached function reads.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) key: EntryKey,
    pub(super) tags: Vec<Subject>,
    /// The tags that the value names.
    pub(super) learned: Option<Arc<Learned>>,
    pub(super) state: Arc<SiteState>,
}

impl Plan {
    /// The parts of the store that this read depends on.
    pub(super) fn touched(&self, store: &Arc<dyn Store>, tags: &[Subject]) -> Touched {
        Touched::new(store.shard(&self.key.subject), tags.iter().map(|tag| store.shard(tag)))
    }

    /// The tags whose generations are asked for: those declared, then those that the value is likely to name.
    pub(super) fn asked(&self) -> Cow<'_, [Subject]> {
        match self.learned.as_ref().and_then(|learned| learned.hint()) {
            Some(hint) if !hint.is_empty() => [&*self.tags, &hint].concat().into(),
            _ => Cow::Borrowed(&self.tags),
        }
    }

    /// Whether an entry named other tags than were asked for, so that it is worth asking again.
    pub(super) fn is_other(&self) -> bool {
        self.learned.as_ref().is_some_and(|learned| learned.is_other())
    }

    fn wanted(&self, header: &Header) -> Wanted<'_> {
        let learned = if self.learned.is_some() { header.learned.len() } else { 0 };
        Wanted {
            fingerprint: self.key.fingerprint(),
            full_key: self.key.subject.full(),
            tags: self.tags.len() + learned,
        }
    }
}

/// An entry that may be served.
pub(super) struct Alive<V> {
    pub(super) value: Option<Arc<V>>,
    pub(super) standing: Standing,
    /// What a lease is asked for over.
    pub(super) force: Force,
    /// For a loader that may find it unmodified.
    pub(super) known: Option<Known>,
}

pub(super) enum Looked<V> {
    Hit(Alive<V>),
    Miss,
}

/// What a call asks for, before its value's type and its loader are known.
#[derive(Debug)]
pub(crate) struct Request {
    state: Arc<SiteState>,
    subject: Subject,
    tags: Vec<Subject>,
    frames: Vec<Frame>,
    namer: Option<Namer>,
}

impl Request {
    /// The value names tags, too.
    pub(crate) fn named_by(&mut self, namer: Namer) {
        self.namer = Some(namer);
    }
}

/// Writes a call's names; `None` where it runs past the cache.
pub(crate) fn request(
    core: &Core,
    site: &'static ReadSite,
    key: impl FnOnce(&mut Text),
    tags: impl FnOnce(&mut Tags),
) -> Option<Request> {
    core.store()?;
    let state = core.site(site);
    if mode::is_bypassed() {
        state.counters.bypasses.add();
        return None;
    }
    let mut collected = Tags { namespace: core.namespace.clone(), tags: Vec::new(), frames: Vec::new() };
    tags(&mut collected);
    let subject = core.namespace.subject(Kind::Entity, key);
    let Tags { tags, frames, .. } = collected;
    Some(Request { state, subject, tags, frames, namer: None })
}

/// Reads through the cache; `load` is called at most once here, and once more in a task of its own if `again` can.
pub(crate) async fn read<O, F>(
    core: &Arc<Core>,
    request: Option<Request>,
    load: impl FnOnce() -> F,
    again: impl Again,
) -> O
where
    O: Output,
    F: Future<Output = O>,
{
    let Some(Request { state, subject, tags, frames, namer }) = request else {
        // A load of its own: what it asks and says is nothing to the one that it may be part of.
        return loading::run(None, None, load()).await.0;
    };
    let key = EntryKey { subject, field: put::field::<ValueOf<O>>(state.seed) };
    let learn = |namer| Learned::new(core.namespace.clone(), frames, namer, core.hints.of(&key));
    let learned = namer.map(learn).map(Arc::new);
    let plan = Plan { key, tags, learned, state };
    let reader =
        Reader::<O> { core, plan: &plan, degraded: AtomicBool::new(false), output: std::marker::PhantomData };
    match behind::resume(core, &plan.key) {
        Some(resume) => reader.resumed(resume, load).await,
        None => reader.run(load, again).await,
    }
}

impl<O: Output> Reader<'_, O> {
    async fn run<F: Future<Output = O>>(&self, load: impl FnOnce() -> F, again: impl Again) -> O {
        let counters = &self.plan.state.counters;
        self.is_seen();
        let standing = match self.look().await {
            Looked::Hit(alive) if alive.standing == Standing::IfError => Some(alive),
            Looked::Hit(alive) => return self.hit(alive, load, again).await,
            Looked::Miss => None,
        };
        counters.misses.add();
        self.is_thought_about();
        match standing {
            Some(alive) => self.over(alive, load, again).await,
            None => self.join_or_lead(load, None).await,
        }
    }

    /// Serves an entry, and sees to it that it is loaded anew where that is due.
    async fn hit<F: Future<Output = O>>(
        &self,
        alive: Alive<ValueOf<O>>,
        load: impl FnOnce() -> F,
        again: impl Again,
    ) -> O {
        let counters = &self.plan.state.counters;
        if alive.value.is_some() { &counters.hits } else { &counters.negative_hits }.add();
        if alive.standing != Standing::Current && !self.is_resting() {
            if self.is_inline(&again) {
                let late = self.core.settings.faults.refreshes_by_set;
                let grant = if late { None } else { self.core.lease_early(self.plan, alive.force).await };
                if late || grant.is_some() {
                    counters.refreshes.add();
                    return self.load_early(grant, alive, load).await;
                }
            } else {
                behind::renew(self.core, self.plan, alive.force, alive.known.clone(), again);
            }
        }
        match self.serve(alive) {
            Some(output) => output,
            // A negative entry that this type cannot say: as if it were not there.
            None => self.join_or_lead(load, None).await,
        }
    }

    fn is_inline<A: Again>(&self, _: &A) -> bool {
        !A::CAN
    }

    /// A load of this entry failed a moment ago.
    pub(super) fn is_resting(&self) -> bool {
        self.core.behind.rests(&self.plan.key, self.core.clock.monotonic())
    }

    /// Loads what is over; the value that stands is served if the load fails, or takes long.
    async fn over<F: Future<Output = O>>(
        &self,
        alive: Alive<ValueOf<O>>,
        load: impl FnOnce() -> F,
        again: impl Again,
    ) -> O {
        if !self.is_resting() {
            match self.plan.state.policy().timeouts.soft {
                Some(soft) if !self.is_inline(&again) => {
                    let outcome =
                        behind::renew(self.core, self.plan, alive.force, alive.known.clone(), again);
                    if let Some(output) = self.within_soft(soft, outcome).await {
                        return output;
                    }
                }
                _ => return self.join_or_lead(load, Some(alive)).await,
            }
        }
        match self.serve_stale(alive) {
            Some(output) => output,
            None => self.join_or_lead(load, None).await,
        }
    }

    /// Waits for a load in the background; `None` if there is nothing, or nothing in time.
    async fn within_soft(&self, soft: Duration, outcome: Option<oneshot::Receiver<Outcome>>) -> Option<O> {
        match tokio::time::timeout(soft, outcome?).await {
            Ok(Ok(Outcome::Loaded { value, is_tainted, is_skipped })) => {
                loading::inherit(is_tainted, is_skipped);
                Self::typed(value).and_then(Self::hand_out)
            }
            Ok(Ok(Outcome::Failed) | Err(_)) => None,
            Err(_) => {
                self.plan.state.counters.soft_timeouts.add();
                None
            }
        }
    }

    /// Serves what stands, whether its lifetime is over or not.
    pub(super) fn serve(&self, alive: Alive<ValueOf<O>>) -> Option<O> {
        if alive.standing == Standing::Stale { self.serve_stale(alive) } else { Self::hand_out(alive.value) }
    }

    /// Serves a value whose lifetime is over.
    pub(super) fn serve_stale(&self, alive: Alive<ValueOf<O>>) -> Option<O> {
        let output = Self::hand_out(alive.value)?;
        self.plan.state.counters.stale.add();
        loading::taint();
        Some(output)
    }

    pub(super) fn hand_out(value: Option<Arc<ValueOf<O>>>) -> Option<O> {
        O::Payload::unshare(value).map(O::wrap)
    }

    pub(super) async fn look(&self) -> Looked<ValueOf<O>> {
        let Some(store) = self.core.store() else { return Looked::Miss };
        // Twice at most: an entry may name other tags than were asked for.
        for _ in 0..2 {
            let tags = self.plan.asked();
            match self.core.ask(&self.plan.touched(store, &tags), store.get(&self.plan.key, &tags)).await {
                Err(_) => {
                    self.degrades();
                    return Looked::Miss;
                }
                Ok(found) => {
                    if let Some(alive) = self.open(&found) {
                        return Looked::Hit(alive);
                    }
                }
            }
            if !self.plan.is_other() {
                break;
            }
        }
        Looked::Miss
    }

    /// The entry of an answer, if it is one that may be served here.
    pub(super) fn open(&self, found: &Found) -> Option<Alive<ValueOf<O>>> {
        let blob = found.blob.as_ref()?;
        let counters = &self.plan.state.counters;
        let Ok((mut header, payload)) = entry::decode(blob) else {
            counters.undecodable.add();
            return None;
        };
        if self.core.settings.faults.serves_any_epoch {
            header.epoch = found.epoch;
        }
        let fitted = match &self.plan.learned {
            None => None,
            Some(learned) => {
                let (known, fitted) = (learned.hint(), learned.fit(&header, found, self.plan.tags.len()));
                self.keep_hint(learned, known.as_ref());
                Some(fitted?)
            }
        };
        let found = fitted.as_ref().unwrap_or(found);
        freshness::usable(&header, found, self.plan.wanted(&header)).ok()?;
        let value = if header.negative { None } else { Some(self.decode(header.codec, &payload)?) };
        if value.is_none() && !O::Payload::NEGATIVE {
            return None;
        }
        let policy = self.plan.state.policy();
        let age = Age {
            lifetime: header.current_until.since(header.made_at),
            left: header.current_until.since(found.now),
            over: found.now.since(header.current_until),
            load: header.load,
        };
        let luck = if policy.stampede.early == Early::Never { 1.0 } else { self.core.rng.unit() };
        let standing = stampede::standing(&age, &policy, luck);
        if standing == Standing::Over {
            return None;
        }
        let known = match (&value, standing) {
            (Some(value), Standing::Early | Standing::Stale | Standing::IfError) => Some(Known {
                value: value.clone(),
                validator: header.validator,
                age: found.now.since(header.made_at),
            }),
            _ => None,
        };
        Some(Alive { value, standing, force: Force::over(found.blob.as_ref()), known })
    }

    /// Remembers for the next call what this one has learnt.
    pub(super) fn keep_hint(&self, learned: &Learned, known: Option<&Arc<[Subject]>>) {
        if let Some(tags) = learned.hint()
            && known.is_none_or(|known| !Arc::ptr_eq(known, &tags))
        {
            self.core.hints.keep(&self.plan.key, tags);
        }
    }

    fn decode(&self, codec: u8, payload: &Bytes) -> Option<Arc<ValueOf<O>>> {
        match codec::decode(codec, payload) {
            Ok(value) => Some(Arc::new(value)),
            Err(error) => {
                self.plan.state.counters.undecodable.add();
                tracing::debug!(%error, key = %self.plan.key.subject, "an entry does not decode; loading");
                None
            }
        }
    }

    /// Loads, or takes what another caller loads. `standing` is served where nothing better is to be had.
    async fn join_or_lead<F: Future<Output = O>>(
        &self,
        load: impl FnOnce() -> F,
        mut standing: Option<Alive<ValueOf<O>>>,
    ) -> O {
        let counters = &self.plan.state.counters;
        let policy = self.plan.state.policy();
        if policy.stampede.sharing == Sharing::Nobody {
            return self.alone(load, standing).await;
        }
        let key = flight::Key {
            entry: self.plan.key.clone(),
            tags: self.plan.tags.clone(),
            value: TypeId::of::<ValueOf<O>>(),
            negative: O::Payload::NEGATIVE,
        };
        let mut lost = 0;
        loop {
            let waiter = match self.core.flights.enter(&key, lost) {
                Role::Lead(leader) => return self.lead(leader, load, standing).await,
                Role::Wait(waiter) => waiter,
            };
            match policy.on_wait {
                OnWait::Wait(_) => {}
                OnWait::Load => return self.load_unleased(load, standing).await,
                OnWait::Stale => {
                    if let Some(output) = standing.take().and_then(|alive| self.serve_stale(alive)) {
                        return output;
                    }
                }
            }
            match self.wait(waiter).await {
                Waited::Took(output) => {
                    counters.joined.add();
                    return output;
                }
                Waited::LookAgain => {
                    lost = 0;
                    if let Looked::Hit(alive) = self.look().await
                        && alive.standing != Standing::IfError
                        && let Some(output) = self.serve(alive)
                    {
                        counters.joined.add();
                        return output;
                    }
                }
                Waited::EnterAgain(now_lost) => {
                    lost = now_lost;
                    // Another caller's load failed: one's own would, too.
                    if lost > 0
                        && let Some(output) = standing.take().and_then(|alive| self.serve_stale(alive))
                    {
                        return output;
                    }
                }
                Waited::Lead(leader) => return self.lead(leader, load, standing).await,
                Waited::LoadBeside(_permit) => return self.load_unleased(load, standing).await,
            }
        }
    }

    /// Loads for this caller alone, and fills if nobody else does.
    async fn alone<F: Future<Output = O>>(
        &self,
        load: impl FnOnce() -> F,
        standing: Option<Alive<ValueOf<O>>>,
    ) -> O {
        let grant = match self.obtain(|| 0, false).await {
            Obtained::Entry(value, _) => match Self::hand_out(value) {
                Some(output) => return output,
                None => None,
            },
            Obtained::Grant(grant) => Some(grant),
            Obtained::Nothing | Obtained::Stale => None,
        };
        let loaded = self.load(load, standing.as_ref().and_then(|alive| alive.known.clone())).await;
        if let (Ok(value), Some(grant)) = (&loaded.payload, grant) {
            self.fill(grant, value.as_deref(), &loaded.verdict, loaded.took).await;
        }
        match loaded.payload {
            Ok(value) => Self::loaded(value),
            Err(error) => self.fails(error, standing),
        }
    }

    pub(super) async fn wait(&self, mut waiter: Waiter) -> Waited<O> {
        let (arrival, beside) = (waiter.arrival(), waiter.beside());
        let patience = self.plan.state.waits();
        // Few load beside a flight at once, but nobody waits for a place for ever: the loads in front may hang.
        let place =
            || async { tokio::time::timeout(patience, beside.clone().acquire_owned()).await.ok()?.ok() };

        let ending = tokio::select! {
            biased;
            ending = waiter.ending() => ending,
            () = tokio::time::sleep(patience) => match waiter.overtake() {
                Next::Lead(leader) => return Waited::Lead(leader),
                Next::Enter => return Waited::EnterAgain(0),
                Next::Full => tokio::select! {
                    biased;
                    ending = waiter.ending() => ending,
                    permit = place() => return Waited::LoadBeside(permit),
                },
            },
        };
        match ending {
            Ending::Landed(value, proof) => {
                if self.takes(arrival, proof)
                    && let Some(output) = Self::typed(value).and_then(Self::hand_out)
                {
                    return Waited::Took(output);
                }
                match proof {
                    Proof::Load { filled: false } => Waited::EnterAgain(0),
                    Proof::Load { filled: true } | Proof::Entry { .. } => Waited::LookAgain,
                }
            }
            // One loader that fails or leaves says nothing about the next; two in a row do, and then nobody waits for
            // another's loader, only for a place.
            Ending::Lost(in_a_row) if in_a_row >= 2 => Waited::LoadBeside(place().await),
            Ending::Lost(in_a_row) => Waited::EnterAgain(in_a_row),
        }
    }

    fn takes(&self, arrival: Arrival, proof: Proof) -> bool {
        let faults = self.core.settings.faults;
        let loaded = matches!(proof, Proof::Load { .. });
        may_take(arrival, proof)
            || faults.joins_anytime
            || (faults.joins_refused && loaded && arrival.stage == Stage::Loading)
    }

    fn typed(value: Shared) -> Option<Option<Arc<ValueOf<O>>>> {
        match value {
            None => Some(None),
            Some(any) => any.downcast().ok().map(Some),
        }
    }

    async fn lead<F: Future<Output = O>>(
        &self,
        leader: Leader,
        load: impl FnOnce() -> F,
        standing: Option<Alive<ValueOf<O>>>,
    ) -> O {
        let grant = match self.obtain(|| leader.asks(), standing.is_some()).await {
            Obtained::Entry(value, asked) => {
                if let Some(output) = Self::hand_out(value.clone()) {
                    leader.lands(value.map(|value| value as _), Proof::Entry { asked });
                    return output;
                }
                None
            }
            Obtained::Stale => match standing.and_then(|alive| self.serve_stale(alive)) {
                Some(output) => return output,
                None => return self.load_unleased(load, None).await,
            },
            Obtained::Grant(grant) => Some(grant),
            Obtained::Nothing => {
                // Nothing was awaited since the flight opened, or it was refused at once: let those who were woken
                // together with this caller arrive while it is pending.
                tokio::task::yield_now().await;
                None
            }
        };
        leader.reaches(Stage::Loading);
        let loaded = self.load(load, standing.as_ref().and_then(|alive| alive.known.clone())).await;
        let Loaded { payload, verdict, took } = loaded;
        let value = match payload {
            Ok(value) => value,
            Err(error) => {
                if let (true, Some(alive)) = (self.core.settings.faults.shares_stale, &standing) {
                    let value = alive.value.clone().map(|value| value as _);
                    leader.lands(value, Proof::Load { filled: true });
                }
                return self.fails(error, standing);
            }
        };
        if verdict.is_tainted {
            // Nobody may take it who would not have read the older value himself.
            return Self::loaded(value);
        }
        let late = self.core.settings.faults.seals_late;
        if !late {
            leader.reaches(Stage::Sealed);
        }
        let filled = match grant {
            Some(grant) => self.fill(grant, value.as_deref(), &verdict, took).await,
            None => false,
        };
        leader.lands(value.clone().map(|value| value as _), Proof::Load { filled });
        Self::loaded(value)
    }

    /// The value that was just loaded, in the type it was loaded in.
    pub(super) fn loaded(value: Option<Arc<ValueOf<O>>>) -> O {
        Self::hand_out(value).expect("a payload that was taken apart can be put together again")
    }
}

pub(super) enum Waited<O> {
    Took(O),
    /// The flight ended with an entry that is not this caller's: one of its own may be there now.
    LookAgain,
    /// The flight ended without one; so many were lost in a row.
    EnterAgain(u32),
    /// The flight took too long: this caller leads the next.
    Lead(Leader),
    /// Load without waiting any longer; the permit bounds how many do.
    LoadBeside(Option<tokio::sync::OwnedSemaphorePermit>),
}
