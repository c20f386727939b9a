//! A leader's work: get permission, run the loader, store what it returned. Refuses to store anything without the lease.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tracing::Instrument;

use super::Core;
use super::read::Plan;
use crate::codec;
use crate::entry::{self, Header};
use crate::error::StoreError;
use crate::flight::Leader;
use crate::freshness::same_stamps;
use crate::output::{Output, Payload, ValueOf};
use crate::stampede::jittered;
use crate::store::{FillRequest, LeaseRequest, Leased};
use crate::subject::{EntryKey, Epoch, TagStamp, Token, WriterId};
use crate::time::StoreTime;

/// Pauses between looks at another process's load.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// One call of a cached function.
pub(super) struct Reader<'a, O> {
    pub(super) core: &'a Arc<Core>,
    pub(super) plan: &'a Plan,
    /// Whether the store failed this call already.
    pub(super) degraded: AtomicBool,
    pub(super) output: PhantomData<fn() -> O>,
}

/// A lease, given back when dropped.
pub(super) struct Grant {
    core: Arc<Core>,
    key: EntryKey,
    token: Token,
    epoch: Epoch,
    now: StoreTime,
    tags: Vec<TagStamp>,
    held: bool,
}

impl Drop for Grant {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (true, Ok(runtime), Some(store)) = (self.held, runtime, self.core.store.clone()) {
            let (key, token, deadline) = (self.key.clone(), self.token, self.core.settings.read_deadline);
            // Best effort: a lease that is not given back lapses.
            runtime.spawn(async move { super::ask::within(deadline, store.release(&key, token)).await.ok() });
        }
    }
}

/// What a leader got.
pub(super) enum Obtained<V> {
    /// An entry, in answer to the command of this number.
    Entry(Option<Arc<V>>, u64),
    /// Permission to fill.
    Grant(Grant),
    /// Neither: load, do not fill.
    Nothing,
}

enum Asked {
    Granted(Grant),
    Other(Leased),
}

impl<O: Output> Reader<'_, O> {
    /// Asks for a lease until there is one, or an entry, or a reason to load without.
    pub(super) async fn obtain(&self, leader: &Leader) -> Obtained<ValueOf<O>> {
        let (core, state) = (self.core, &self.plan.state);
        if self.degraded.load(Ordering::Relaxed) {
            // The look went unanswered a moment ago: waiting for the lease too would cost the caller another deadline.
            return Obtained::Nothing;
        }
        let (mut force, mut finished, mut pause) = (false, Vec::new(), FIRST_PAUSE);
        let since = core.clock.monotonic();
        loop {
            let asked = leader.asks();
            match self.lease(force, &finished).await {
                Err(_) => {
                    self.degrades();
                    return Obtained::Nothing;
                }
                Ok(Asked::Granted(grant)) => return Obtained::Grant(grant),
                Ok(Asked::Other(Leased::Present(found))) => match self.open(&found) {
                    Some(alive) => return Obtained::Entry(alive.value, asked),
                    // It stands, but not for this reader: replace it.
                    None => force = true,
                },
                Ok(Asked::Other(Leased::Fenced(fences))) => {
                    let healed = if finished.is_empty() { core.finished(&fences).await } else { Vec::new() };
                    if healed.is_empty() {
                        state.counters.fence_bypasses.add();
                        return Obtained::Nothing;
                    }
                    state.counters.fences_healed.add();
                    finished = healed;
                }
                Ok(Asked::Other(Leased::Busy | Leased::Granted { .. })) => {
                    if core.clock.monotonic().saturating_sub(since) >= state.patience() {
                        state.counters.lease_waits_exceeded.add();
                        return Obtained::Nothing;
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 3 / 2).min(LAST_PAUSE);
                    force = false;
                }
            }
        }
    }

    /// The store failed; a call is counted once, however often it did.
    pub(super) fn degrades(&self) {
        if !self.degraded.swap(true, Ordering::Relaxed) {
            self.plan.state.counters.degraded.add();
        }
    }

    /// A lease for an early refresh, if nobody else has one and nobody writes.
    pub(super) async fn obtain_early(&self) -> Option<Grant> {
        match self.lease(true, &[]).await {
            Ok(Asked::Granted(grant)) => Some(grant),
            _ => None,
        }
    }

    async fn lease(&self, force: bool, finished: &[WriterId]) -> Result<Asked, StoreError> {
        let core = self.core;
        let Some(store) = core.store() else { return Ok(Asked::Other(Leased::Busy)) };
        let policy = &self.plan.state.site.policy;
        // Held from before it is asked for: the answer may be lost while the lease is not.
        let mut grant = Grant {
            core: core.clone(),
            key: self.plan.key.clone(),
            token: Token(core.random()),
            epoch: Epoch::default(),
            now: StoreTime::default(),
            tags: Vec::new(),
            held: true,
        };
        let request = LeaseRequest {
            key: &self.plan.key,
            tags: &self.plan.tags,
            token: grant.token,
            duration: self.plan.state.lease(),
            force,
            finished,
            seed: core.random(),
            tag_ttl: policy.ttl.max(policy.negative_ttl) * 2,
        };
        match core.ask(&self.plan.touched(store), store.lease(request)).await? {
            Leased::Granted { epoch, now, tags } => {
                (grant.epoch, grant.now, grant.tags) = (epoch, now, tags);
                Ok(Asked::Granted(grant))
            }
            other => {
                grant.held = false;
                Ok(Asked::Other(other))
            }
        }
    }

    /// Runs the loader, timed and in a span.
    pub(super) async fn load<F: Future<Output = O>>(&self, load: impl FnOnce() -> F) -> (O, Duration) {
        let state = &self.plan.state;
        state.counters.loads.add();
        let span =
            tracing::debug_span!("cache.load", template = state.site.template, key = %self.plan.key.subject);
        let since = self.core.clock.monotonic();
        let output = load().instrument(span).await;
        let took = self.core.clock.monotonic().saturating_sub(since);
        state.took(took);
        (output, took)
    }

    /// Runs the loader for this caller alone.
    pub(super) async fn load_unleased<F: Future<Output = O>>(&self, load: impl FnOnce() -> F) -> O {
        let (output, _) = self.load(load).await;
        match output.split() {
            Ok(payload) => O::wrap(payload),
            Err(error) => {
                self.plan.state.counters.load_errors.add();
                O::fail(error)
            }
        }
    }

    /// Loads while the entry still stands; if the loader fails, the entry is served.
    pub(super) async fn load_early<F: Future<Output = O>>(
        &self,
        grant: Option<Grant>,
        standing: Option<Arc<ValueOf<O>>>,
        load: impl FnOnce() -> F,
    ) -> O {
        let (output, took) = self.load(load).await;
        match output.split() {
            Ok(payload) => {
                let value = payload.share();
                let late = self.core.settings.faults.refreshes_by_set;
                if let Some(grant) = if late { self.obtain_early().await } else { grant } {
                    self.fill(grant, value.as_deref(), took).await;
                }
                Self::loaded(value)
            }
            Err(error) => {
                self.plan.state.counters.load_errors.add();
                Self::hand_out(standing).unwrap_or_else(|| O::fail(error))
            }
        }
    }

    /// Stores a value; true if the dataset the lease came from accepted it and no tag had moved.
    pub(super) async fn fill(&self, mut grant: Grant, value: Option<&ValueOf<O>>, took: Duration) -> bool {
        let (core, counters) = (self.core, &self.plan.state.counters);
        let policy = &self.plan.state.site.policy;
        let lifetime = if value.is_some() { policy.ttl } else { policy.negative_ttl };
        let ttl = jittered(lifetime, policy.jitter, core.rng.unit());
        let faults = core.settings.faults;
        if let (true, Some(store)) = (faults.reads_tags_late, core.store())
            && let Ok(found) =
                core.ask(&self.plan.touched(store), store.get(&self.plan.key, &self.plan.tags)).await
        {
            grant.tags = found.tags;
        }
        let (Some(store), Some(blob)) = (core.store(), self.encode(&grant, value, took, ttl)) else {
            return false;
        };
        let request =
            FillRequest { key: &self.plan.key, tags: &self.plan.tags, token: grant.token, blob: &blob, ttl };
        let Ok(filled) = core.ask(&self.plan.touched(store), store.fill(request)).await else {
            self.degrades();
            return false;
        };
        // Stored or refused, the store has dropped the token.
        grant.held = false;
        if filled.stored {
            counters.fills.add()
        } else {
            counters.fills_refused.add()
        }
        filled.stored
            && (filled.epoch == grant.epoch || faults.joins_other_epochs)
            && (same_stamps(&grant.tags, &filled.tags) || faults.joins_moved_tags)
    }

    fn encode(
        &self,
        grant: &Grant,
        value: Option<&ValueOf<O>>,
        took: Duration,
        ttl: Duration,
    ) -> Option<Bytes> {
        let payload = match value.map(codec::encode).transpose() {
            Ok(payload) => payload.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, template = self.plan.state.site.template, "a value cannot be encoded and is not cached");
                return None;
            }
        };
        if payload.len() > self.core.settings.size_limit {
            self.plan.state.counters.oversized.add();
            return None;
        }
        let header = Header {
            codec: codec::NAMED_MESSAGEPACK,
            negative: value.is_none(),
            epoch: grant.epoch,
            fingerprint: self.plan.key.fingerprint(),
            made_at: grant.now,
            expires_at: grant.now.after(ttl),
            load: took,
            tags: grant.tags.clone(),
            full_key: self.plan.key.subject.full().map(Into::into),
        };
        Some(entry::encode(&header, &payload))
    }
}
