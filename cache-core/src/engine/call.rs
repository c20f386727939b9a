//! What a call asks for besides its value: to be told of, to be answered by its request's memory, or to be looked at only.
//! Refuses to let any of it reach a loader.

use std::any::TypeId;
use std::future::Future;
use std::sync::Arc;

use super::behind::Again;
use super::lease::Force;
use super::load::Reader;
use super::read::{Alive, Plan};
use super::{Core, SiteState};
use crate::flight::{Circle, Load, LoadId, Name, Owner};
use crate::freshness::Unusable;
use crate::loading;
use crate::mode::{
    Bypassed, Call, Explanation, Memo, MemoKey, Miss, Mode, NotStored, Note, Outcome, Peek, Stored,
};
use crate::output::{Output, Payload, ValueOf};
use crate::site::ReadSite;
use crate::stampede::Standing;
use crate::subject::Subject;

impl From<Unusable> for Miss {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::Epoch => Self::Epoch,
            Unusable::Foreign => Self::Foreign,
            Unusable::Expired => Self::Expired,
            Unusable::Tags => Self::Tags,
        }
    }
}

/// What the running task asks for, through a handle of this mode.
pub(super) fn asked(handle: Mode) -> Call {
    let call = Call::current();
    Call { mode: call.mode.max(handle), ..call }
}

/// Tells of a call that runs past the cache.
pub(crate) fn tell_bypassed(
    core: &Core,
    site: &'static ReadSite,
    why: Bypassed,
    key: impl FnOnce() -> Option<Subject>,
) {
    if let Some(notes) = Call::current().notes {
        let note = notes.begin(site, key().as_ref(), core.site(site).policy());
        note.write(|call| call.outcome = Outcome::Bypassed(why));
    }
}

/// Where this call is told of, if somebody wants to know.
pub(super) fn note(call: &Call, plan: &Plan) -> Option<Note> {
    let notes = call.notes.as_ref()?;
    Some(notes.begin(plan.state.site, Some(&plan.key.subject), plan.state.policy()))
}

impl SiteState {
    /// What its loads are called in messages.
    pub(super) fn name(&self) -> Name {
        Name { template: self.site.template, at: self.site.at }
    }
}

impl<O: Output> Reader<'_, O> {
    /// Writes something down about this call, if somebody wants to know.
    pub(super) fn tell(&self, write: impl FnOnce(&mut Explanation)) {
        if let Some(note) = &self.note {
            note.write(write);
        }
    }

    /// No entry answers, for this reason; the first one counts.
    pub(super) fn missed(&self, why: Miss) {
        self.tell(|call| {
            call.miss.get_or_insert(why);
        });
    }

    /// The loaded value was returned only; the first reason counts.
    pub(super) fn not_stored(&self, why: NotStored) {
        self.tell(|call| {
            call.stored.get_or_insert(Stored::Not(why));
        });
    }

    /// An entry answers.
    pub(super) fn tell_hit(&self, outcome: Outcome, alive: &Alive<ValueOf<O>>) {
        self.tell(|call| {
            call.outcome = outcome;
            (call.age, call.left) = (Some(alive.age), Some(alive.left));
        });
    }

    /// A load of this call's begins.
    pub(super) fn begins(&self, id: LoadId) -> Load {
        Load::begins(id, self.plan.state.name(), Owner::of(self.core), &self.plan.key)
    }

    /// Waiting for a load would close a circle: it is loaded at once.
    pub(super) fn closes(&self, circle: &Circle) {
        self.plan.state.counters.circles.add();
        circle.tell(self.plan.state.name());
        self.not_stored(NotStored::Circle);
    }

    /// A loader, outside of what its caller asks for: a value from a memo, or loaded anew for one caller, would end in an entry
    /// that everybody reads.
    pub(super) fn apart<F: Future>(&self, loader: F) -> impl Future<Output = F::Output> {
        let memo = self.call.memo.clone().filter(|_| self.core.settings.faults.launders);
        Call { memo, ..self.call.apart() }.scope(loader)
    }

    /// Whether the caller wants a load, whatever stands.
    pub(super) fn refreshes(&self) -> bool {
        self.call.mode == Mode::Refresh
    }

    /// What its first question for a lease is asked over.
    pub(super) fn first_force(&self) -> Force {
        if self.refreshes() { Force::OverAny } else { Force::No }
    }

    /// Answers a call.
    pub(super) async fn answer<F: Future<Output = O>>(
        &self,
        load: impl FnOnce() -> F,
        again: impl Again,
    ) -> O {
        if let Some(peek) = &self.call.peek {
            return self.peek(peek).await;
        }
        match &self.call.memo {
            None => self.run(load, again).await,
            Some(memo) => self.remember(memo, load, again).await,
        }
    }

    /// Looks, and ends there.
    async fn peek(&self, peek: &Peek) -> O {
        if let Some(alive) = self.look().await
            && alive.standing != Standing::IfError
        {
            if alive.standing == Standing::Stale {
                loading::taint();
            }
            let (age, left) = (alive.age, alive.left);
            if let Some(output) = Self::hand_out(alive.value) {
                peek.saw(age, left);
                return output;
            }
        }
        peek.stop().await
    }

    /// The tags that only the value names; `None` if they are not to be known.
    fn learned_tags(&self, value: Option<&ValueOf<O>>) -> Option<Vec<Subject>> {
        match &self.plan.learned {
            None => Some(Vec::new()),
            Some(learned) => learned.of(value.map(|value| value as _)),
        }
    }

    /// Answers from the request's memory, or reads and remembers.
    async fn remember<F: Future<Output = O>>(
        &self,
        memo: &Memo,
        load: impl FnOnce() -> F,
        again: impl Again,
    ) -> O {
        if self.core.settings.faults.remembers_written {
            memo.forgets_nothing();
        }
        let key = MemoKey {
            cache: Arc::as_ptr(self.core).addr(),
            entry: self.plan.key.clone(),
            tags: self.plan.tags.clone(),
            value: TypeId::of::<ValueOf<O>>(),
            negative: O::Payload::NEGATIVE,
        };
        if !self.refreshes()
            && let Some(value) = memo.answer(&key)
            && let Some(output) = Self::typed(value).and_then(Self::hand_out)
        {
            self.plan.state.counters.memoized.add();
            self.tell(|call| call.outcome = Outcome::Memo);
            return output;
        }
        match self.run(load, again).await.split() {
            Ok(payload) => {
                let value = payload.share();
                let any = value.clone().map(|value| value as _);
                // Whose tags are not to be known is not remembered, nor what only this call may be answered.
                if self.window().is_none()
                    && let Some(tags) = self.learned_tags(value.as_deref())
                {
                    memo.keep(key, any, tags);
                }
                Self::loaded(value)
            }
            Err(error) => O::fail(error),
        }
    }
}
