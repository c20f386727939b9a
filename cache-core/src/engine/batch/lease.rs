//! Permission to fill, for many keys: all LEASEs are acknowledged before the one load. Refuses to wait for another process while
//! there is anything to load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Reading;
use crate::engine::Core;
use crate::engine::ask::within;
use crate::engine::lease::{Force, Stamp};
use crate::engine::load::{FIRST_PAUSE, LAST_PAUSE};
use crate::engine::queued::Shown;
use crate::flight::{Leader, Load, Wait};
use crate::freshness::{Proof, Stage};
use crate::mode::{NotStored, Outcome};
use crate::policy::{OnWait, Sharing};
use crate::schema::Cacheable;
use crate::stampede::Standing;
use crate::store::{Fence, LeaseRequest, Leased};
use crate::subject::{EntryKey, Token, WriterId};

/// A place that is to be loaded.
pub(super) struct Errand {
    pub(super) place: usize,
    /// `None` where nobody waits for it.
    pub(super) leader: Option<Leader>,
    /// Whether an entry stands, and is loaded anew.
    is_due: bool,
    /// There if it may be filled.
    pub(super) stamp: Option<Stamp>,
    /// What the first question is asked over.
    first: Force,
    force: Force,
    healed: bool,
    asked: u64,
    /// What others may wait for.
    own: Load,
}

impl Errand {
    /// For this caller alone, unless it has a leader.
    pub(super) fn new(place: usize, first: Force, own: Load) -> Self {
        let (leader, stamp) = (None, None);
        Self { place, leader, is_due: false, stamp, first, force: first, healed: false, asked: 0, own }
    }

    /// For all who wait for this leader.
    pub(super) fn led(self, leader: Leader) -> Self {
        Self { leader: Some(leader), ..self }
    }

    /// Of an entry that stands.
    pub(super) fn due(self) -> Self {
        Self { is_due: true, ..self }
    }

    /// An entry that stands is refreshed by whoever has the lease; for anybody else there is nothing to load.
    fn is_of_use(&self) -> bool {
        !self.is_due || self.stamp.is_some()
    }

    pub(super) fn reaches(&self, stage: Stage) {
        if let Some(leader) = &self.leader {
            leader.reaches(stage);
        }
    }
}

/// The leases of a call, given back in one go when it ends or is dropped.
pub(super) struct Held<'a> {
    core: &'a Arc<Core>,
    leases: BTreeMap<usize, (EntryKey, Token)>,
}

impl<'a> Held<'a> {
    pub(super) fn new(core: &'a Arc<Core>) -> Self {
        Self { core, leases: BTreeMap::new() }
    }

    pub(super) fn token(&self, place: usize) -> Option<Token> {
        self.leases.get(&place).map(|(_, token)| *token)
    }

    pub(super) fn forget(&mut self, place: usize) {
        self.leases.remove(&place);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        let runtime = tokio::runtime::Handle::try_current();
        if let (Ok(runtime), Some(store)) = (runtime, self.core.store.clone()) {
            let leases: Vec<_> = std::mem::take(&mut self.leases).into_values().collect();
            let deadline = self.core.settings.read_deadline;
            // Best effort: a lease that is not given back lapses.
            runtime.spawn(async move {
                within(deadline, async { Ok(store.release_many(&leases).await) }).await.ok()
            });
        }
    }
}

impl<V: Cacheable> Reading<'_, V> {
    /// Asks for the leases of these errands until each has one, or an entry, or a reason to load without. Gives those that are
    /// to be loaded; `may_wait` says that nothing else has to be.
    pub(super) async fn obtain(
        &mut self,
        errands: Vec<Errand>,
        may_wait: bool,
        held: &mut Held<'_>,
    ) -> Vec<Errand> {
        let (core, counters, policy) = (self.core, &self.state.counters, self.state.policy());
        let may_wait =
            may_wait && policy.stampede.sharing == Sharing::Lease && policy.on_wait != OnWait::Load;
        let mut _waits = Vec::new();
        let (mut pause, since, mut finished) = (FIRST_PAUSE, core.clock.monotonic(), Vec::new());
        let (mut to_ask, mut to_load) = (Vec::new(), Vec::new());
        for errand in errands {
            // A look that went unanswered a moment ago: waiting for the lease too would cost the caller another deadline.
            if self.readers[errand.place].is_degraded() { &mut to_load } else { &mut to_ask }.push(errand);
        }
        to_load.retain(Errand::is_of_use);
        while !to_ask.is_empty() {
            let (mut again, mut busy, mut fenced) = (Vec::new(), Vec::new(), Vec::new());
            for (mut errand, answer) in self.lease(std::mem::take(&mut to_ask), &finished, held).await {
                let reader = &self.readers[errand.place];
                match answer {
                    Err(_) => {
                        reader.degrades();
                        reader.not_stored(NotStored::Degraded);
                        to_load.push(errand);
                    }
                    Ok(Leased::Granted { epoch, now, tags, .. }) => {
                        errand.stamp = Some(Stamp { epoch, now, asked: reader.plan.tags.clone(), tags });
                        if errand.is_due {
                            counters.refreshes.add();
                        }
                        to_load.push(errand);
                    }
                    Ok(Leased::Present(found)) => match reader.open(&found) {
                        Ok(alive) if alive.standing != Standing::IfError => {
                            reader.tell_hit(Outcome::Awaited, &alive);
                            if alive.standing == Standing::Stale {
                                self.stale.insert(errand.place);
                            }
                            let value = alive.value.clone().map(|value| value as _);
                            self.known[errand.place] = Some(alive.value);
                            if let Some(leader) = errand.leader {
                                leader.lands(value, Proof::Entry { asked: errand.asked });
                            }
                        }
                        // It stands, but not for this reader: replace it.
                        _ => again.push(Errand { force: Force::over(found.blob.as_ref()), ..errand }),
                    },
                    Ok(Leased::Queued(queued)) => match reader.shown(&queued).await {
                        Shown::Value(alive) => {
                            reader.tell_hit(Outcome::Awaited, &alive);
                            let value = alive.value.clone().map(|value| value as _);
                            self.known[errand.place] = Some(alive.value);
                            if let Some(leader) = errand.leader {
                                leader.lands(value, Proof::Entry { asked: errand.asked });
                            }
                        }
                        Shown::Settled => again.push(errand),
                        // Another release's: what the database has is older until it is flushed.
                        Shown::Foreign => busy.push(errand),
                    },
                    Ok(Leased::Fenced(fences)) => fenced.push((errand, fences)),
                    Ok(Leased::Busy) => busy.push(errand),
                }
            }
            let healed = self.heal(&mut fenced, &mut finished).await;
            again.extend(healed);
            for (errand, _) in fenced {
                counters.fence_bypasses.add();
                self.readers[errand.place].not_stored(NotStored::Fenced);
                to_load.push(errand);
            }
            to_load.retain(Errand::is_of_use);
            busy.retain(Errand::is_of_use);
            if !again.is_empty() {
                again.append(&mut busy);
                to_ask = again;
                continue;
            }
            let left = self.patience().saturating_sub(core.clock.monotonic().saturating_sub(since));
            let is_over = left.is_zero();
            if busy.is_empty() || !may_wait || !to_load.is_empty() || is_over {
                if is_over {
                    busy.iter().for_each(|_| counters.lease_waits_exceeded.add());
                }
                busy.iter().for_each(|errand| self.readers[errand.place].not_stored(NotStored::Busy));
                to_load.append(&mut busy);
                break;
            }
            if policy.on_wait == OnWait::Stale {
                busy.retain(|errand| !self.stands(errand.place));
            }
            if let Some(waits) = self.waits(&busy) {
                _waits = waits;
            } else {
                to_load.append(&mut busy);
                break;
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
            busy.iter_mut()
                .for_each(|errand| errand.force = if errand.is_due { Force::No } else { errand.first });
            to_ask = busy;
        }
        to_load
    }

    /// How long it waits for others: as long as for the dearest of its keys.
    pub(super) fn patience(&self) -> Duration {
        self.readers.iter().map(|reader| reader.plan.waits()).max().unwrap_or_default()
    }

    /// Waits for the leases of these errands, which other loads of this process may hold; `None` if one of those waits for this
    /// batch.
    fn waits(&self, busy: &[Errand]) -> Option<Vec<Wait>> {
        let mut all = Vec::new();
        for errand in busy {
            let reader = &self.readers[errand.place];
            match errand.own.waits_for_lease(&reader.plan.key) {
                Ok(waits) => all.extend(waits),
                Err(_) if self.core.settings.faults.waits_in_circles => {}
                Err(circle) => {
                    reader.closes(&circle);
                    return None;
                }
            }
        }
        Some(all)
    }

    /// Those of the fenced that may be asked for again, because all writers of their fences are finished.
    async fn heal(
        &self,
        fenced: &mut Vec<(Errand, Vec<Fence>)>,
        finished: &mut Vec<WriterId>,
    ) -> Vec<Errand> {
        let sets: Vec<_> =
            fenced.iter().filter(|(errand, _)| !errand.healed).map(|(_, set)| &set[..]).collect();
        if sets.is_empty() {
            return Vec::new();
        }
        let over = self.core.finished_of_each(&sets).await;
        let (mut healed, mut standing) = (Vec::new(), Vec::new());
        for (mut errand, set) in fenced.drain(..) {
            if !errand.healed && set.iter().all(|fence| over.contains(&fence.writer)) {
                errand.healed = true;
                self.state.counters.fences_healed.add();
                healed.push(errand);
            } else {
                standing.push((errand, set));
            }
        }
        *fenced = standing;
        finished.extend(over);
        finished.sort_unstable();
        finished.dedup();
        healed
    }

    /// Asks for each lease once, in one round trip a shard.
    async fn lease(
        &self,
        errands: Vec<Errand>,
        finished: &[WriterId],
        held: &mut Held<'_>,
    ) -> Vec<(Errand, Result<Leased, crate::error::StoreError>)> {
        let Some(store) = self.core.store() else { return Vec::new() };
        let mut by_place = BTreeMap::new();
        for mut errand in errands {
            let plan = self.readers[errand.place].plan;
            // Held from before it is asked for: the answer may be lost while the lease is not.
            held.leases.insert(errand.place, (plan.key.clone(), Token(self.core.random())));
            errand.asked = errand.leader.as_ref().map(Leader::asks).unwrap_or_default();
            by_place.insert(errand.place, errand);
        }
        let seed = self.core.random();
        let tag_ttl = self.state.tag_lifetime();
        let leasing = self.each(by_place.keys().copied().collect(), |chunk| {
            let (by_place, leases) = (&by_place, &held.leases);
            Box::pin(async move {
                let request = |place: &usize| {
                    let plan = self.readers[*place].plan;
                    let (token, force) = (leases[place].1, by_place[place].force);
                    LeaseRequest {
                        key: &plan.key,
                        tags: &plan.tags,
                        token,
                        duration: plan.lease(),
                        force: force.is_any(),
                        over: force.mark(),
                        finished,
                        seed,
                        tag_ttl,
                        shares: false,
                    }
                };
                let requests: Vec<_> = chunk.iter().map(request).collect();
                store.lease_many(&requests).await
            })
        });
        let answers = leasing.await;
        let mut said = Vec::with_capacity(answers.len());
        for (place, answer) in answers {
            if matches!(&answer, Ok(leased) if !matches!(leased, Leased::Granted { .. })) {
                held.forget(place);
            }
            if let Some(errand) = by_place.remove(&place) {
                said.push((errand, answer));
            }
        }
        said
    }
}
