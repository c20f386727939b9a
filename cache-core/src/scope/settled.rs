//! Which subjects of a transaction wait for queued writes. Refuses to take a subject that a later call names again for settled.

use std::collections::HashSet;
use std::sync::Arc;

use super::Recording;
use crate::site::WriteSite;
use crate::store::BoxFuture;
use crate::subject::Subject;

/// How a write stands to what is queued: what was queued before it must be in the database before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AfterQueued {
    pub(crate) subjects: HashSet<Subject>,
    /// This transaction is the flush.
    pub(crate) is_flush: bool,
    /// Something of a group that it changes was not flushed in time.
    pub(crate) is_stuck: bool,
}

impl AfterQueued {
    /// Whether what is queued on a subject is ordered before, or after, this write by now.
    pub(crate) fn has(&self, subject: &Subject) -> bool {
        self.is_flush || self.subjects.contains(subject)
    }
}

/// What a recording knows about that.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Named, and not looked at yet.
    owed: Vec<Subject>,
    done: AfterQueued,
}

impl Settled {
    pub(super) fn owes(&mut self, subject: &Subject) {
        if !self.done.is_flush {
            self.done.subjects.remove(subject);
            self.owed.push(subject.clone());
        }
    }

    pub(super) fn done(self) -> AfterQueued {
        self.done
    }
}

/// Who lets what is queued go first.
pub trait Settles: Send + Sync {
    /// Waits, for a while, until what is queued on these subjects is in the database, and what else a function changes.
    fn settles<'a>(
        &'a self,
        subjects: &'a [Subject],
        site: Option<&'a WriteSite>,
    ) -> BoxFuture<'a, AfterQueued>;

    /// Whether there is anything that queues.
    fn has_queues(&self) -> bool;
}

impl Recording {
    /// The same in a program of which this knows what it queues.
    pub(crate) fn after(self, queues: Arc<dyn Settles>) -> Self {
        Self { queues: Some(queues).filter(|queues| queues.has_queues()), ..self }
    }

    /// This transaction is the flush of a queue: nothing that is queued is in its way. For authors of queues.
    pub fn flushes(&self) {
        let mut state = self.lock();
        state.settled.owed.clear();
        state.settled.done.is_flush = true;
    }

    /// Lets queued writes on what was recorded since the last time reach the database first, for a while: those that do not, and
    /// those on what is recorded after this, are in the way of the commit if they still stand. `site` tells what else a
    /// function changes.
    pub async fn settle(&self, site: Option<&WriteSite>) {
        let Some(queues) = &self.queues else { return };
        let owed = {
            let mut state = self.lock();
            if state.settled.done.is_flush {
                return;
            }
            std::mem::take(&mut state.settled.owed)
        };
        let settled = queues.settles(&owed, site).await;
        let mut state = self.lock();
        state.settled.done.subjects.extend(settled.subjects);
        state.settled.done.is_stuck |= settled.is_stuck;
    }
}
