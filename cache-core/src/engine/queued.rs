//! Queued writes: shown once a journal has them, served while they stand, settled once the database has them. Refuses to serve one
//! that may be older than the database without asking it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::Core;
use super::ask::within;
use super::heard::Told;
use super::lease::Force;
use super::load::Reader;
use super::read::Alive;
use crate::bus::Sharers;
use crate::codec;
use crate::error::{StoreError, StoreErrorKind};
use crate::journal::{self, Applied};
use crate::output::{Output, ValueOf};
use crate::stampede::Standing;
use crate::store::{PendRequest, Queued};
use crate::subject::{JournalId, Position, Subject};

/// Older ones may be what a command left that was under way for too long, or the rest of a flush that died: the database is asked.
const YOUNG: Duration = Duration::from_secs(10);
/// What the database said counts for this long.
const TOLD: Duration = Duration::from_millis(50);

/// Who can be asked how far a journal is applied, and what they said lately.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    known: RwLock<Vec<Arc<dyn Applied>>>,
    told: Mutex<HashMap<JournalId, (Duration, Option<Position>)>>,
}

impl Settling {
    /// Adds somebody in the place of another one of his name.
    pub(crate) fn add(&self, applied: Arc<dyn Applied>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|other| other.is_alive() && other.name() != applied.name());
        known.push(applied);
    }
}

/// What a queued write is to a reader.
pub(super) enum Shown<V> {
    /// The newest value.
    Value(Alive<V>),
    /// Nothing any more: the database has it.
    Settled,
    /// Not readable here: another type's, or another release's.
    Foreign,
}

impl Core {
    /// Shows queued writes to every reader, and waits until nobody serves from his own memory what was there before; what came of
    /// each.
    pub(crate) async fn pend(&self, writes: &[PendRequest<'_>]) -> Vec<Result<(), StoreError>> {
        let Some(store) = self.store().filter(|_| !writes.is_empty()) else {
            return writes.iter().map(|_| Ok(())).collect();
        };
        crate::mode::written(writes.iter().map(|write| &write.key.subject));
        let (pending, deadline) = (async { Ok(store.pend_many(writes).await) }, self.settings.mark_deadline);
        let pended: Vec<Result<Sharers, StoreError>> =
            within(deadline, pending).await.unwrap_or_else(|error| {
                let failed = || StoreError::new(error.kind(), format!("no answer within {deadline:?}"));
                writes.iter().map(|_| Err(failed())).collect()
            });
        self.tells_near(writes.iter().map(|write| &write.key.subject));
        let mut told = Told::default();
        let mut heard = |(answer, write): (Result<Sharers, StoreError>, &PendRequest<'_>)| {
            answer.map(|sharers| told.add(self.told(sharers, std::slice::from_ref(&write.key.subject))))
        };
        let answers = pended.into_iter().zip(writes).map(&mut heard).collect();
        self.heard(store, told).await;
        answers
    }

    /// Shows again those that the store has lost.
    pub(crate) async fn pend_again(&self, writes: &[PendRequest<'_>]) -> Result<(), StoreError> {
        let Some(store) = self.store().filter(|_| !writes.is_empty()) else { return Ok(()) };
        let looking = async { store.show_many(writes).await.into_iter().collect() };
        let shown: Vec<bool> = within(self.settings.mark_deadline, looking).await?;
        let lost = writes.iter().zip(shown).filter(|(_, is_shown)| !is_shown).map(|(write, _)| *write);
        self.pend(&lost.collect::<Vec<_>>()).await.into_iter().collect()
    }

    /// Takes back what is shown of these subjects: the database has everything of this journal up to a position.
    pub(crate) async fn settle(
        &self,
        subjects: &[Subject],
        journal: JournalId,
        position: Position,
    ) -> Result<(), StoreError> {
        let Some(store) = self.store().filter(|_| !subjects.is_empty()) else { return Ok(()) };
        let settling = async { store.settle_many(subjects, journal, position).await.into_iter().collect() };
        let settled = within(self.settings.mark_deadline, settling).await;
        self.tells_near(subjects);
        settled
    }

    /// How far a journal is applied, if anybody knows.
    async fn applied(&self, journal: JournalId) -> Option<Position> {
        let now = self.clock.monotonic();
        let told = self.settling.told.lock().unwrap_or_else(PoisonError::into_inner).get(&journal).copied();
        if let Some((_, position)) = told.filter(|(at, _)| now < *at + TOLD) {
            return position;
        }
        let known = self.settling.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut applied = None;
        for one in known {
            applied = applied.max(one.applied(journal).await);
        }
        let mut told = self.settling.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, (at, _)| now < *at + TOLD);
        told.insert(journal, (now, applied));
        applied
    }

    /// Whether a queued write that stands is certainly not in the database yet, or not for long.
    pub(super) fn is_sure(&self, queued: &Queued) -> bool {
        queued.is_of_epoch && queued.age < YOUNG
    }

    /// Whether the database has a queued write that stands; then it is settled.
    pub(super) async fn is_applied(&self, subject: &Subject, queued: &Queued) -> Result<bool, StoreError> {
        if self.applied(queued.journal).await.is_none_or(|applied| applied < queued.position) {
            return Ok(false);
        }
        let settled = self.settle(std::slice::from_ref(subject), queued.journal, queued.position).await;
        settled.map(|()| true)
    }
}

impl<O: Output> Reader<'_, O> {
    /// What a queued write on this entry's subject is to this call.
    pub(super) async fn shown(&self, queued: &Queued) -> Shown<ValueOf<O>> {
        if !self.core.is_sure(queued) {
            match self.core.is_applied(&self.plan.key.subject, queued).await {
                Ok(true) => return Shown::Settled,
                Ok(false) => {}
                // It may be older than the database, or newer: only one of the two can be loaded.
                Err(error) if error.kind() != StoreErrorKind::Rejected => return Shown::Foreign,
                Err(_) => {}
            }
        }
        if queued.field != journal::kind::<ValueOf<O>>(self.plan.state.site.template) {
            return Shown::Foreign;
        }
        let Some((codec, payload)) = queued.payload.split_first() else { return Shown::Foreign };
        match codec::decode(*codec, payload) {
            Ok(value) => Shown::Value(Alive {
                value: Some(Arc::new(value)),
                standing: Standing::Current,
                force: Force::No,
                age: queued.age,
                left: Duration::ZERO,
                // What is queued is shown for as long as it stands, by whoever has it.
                quiet: Duration::ZERO,
                bytes: 0,
                known: None,
            }),
            Err(error) => {
                self.plan.state.counters.undecodable.add();
                tracing::debug!(%error, key = %self.plan.key.subject, "a queued write does not decode; loading");
                Shown::Foreign
            }
        }
    }
}
