//! Queued writes in the memory of a process. Refuses to let an earlier one, or one that is settled, come back.

use bytes::Bytes;

use super::State;
use crate::store::{PendRequest, Queued, SETTLED};
use crate::subject::{JournalId, Position, Subject};
use crate::time::StoreTime;

/// The last queued write of a subject.
pub(super) struct Shown {
    journal: JournalId,
    position: Position,
    since: StoreTime,
    /// `None` once it is settled.
    value: Option<(u64, Bytes)>,
}

impl State {
    pub(super) fn pend(&mut self, request: &PendRequest<'_>, since: StoreTime) {
        let &PendRequest { key, journal, position, payload } = request;
        let name = key.subject.name();
        let is_later = |shown: &Shown| {
            shown.journal == journal
                && (shown.position > position || shown.position == position && shown.value.is_none())
        };
        if self.subjects.get(name).and_then(|slot| slot.queued.as_ref()).is_some_and(is_later) {
            return;
        }
        self.drop_entries(name);
        self.nobody_is_solo(name);
        let shown = Shown { journal, position, since, value: Some((key.field, payload.clone())) };
        self.subjects.entry(name.into()).or_default().queued = Some(shown);
    }

    pub(super) fn settle(&mut self, subject: &Subject, until: (JournalId, Position), since: StoreTime) {
        let (journal, position) = until;
        self.drop_entries(subject.name());
        self.nobody_is_solo(subject.name());
        let slot = self.subjects.entry(subject.name().into()).or_default();
        let settled = Shown { journal, position, since, value: None };
        match &mut slot.queued {
            Some(shown) if shown.journal == journal && shown.position > position => {}
            Some(shown) if shown.journal != journal && shown.value.is_some() => {}
            other => *other = Some(settled),
        }
        self.forget_settled(subject, since);
    }

    /// Whether a queued write stands on a subject, or was settled lately.
    pub(super) fn was_queued(&self, subject: &Subject) -> bool {
        self.subjects.get(subject.name()).is_some_and(|slot| slot.queued.is_some())
    }

    /// Forgets what was settled longer ago than any command is on its way; and this will be, too.
    fn forget_settled(&mut self, subject: &Subject, now: StoreTime) {
        self.settled.push_back((now, subject.name().into()));
        while self.settled.front().is_some_and(|(since, _)| now.since(*since) > SETTLED)
            && let Some((_, name)) = self.settled.pop_front()
        {
            let Some(slot) = self.subjects.get_mut(&name) else { continue };
            let is_over = |shown: &mut Shown| shown.value.is_none() && now.since(shown.since) > SETTLED;
            if slot.queued.take_if(is_over).is_some() && slot.is_empty() {
                self.subjects.remove(&name);
            }
        }
    }

    /// No writer's value is the newest any more.
    fn nobody_is_solo(&mut self, name: &str) {
        if let Some(slot) = self.subjects.get_mut(name) {
            slot.fences.values_mut().for_each(|fence| fence.solo = false);
        }
    }

    /// The queued write that stands on a subject.
    pub(super) fn queued(&self, subject: &Subject, now: StoreTime) -> Option<Queued> {
        let shown = self.subjects.get(subject.name())?.queued.as_ref()?;
        let (field, payload) = shown.value.clone()?;
        let &Shown { journal, position, since, .. } = shown;
        // The memory of a process is one dataset.
        Some(Queued { journal, position, field, payload, age: now.since(since), is_of_epoch: true })
    }
}
