//! A read: look, join, lead, load. Refuses to fail for the cache's sake: whatever goes wrong in it ends in a load.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;

use super::behind::{self, Again};
use super::hint::{Frame, Learned, Namer};
use super::lease::Force;
use super::load::Reader;
use super::near::{self, Sought};
use super::pace::Last;
use super::{Core, SiteState, call, put};
use crate::breaker::Touched;
use crate::codec;
use crate::entry::{self, Header};
use crate::freshness::{self, Wanted};
use crate::key::{Namespace, Text};
use crate::loading::{self, Known};
use crate::mode::{self, Bypassed, Call, Miss, Mode, Outcome as Answered};
use crate::output::{Output, Payload, ValueOf};
use crate::policy::Early;
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
    /// Whether what is read goes into the L1.
    pub(super) shares: bool,
    /// What the load of the entry took that was found.
    pub(super) last: Last,
}

impl Plan {
    /// How long this call waits for another's load.
    pub(super) fn waits(&self) -> Duration {
        self.state.waits(self.last.load())
    }

    /// How long its lease keeps others from loading.
    pub(super) fn lease(&self) -> Duration {
        self.state.pace.lease(self.last.load())
    }

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

    pub(super) fn wanted(&self, header: &Header) -> Wanted<'_> {
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
    pub(super) age: Duration,
    /// Of its lifetime.
    pub(super) left: Duration,
    /// Of the time until it is loaded anew, by whoever that is: for so long an L1 may serve it.
    pub(super) quiet: Duration,
    /// Its size in the store.
    pub(super) bytes: usize,
    /// For a loader that may find it unmodified.
    pub(super) known: Option<Known>,
}

/// What a call asks for, before its value's type and its loader are known.
#[derive(Debug)]
pub(crate) struct Request {
    state: Arc<SiteState>,
    subject: Subject,
    tags: Vec<Subject>,
    frames: Vec<Frame>,
    namer: Option<Namer>,
    call: Call,
    sought: Option<Box<Sought>>,
}

impl Request {
    /// What is read goes into the L1 under this.
    pub(crate) fn sought_by(self, sought: Option<Box<Sought>>) -> Self {
        Self { sought, ..self }
    }

    /// The value names tags, too.
    pub(crate) fn named_by(&mut self, namer: Namer) {
        self.namer = Some(namer);
    }
}

/// Writes a call's names; `None` where it runs past the cache. `handle` is the mode of the handle it is made through.
pub(crate) fn request(
    core: &Core,
    handle: Mode,
    site: &'static ReadSite,
    key: impl FnOnce(&mut Text),
    tags: impl FnOnce(&mut Tags),
) -> Option<Request> {
    let name = |key| Some(core.namespace.subject(Kind::Entity, key));
    if core.store().is_none() {
        call::tell_bypassed(core, site, Bypassed::Off, || name(key));
        return None;
    }
    let (state, call) = (core.site(site), call::asked(handle));
    if call.mode == Mode::Bypass {
        state.counters.bypasses.add();
        call::tell_bypassed(core, site, Bypassed::Asked, || name(key));
        return None;
    }
    let mut collected = Tags { namespace: core.namespace.clone(), tags: Vec::new(), frames: Vec::new() };
    tags(&mut collected);
    let subject = core.namespace.subject(Kind::Entity, key);
    let Tags { tags, frames, .. } = collected;
    Some(Request { state, subject, tags, frames, namer: None, call, sought: None })
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
    let Some(Request { state, subject, tags, frames, namer, call, sought }) = request else {
        mode::refuse_load().await;
        // A load of its own: what it asks and says is nothing to the one that it may be part of.
        return Box::pin(loading::run(None, None, load())).await.0;
    };
    let key = EntryKey { subject, field: put::field::<ValueOf<O>>(state.seed) };
    let learn = |namer| Learned::new(core.namespace.clone(), frames, namer, core.hints.of(&key));
    let learned = namer.map(learn).map(Arc::new);
    let sought = near::admitted(core, sought, key.fingerprint());
    let shares = sought.as_ref().is_some_and(|sought| sought.is_admitted());
    let plan = Plan { key, tags, learned, state, shares, last: Last::default() };
    let note = call::note(&call, &plan);
    let (degraded, output) = (AtomicBool::new(false), std::marker::PhantomData);
    let reader = Reader::<O> { core, plan: &plan, call, note, sought, degraded, output };
    match behind::resume(core, &plan.key) {
        Some(resume) => Box::pin(reader.resumed(resume, load)).await,
        None => reader.answer(load, again).await,
    }
}

impl<O: Output> Reader<'_, O> {
    pub(super) async fn run<F: Future<Output = O>>(&self, load: impl FnOnce() -> F, again: impl Again) -> O {
        let counters = &self.plan.state.counters;
        if self.refreshes() {
            counters.refreshes.add();
            self.missed(Miss::Refresh);
            return self.slowly(load, None).await;
        }
        if let Some(output) = self.served_near() {
            return output;
        }
        self.is_seen();
        let standing = match self.look_closely().await {
            Ok(alive) if alive.standing == Standing::IfError => Some(alive),
            Ok(alive) => return self.hit(alive, load, again).await,
            Err(found) => match self.window() {
                Some(window) if let Some(found) = found => match Box::pin(self.aside(found, window)).await {
                    Some(alive) => return self.hit(alive, load, again).await,
                    None => None,
                },
                _ => None,
            },
        };
        counters.misses.add();
        self.is_thought_about();
        match standing {
            Some(alive) => Box::pin(self.over(alive, load, again)).await,
            None => self.slowly(load, None).await,
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
        let (counter, answered) = match alive.value {
            Some(_) => (&counters.hits, Answered::Hit),
            None => (&counters.negative_hits, Answered::NegativeHit),
        };
        counter.add();
        self.tell_hit(answered, &alive);
        if alive.standing != Standing::Current && !self.is_resting() {
            if self.is_inline(&again) {
                let late = self.core.settings.faults.refreshes_by_set;
                let grant = if late { None } else { self.core.lease_early(self.plan, alive.force).await };
                if late || grant.is_some() {
                    counters.refreshes.add();
                    self.missed(Miss::Early);
                    return Box::pin(self.load_early(grant, alive, load)).await;
                }
            } else {
                behind::renew(self.core, self.plan, alive.force, alive.known.clone(), again);
            }
        }
        match self.serve(alive) {
            Some(output) => output,
            // A negative entry that this type cannot say: as if it were not there.
            None => self.slowly(load, None).await,
        }
    }

    /// Joins or leads, off the caller's future: a hit needs none of it, and functions that call each other would carry the
    /// sum of theirs on one stack.
    fn slowly<F: Future<Output = O>>(
        &self,
        load: impl FnOnce() -> F,
        standing: Option<Alive<ValueOf<O>>>,
    ) -> Pin<Box<impl Future<Output = O>>> {
        Box::pin(self.join_or_lead(load, standing))
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
                    let renewed =
                        behind::renew(self.core, self.plan, alive.force, alive.known.clone(), again);
                    if let Some(output) = self.within_soft(soft, renewed).await {
                        return output;
                    }
                }
                _ => return self.slowly(load, Some(alive)).await,
            }
        }
        match self.serve_stale(alive) {
            Some(output) => output,
            None => self.slowly(load, None).await,
        }
    }

    /// Serves what stands, whether its lifetime is over or not, or what a write has invalidated.
    pub(super) fn serve(&self, alive: Alive<ValueOf<O>>) -> Option<O> {
        match alive.standing {
            Standing::Stale => self.serve_stale(alive),
            Standing::Invalidated => self.serve_invalidated(alive),
            _ => Self::hand_out(alive.value),
        }
    }

    /// Serves a value whose lifetime is over.
    pub(super) fn serve_stale(&self, alive: Alive<ValueOf<O>>) -> Option<O> {
        self.tell_hit(Answered::StaleHit, &alive);
        let output = Self::hand_out(alive.value)?;
        self.plan.state.counters.stale.add();
        loading::taint();
        Some(output)
    }

    pub(super) fn hand_out(value: Option<Arc<ValueOf<O>>>) -> Option<O> {
        O::Payload::unshare(value).map(O::wrap)
    }

    pub(super) async fn look(&self) -> Option<Alive<ValueOf<O>>> {
        self.look_closely().await.ok()
    }

    /// The entry; if there is none for this call, what the store answered in its place.
    async fn look_closely(&self) -> Result<Alive<ValueOf<O>>, Option<Found>> {
        let (store, mut last) = (self.core.store().ok_or(None)?, None);
        // Twice at most: an entry may name other tags than were asked for.
        for _ in 0..2 {
            let tags = self.plan.asked();
            let (sent, touched) = (self.sends(&tags), self.plan.touched(store, &tags));
            let answer = match sent {
                None => self.core.ask(&touched, store.get(&self.plan.key, &tags)).await,
                Some(_) => self.core.ask(&touched, self.get_shared(store, &tags)).await,
            };
            match answer {
                Err(_) => {
                    self.degrades();
                    self.missed(Miss::Degraded);
                    return Err(None);
                }
                Ok(found) => match self.open(&found) {
                    Ok(alive) => {
                        let sent = sent.filter(|_| found.shared);
                        self.keeps(sent, alive.value.as_ref(), alive.quiet, alive.bytes);
                        return Ok(alive);
                    }
                    Err(_) if self.plan.is_other() => last = Some(found),
                    Err(why) => {
                        self.missed(why);
                        return Err(Some(found));
                    }
                },
            }
        }
        self.missed(Miss::Tags);
        Err(last)
    }

    /// The entry of an answer, if it is one that may be served here.
    pub(super) fn open(&self, found: &Found) -> Result<Alive<ValueOf<O>>, Miss> {
        let blob = found.blob.as_ref().ok_or(Miss::Absent)?;
        let counters = &self.plan.state.counters;
        let Ok((mut header, payload)) = entry::decode(blob) else {
            counters.undecodable.add();
            return Err(Miss::Undecodable);
        };
        if header.fingerprint == self.plan.key.fingerprint() {
            self.plan.last.took(header.load);
        }
        if self.core.settings.faults.serves_any_epoch {
            header.epoch = found.epoch;
        }
        let fitted = match &self.plan.learned {
            None => None,
            Some(learned) => {
                let (known, fitted) = (learned.hint(), learned.fit(&header, found, self.plan.tags.len()));
                self.keep_hint(learned, known.as_ref());
                Some(fitted.ok_or(Miss::Tags)?)
            }
        };
        let found = fitted.as_ref().unwrap_or(found);
        freshness::usable(&header, found, self.plan.wanted(&header))?;
        let value = match header.negative {
            true => None,
            false => Some(self.decode(header.codec, &payload).ok_or(Miss::Undecodable)?),
        };
        if value.is_none() && !O::Payload::NEGATIVE {
            return Err(Miss::Negative);
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
            return Err(Miss::Expired);
        }
        let known = match (&value, standing) {
            (Some(value), Standing::Early | Standing::Stale | Standing::IfError) => Some(Known {
                value: value.clone(),
                validator: header.validator,
                age: found.now.since(header.made_at),
            }),
            _ => None,
        };
        let quiet = match standing {
            // Chance is asked for nobody's sake where nothing is kept.
            Standing::Current if self.sought.is_some() => {
                stampede::quiet(&age, policy.stampede.early, self.core.rng.unit())
            }
            _ => Duration::ZERO,
        };
        let (age, left) = (found.now.since(header.made_at), age.left);
        let force = Force::over(found.blob.as_ref());
        Ok(Alive { value, standing, force, age, left, quiet, bytes: blob.len(), known })
    }

    /// Remembers for the next call what this one has learnt.
    pub(super) fn keep_hint(&self, learned: &Learned, known: Option<&Arc<[Subject]>>) {
        if let Some(tags) = learned.hint()
            && known.is_none_or(|known| !Arc::ptr_eq(known, &tags))
        {
            self.core.hints.keep(&self.plan.key, tags);
        }
    }

    pub(super) fn decode(&self, codec: u8, payload: &Bytes) -> Option<Arc<ValueOf<O>>> {
        match codec::decode(codec, payload) {
            Ok(value) => Some(Arc::new(value)),
            Err(error) => {
                self.plan.state.counters.undecodable.add();
                tracing::debug!(%error, key = %self.plan.key.subject, "an entry does not decode; loading");
                None
            }
        }
    }
}
