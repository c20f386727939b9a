//! A leader's work: get permission, run the loader, store what it returned. Refuses to store anything without the lease.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tracing::Instrument;

use super::Core;
use super::behind::{Outcome, Resume};
use super::lease::{Asked, Force, Grant, Stamp};
use super::near::Sought;
use super::queued::Shown;
use super::read::{Alive, Plan};
use crate::codec;
use crate::entry::{self, Header};
use crate::error::StoreErrorKind;
use crate::flight::{self, Load, LoadId};
use crate::freshness::{Stage, same_stamps};
use crate::loading::{self, Known, Verdict};
use crate::mode::{Call, NotStored, Note, Outcome as Answered, Stored};
use crate::output::{Output, Payload, ValueOf};
use crate::policy::{OnWait, Sharing};
use crate::stampede::{self, Age, Standing, jittered};
use crate::store::{FillRequest, Filled, Leased};

/// Pauses between looks at another process's load.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(2);
pub(super) const LAST_PAUSE: Duration = Duration::from_millis(50);

/// One call of a cached function.
pub(super) struct Reader<'a, O> {
    pub(super) core: &'a Arc<Core>,
    pub(super) plan: &'a Plan,
    /// What it asks for.
    pub(super) call: Call,
    /// Where it is told of.
    pub(super) note: Option<Note>,
    /// What it reads goes into the L1 under this; `None` for not at all.
    pub(super) sought: Option<Box<Sought>>,
    /// Whether the store failed this call already.
    pub(super) degraded: AtomicBool,
    pub(super) output: PhantomData<fn() -> O>,
}

/// What a loader returned, and what is known about that run.
pub(super) struct Loaded<O: Output> {
    pub(super) payload: Result<Option<Arc<ValueOf<O>>>, <O as Output>::Error>,
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

impl<O: Output> Loaded<O> {
    /// The value with what is known about it, or the loader's error. Taken apart in one expression, the error is not held while
    /// the value is stored: it need not be `Send`.
    pub(super) fn apart(self) -> Result<Made<O>, <O as Output>::Error> {
        self.payload.map(|value| (value, self.verdict, self.took))
    }
}

/// A loaded value, what is known about its load, and how long that took.
pub(super) type Made<O> = (Option<Arc<ValueOf<O>>>, Verdict, Duration);

/// What a leader got.
pub(super) enum Obtained<V> {
    /// An entry, in answer to the command of this number.
    Entry(Alive<V>, u64),
    /// Permission to fill.
    Grant(Grant),
    /// Neither: load, do not fill.
    Nothing,
    /// Somebody else loads, and what stands will do.
    Stale,
}

impl<O: Output> Reader<'_, O> {
    /// Asks for a lease until there is one, or an entry, or a reason to load without. `asks` counts the questions.
    pub(super) async fn obtain(
        &self,
        asks: impl Fn() -> u64,
        has_stale: bool,
        own: &Load,
        began: Duration,
    ) -> Obtained<ValueOf<O>> {
        let (core, state) = (self.core, &self.plan.state);
        let policy = state.policy();
        if self.degraded.load(Ordering::Relaxed) {
            // The look went unanswered a moment ago: waiting for the lease too would cost the caller another deadline.
            self.not_stored(NotStored::Degraded);
            return Obtained::Nothing;
        }
        if let Some(learned) = &self.plan.learned
            && let Some(tags) = core.hints.of(&self.plan.key)
        {
            // A flight that this caller waited for may have learnt it.
            learned.learn(tags);
        }
        let (mut force, mut finished, mut pause) = (self.first_force(), Vec::new(), FIRST_PAUSE);
        let since = if policy.is_bounded() { began } else { core.clock.monotonic() };
        let (mut _waits, mut is_loaded) = (Vec::new(), false);
        loop {
            let asked = asks();
            match core.lease(self.plan, force, &finished).await {
                // Somebody loads: one answer that is missing is no reason to do it again, until the breaker opens.
                Err(error)
                    if is_loaded
                        && error.kind() == StoreErrorKind::TimedOut
                        && !self.left(since).is_zero() => {}
                Err(_) => {
                    self.degrades();
                    self.not_stored(NotStored::Degraded);
                    return Obtained::Nothing;
                }
                Ok(Asked::Granted(grant)) => return Obtained::Grant(grant),
                Ok(Asked::Other(Leased::Present(found))) => match self.open(&found) {
                    Ok(alive) if matches!(alive.standing, Standing::Current | Standing::Early) => {
                        return Obtained::Entry(alive, asked);
                    }
                    Err(_)
                        if self.plan.is_other()
                            && let Some(alive) = self.look().await
                            && matches!(alive.standing, Standing::Current | Standing::Early) =>
                    {
                        return Obtained::Entry(alive, asked);
                    }
                    // It stands, but not for this reader, or its lifetime is over: replace it.
                    Ok(_) => force = Force::over(found.blob.as_ref()),
                    Err(why) => {
                        self.missed(why);
                        force = Force::over(found.blob.as_ref());
                    }
                },
                Ok(Asked::Other(Leased::Queued(queued))) => match self.shown(&queued).await {
                    Shown::Value(alive) => return Obtained::Entry(alive, asked),
                    Shown::Settled => {}
                    // Another release's: what the database has is older until it is flushed.
                    Shown::Foreign => {
                        let left = self.left(since);
                        if left.is_zero() {
                            self.not_stored(NotStored::Queued);
                            return Obtained::Nothing;
                        }
                        tokio::time::sleep(pause.min(left)).await;
                        pause = (pause * 3 / 2).min(LAST_PAUSE);
                    }
                },
                Ok(Asked::Other(Leased::Fenced(fences))) => {
                    let healed = if finished.is_empty() { core.finished(&fences).await } else { Vec::new() };
                    if healed.is_empty() {
                        state.counters.fence_bypasses.add();
                        self.not_stored(NotStored::Fenced);
                        return Obtained::Nothing;
                    }
                    state.counters.fences_healed.add();
                    finished = healed;
                }
                Ok(Asked::Other(Leased::Busy | Leased::Granted { .. })) => {
                    if !self.refreshes() && has_stale && policy.on_wait == OnWait::Stale {
                        return Obtained::Stale;
                    }
                    if !self.refreshes()
                        && (policy.stampede.sharing != Sharing::Lease || policy.on_wait == OnWait::Load)
                    {
                        self.not_stored(NotStored::Busy);
                        return Obtained::Nothing;
                    }
                    let left = self.left(since);
                    if left.is_zero() {
                        state.counters.lease_waits_exceeded.add();
                        self.not_stored(NotStored::Busy);
                        return Obtained::Nothing;
                    }
                    is_loaded = true;
                    match own.waits_for_lease(&self.plan.key) {
                        Ok(now) => _waits = now,
                        Err(_) if core.settings.faults.waits_in_circles => {}
                        Err(circle) => {
                            self.closes(&circle);
                            return Obtained::Nothing;
                        }
                    }
                    tokio::time::sleep(pause.min(left)).await;
                    pause = (pause * 3 / 2).min(LAST_PAUSE);
                    force = self.first_force();
                }
            }
        }
    }

    /// What is left of the time that it waits for others.
    pub(super) fn left(&self, since: Duration) -> Duration {
        self.plan.waits().saturating_sub(self.core.clock.monotonic().saturating_sub(since))
    }

    /// The store failed; a call is counted once, however often it did.
    pub(super) fn degrades(&self) {
        if !self.degraded.swap(true, Ordering::Relaxed) {
            self.plan.state.counters.degraded.add();
        }
    }

    /// Whether it did.
    pub(super) fn is_degraded(&self) -> bool {
        self.degraded.load(Ordering::Relaxed)
    }

    /// Runs the loader, timed and in a span, and apart from what its caller asks for; `own` is what others may wait for.
    pub(super) async fn load<F: Future<Output = O>>(
        &self,
        own: Option<&Load>,
        load: impl FnOnce() -> F,
        previous: Option<Known>,
    ) -> Loaded<O> {
        let state = &self.plan.state;
        state.counters.loads.add();
        let span =
            tracing::debug_span!("cache.load", template = state.site.template, key = %self.plan.key.subject);
        let since = self.core.clock.monotonic();
        let hard = state.policy().timeouts.hard;
        let body = self.apart(loading::run(previous, hard, load().instrument(span)));
        let (output, verdict) = match own {
            Some(own) => own.body(body).await,
            None => body.await,
        };
        let took = self.core.clock.monotonic().saturating_sub(since);
        state.pace.took(took);
        if verdict.is_late {
            state.counters.load_timeouts.add();
        }
        let payload = output.split().map(Payload::share).inspect_err(|_| state.counters.load_errors.add());
        if payload.is_ok() && (verdict.is_skipped || verdict.is_tainted) {
            state.counters.unkept.add();
        }
        self.tell(|call| {
            call.load = Some(took);
            call.outcome = if payload.is_ok() { Answered::Loaded } else { Answered::Failed };
        });
        Loaded { payload, verdict, took }
    }

    /// Runs the loader for this caller alone. If it fails, what stands is served.
    pub(super) async fn load_unleased<F: Future<Output = O>>(
        &self,
        load: impl FnOnce() -> F,
        standing: Option<Alive<ValueOf<O>>>,
    ) -> O {
        let loaded = self.load(None, load, standing.as_ref().and_then(|alive| alive.known.clone())).await;
        match loaded.payload {
            Ok(value) => Self::loaded(value),
            Err(error) => self.fails(error, standing),
        }
    }

    /// Loads although an entry stands; if the loader fails, the entry is served.
    pub(super) async fn load_early<F: Future<Output = O>>(
        &self,
        grant: Option<Grant>,
        standing: Alive<ValueOf<O>>,
        load: impl FnOnce() -> F,
    ) -> O {
        let own = self.begins(LoadId::new());
        let _enclosing = flight::wait(own.id());
        let known = standing.known.clone();
        let (value, verdict, took) = match self.load(Some(&own), load, known).await.apart() {
            Ok(made) => made,
            Err(error) => {
                self.rests();
                self.tell_hit(Answered::Hit, &standing);
                return self.serve(standing).unwrap_or_else(|| O::fail(error));
            }
        };
        let late = self.core.settings.faults.refreshes_by_set;
        if let Some(grant) = if late { self.core.lease_early(self.plan, Force::OverAny).await } else { grant }
        {
            self.fill(grant, value.as_ref(), &verdict, took).await;
        }
        Self::loaded(value)
    }

    /// Loads for those who are served what stands, in a call that was made for that.
    pub(super) async fn resumed<F: Future<Output = O>>(&self, resume: Resume, load: impl FnOnce() -> F) -> O {
        let (grant, previous, teller) = resume.begin();
        let own = self.begins(LoadId::new());
        let unless_it_ends = RestsIfLeft(self);
        teller.reaches(Stage::Loading);
        let made = async {
            let made = self.load(Some(&own), load, previous).await.apart();
            std::mem::forget(unless_it_ends);
            made
        };
        let (value, verdict, took) = match made.await {
            Ok(made) => made,
            Err(error) => {
                self.rests();
                teller.tell(Outcome::Failed);
                return O::fail(error);
            }
        };
        // Without one only where a test took the rule out.
        let grant = match grant {
            None => self.core.lease_early(self.plan, Force::OverAny).await,
            held => held,
        };
        if !self.core.settings.faults.seals_late {
            teller.reaches(Stage::Sealed);
        }
        let filled = match grant {
            Some(grant) => self.fill(grant, value.as_ref(), &verdict, took).await,
            None => false,
        };
        let Verdict { is_tainted, is_skipped, .. } = verdict;
        let told = value.clone().map(|value| value as _);
        teller.tell(Outcome::Loaded { value: told, is_tainted, is_skipped, filled });
        Self::loaded(value)
    }

    /// The loader failed: what stands is served if it may be.
    pub(super) fn fails(&self, error: <O as Output>::Error, standing: Option<Alive<ValueOf<O>>>) -> O {
        let Some(alive) = standing else { return O::fail(error) };
        self.rests();
        self.serve_stale(alive).unwrap_or_else(|| O::fail(error))
    }

    /// The loader failed while a value stood: it is left alone for a while.
    pub(super) fn rests(&self) {
        let now = self.core.clock.monotonic();
        let until = now.saturating_add(self.plan.state.policy().on_error.pause);
        self.core.behind.failed(&self.plan.key, now, until);
    }

    /// Stores a value; true if the dataset the lease came from accepted it and no tag had moved.
    pub(super) async fn fill(
        &self,
        mut grant: Grant,
        value: Option<&Arc<ValueOf<O>>>,
        verdict: &Verdict,
        took: Duration,
    ) -> bool {
        if verdict.is_skipped || verdict.is_tainted {
            self.not_stored(if verdict.is_tainted { NotStored::Tainted } else { NotStored::Skipped });
            return false;
        }
        let core = self.core;
        let [lifetime, useful] = self.lifetimes(value.map(|value| &**value), verdict);
        let faults = core.settings.faults;
        if !self.is_within_hint(&mut grant.stamp, value.map(|value| &**value)) {
            return false;
        }
        if let (true, Some(store)) = (faults.reads_tags_late, core.store())
            && let Ok(found) = core
                .ask(
                    &self.plan.touched(store, &grant.stamp.asked),
                    store.get(&self.plan.key, &grant.stamp.asked),
                )
                .await
        {
            grant.stamp.tags = found.tags;
        }
        let (Some(store), Some(blob)) = (
            core.store(),
            self.encode(&grant.stamp, value.map(|value| &**value), (verdict, took), [lifetime, useful]),
        ) else {
            return false;
        };
        let request = FillRequest {
            key: &self.plan.key,
            tags: &grant.stamp.asked,
            token: grant.token,
            blob: &blob,
            ttl: useful,
            aside: self.plan.state.policy().lifetime.bounded,
        };
        let Ok(filled) = core.ask(&self.plan.touched(store, &grant.stamp.asked), store.fill(request)).await
        else {
            self.degrades();
            self.not_stored(NotStored::Degraded);
            return false;
        };
        grant.is_used();
        self.is_weighed(blob.len(), took);
        let is_accepted = self.accepts(&grant.stamp, &filled, lifetime);
        if is_accepted && grant.sent.is_some() {
            let age = Age { lifetime, left: lifetime, over: Duration::ZERO, load: took };
            let quiet = stampede::quiet(&age, self.plan.state.policy().stampede.early, self.core.rng.unit());
            self.keeps(grant.sent.take(), value, quiet, blob.len());
        }
        is_accepted
    }

    /// How long an entry with this value is current, and how long it is of use.
    pub(super) fn lifetimes(&self, value: Option<&ValueOf<O>>, verdict: &Verdict) -> [Duration; 2] {
        let policy = self.plan.state.policy();
        let ttl = self.plan.state.lifetime(verdict.ttl, value.is_none());
        let lifetime = jittered(ttl, policy.lifetime.jitter, self.core.rng.unit());
        [lifetime, lifetime.saturating_add(policy.stale())]
    }

    /// Whether the dataset the lease came from stored the entry and no tag has moved.
    pub(super) fn accepts(&self, stamp: &Stamp, filled: &Filled, lifetime: Duration) -> bool {
        let (counters, faults) = (&self.plan.state.counters, self.core.settings.faults);
        if filled.stored {
            counters.fills.add();
            self.tell(|call| call.stored = Some(Stored::For(lifetime)));
        } else {
            counters.fills_refused.add();
            self.not_stored(NotStored::Refused);
        }
        filled.stored
            && (filled.epoch == stamp.epoch || faults.joins_other_epochs)
            && (same_stamps(&stamp.tags, &filled.tags) || faults.joins_moved_tags)
    }

    /// Whether the value depends on no tag but those that were asked about before the load. If so, they are kept; if not, they
    /// are asked about next time.
    fn is_within_hint(&self, stamp: &mut Stamp, value: Option<&ValueOf<O>>) -> bool {
        let (Some(learned), counters) = (&self.plan.learned, &self.plan.state.counters) else { return true };
        let Some(named) = learned.of(value.map(|value| value as &dyn Any)) else {
            counters.oversized.add();
            return false;
        };
        let (tags, known) = ([&*self.plan.tags, &named].concat(), learned.hint());
        learned.learn(named.into());
        self.keep_hint(learned, known.as_ref());
        let faults = self.core.settings.faults;
        if faults.reads_tags_late {
            stamp.asked = tags;
            return true;
        }
        let is_within = stamp.keep(tags);
        if !is_within {
            counters.tags_learned.add();
        }
        is_within || faults.fills_beyond_hint
    }

    pub(super) fn encode(
        &self,
        stamp: &Stamp,
        value: Option<&ValueOf<O>>,
        (verdict, took): (&Verdict, Duration),
        [lifetime, useful]: [Duration; 2],
    ) -> Option<Bytes> {
        let payload = match value.map(codec::encode).transpose() {
            Ok(payload) => payload.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, template = self.plan.state.site.template, "a value cannot be encoded and is not cached");
                self.not_stored(NotStored::Unencodable);
                return None;
            }
        };
        if payload.len() > self.core.settings.size_limit {
            self.plan.state.counters.oversized.add();
            self.not_stored(NotStored::Oversized);
            return None;
        }
        let header = Header {
            codec: codec::NAMED_MESSAGEPACK,
            negative: value.is_none(),
            epoch: stamp.epoch,
            fingerprint: self.plan.key.fingerprint(),
            made_at: stamp.now,
            current_until: stamp.now.after(lifetime),
            expires_at: stamp.now.after(useful),
            load: took,
            tags: stamp.tags.clone(),
            learned: stamp.asked[self.plan.tags.len()..].iter().map(|tag| tag.name().into()).collect(),
            full_key: self.plan.key.subject.full().map(Into::into),
            validator: verdict.validator.clone(),
        };
        Some(entry::encode(&header, &payload))
    }
}

/// Lets a loader rest that panics behind everybody's back, where nobody would stop calling it.
struct RestsIfLeft<'a, O: Output>(&'a Reader<'a, O>);

impl<O: Output> Drop for RestsIfLeft<'_, O> {
    fn drop(&mut self) {
        self.0.rests();
    }
}
