//! Who loads: one caller leads, the others wait for it, and nobody for ever. Refuses to hand a value to a caller for whom it was
//! not provably current.

use std::any::TypeId;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::lease::Force;
use super::load::{Obtained, Reader};
use super::read::Alive;
use crate::flight::{self, Ending, Leader, LoadId, Next, Role, Shared, Waiter};
use crate::freshness::{Arrival, Proof, Stage, may_take};
use crate::loading;
use crate::mode::{NotStored, Outcome as Answered};
use crate::output::{Output, Payload, ValueOf};
use crate::policy::{OnWait, Sharing};
use crate::stampede::Standing;

impl<O: Output> Reader<'_, O> {
    /// Loads, or takes what another caller loads. `standing` is served where nothing better is to be had.
    pub(super) async fn join_or_lead<F: Future<Output = O>>(
        &self,
        load: impl FnOnce() -> F,
        mut standing: Option<Alive<ValueOf<O>>>,
    ) -> O {
        let counters = &self.plan.state.counters;
        let (policy, began) = (self.plan.state.policy(), self.core.clock.monotonic());
        if policy.stampede.sharing == Sharing::Nobody && !self.refreshes() {
            return self.alone(load, standing, began).await;
        }
        let key = flight::Key {
            entry: self.plan.key.clone(),
            tags: self.plan.tags.clone(),
            value: TypeId::of::<ValueOf<O>>(),
            negative: O::Payload::NEGATIVE,
            refresh: self.refreshes(),
        };
        let mut lost = 0;
        loop {
            let waiter = match self.core.flights.enter(&key, lost) {
                Role::Lead(leader) => return self.lead(leader, load, standing, began).await,
                Role::Wait(waiter) => waiter,
            };
            match policy.on_wait {
                OnWait::Wait(_) => {}
                _ if self.refreshes() => {}
                OnWait::Load => {
                    self.not_stored(NotStored::Busy);
                    return self.load_unleased(load, standing).await;
                }
                OnWait::Stale => {
                    if let Some(output) = standing.take().and_then(|alive| self.serve_stale(alive)) {
                        return output;
                    }
                }
            }
            let waiting = flight::wait(waiter.load());
            if let Err(circle) = &waiting
                && !self.core.settings.faults.waits_in_circles
            {
                self.closes(circle);
                return self.load_unleased(load, standing).await;
            }
            let waited = self.wait(waiter, began).await;
            drop(waiting);
            match waited {
                Waited::Took(output) => {
                    counters.joined.add();
                    self.tell(|call| call.outcome = Answered::Joined);
                    return output;
                }
                Waited::LookAgain => {
                    lost = 0;
                    if !self.refreshes()
                        && let Some(alive) = self.look().await
                        && alive.standing != Standing::IfError
                    {
                        self.tell_hit(Answered::Joined, &alive);
                        if let Some(output) = self.serve(alive) {
                            counters.joined.add();
                            return output;
                        }
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
                Waited::Lead(leader) => return self.lead(leader, load, standing, began).await,
                Waited::LoadBeside(_permit) => {
                    self.not_stored(NotStored::Crowded);
                    return self.load_unleased(load, standing).await;
                }
            }
        }
    }

    /// Loads for this caller alone, and fills if nobody else does.
    async fn alone<F: Future<Output = O>>(
        &self,
        load: impl FnOnce() -> F,
        standing: Option<Alive<ValueOf<O>>>,
        began: Duration,
    ) -> O {
        let own = self.begins(LoadId::new());
        let _enclosing = flight::wait(own.id());
        let grant = match self.obtain(|| 0, false, &own, began).await {
            Obtained::Entry(alive, _) => {
                self.tell_hit(Answered::Awaited, &alive);
                match Self::hand_out(alive.value) {
                    Some(output) => return output,
                    None => None,
                }
            }
            Obtained::Grant(grant) => Some(grant),
            Obtained::Nothing | Obtained::Stale => None,
        };
        let known = standing.as_ref().and_then(|alive| alive.known.clone());
        let (value, verdict, took) = match self.load(Some(&own), load, known).await.apart() {
            Ok(made) => made,
            Err(error) => return self.fails(error, standing),
        };
        if let Some(grant) = grant {
            self.fill(grant, value.as_ref(), &verdict, took).await;
        }
        Self::loaded(value)
    }

    /// Waits for a flight; `began` is when this call began to wait for others.
    pub(super) async fn wait(&self, mut waiter: Waiter, began: Duration) -> Waited<O> {
        let (arrival, beside) = (waiter.arrival(), waiter.beside());
        let patience =
            if self.plan.state.policy().is_bounded() { self.left(began) } else { self.plan.waits() };
        // Few load beside a flight at once, but nobody waits for a place for ever: the loads in front may hang. Who is inside a
        // load does not wait at all: they may be waiting for that load.
        let place = || async {
            if flight::enclosing().is_some() {
                return None;
            }
            tokio::time::timeout(patience, beside.clone().acquire_owned()).await.ok()?.ok()
        };

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
            Ending::Landed { value, proof, is_skipped } => {
                if self.takes(arrival, proof)
                    && let Some(output) = Self::typed(value).and_then(Self::hand_out)
                {
                    loading::inherit(false, is_skipped);
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
        if self.refreshes() && !faults.refreshes_join {
            // What a load that had begun before saw may be what the caller wants to get rid of.
            return loaded && arrival.stage == Stage::Pending;
        }
        may_take(arrival, proof)
            || faults.joins_anytime
            || (faults.joins_refused && loaded && arrival.stage == Stage::Loading)
    }

    pub(super) fn typed(value: Shared) -> Option<Option<Arc<ValueOf<O>>>> {
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
        began: Duration,
    ) -> O {
        let own = self.begins(leader.load());
        let _enclosing = flight::wait(leader.load());
        let late = self.core.settings.faults.refreshes_by_set && self.refreshes();
        if self.refreshes() {
            // Those who waited for the same load were woken together, and may share the next one only while it is pending.
            tokio::task::yield_now().await;
        }
        let obtained = match late {
            true => Obtained::Nothing,
            false => self.obtain(|| leader.asks(), standing.is_some(), &own, began).await,
        };
        let grant = match obtained {
            Obtained::Entry(alive, asked) => {
                self.tell_hit(Answered::Awaited, &alive);
                let value = alive.value;
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
        let known = standing.as_ref().and_then(|alive| alive.known.clone());
        let (value, verdict, took) = match self.load(Some(&own), load, known).await.apart() {
            Ok(made) => made,
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
            self.not_stored(NotStored::Tainted);
            return Self::loaded(value);
        }
        let grant = match grant {
            None if late => self.core.lease_early(self.plan, Force::OverAny).await,
            grant => grant,
        };
        if !self.core.settings.faults.seals_late {
            leader.reaches(Stage::Sealed);
        }
        let filled = match grant {
            Some(grant) => self.fill(grant, value.as_ref(), &verdict, took).await,
            None => false,
        };
        let (shared, proof) = (value.clone().map(|value| value as _), Proof::Load { filled });
        if verdict.is_skipped {
            leader.lands_skipped(shared, proof)
        } else {
            leader.lands(shared, proof)
        }
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
