//! What a write has invalidated, for calls that ask for it and for as long as their function says. Refuses to let any of it into an
//! entry, another caller's answer, or a call that did not ask.

use std::time::Duration;

use super::lease::Force;
use super::load::Reader;
use super::read::Alive;
use crate::entry;
use crate::freshness::{self, same_stamps};
use crate::loading;
use crate::mode::{Mode, Outcome as Answered};
use crate::output::{Output, Payload, ValueOf};
use crate::stampede::{self, Age, Standing};
use crate::store::{Aside, Found};

impl<O: Output> Reader<'_, O> {
    /// For how long after a write its old value may answer this call; `None` for not at all. A request never sees less than it has
    /// written itself, as far as its memo knows.
    pub(super) fn window(&self) -> Option<Duration> {
        let window = self.plan.state.policy().lifetime.bounded;
        let mut made_of = std::iter::once(&self.plan.key.subject).chain(&self.plan.tags);
        let is_asked = self.call.mode == Mode::Bounded && !window.is_zero();
        let memo = self.call.memo.as_ref().or(self.call.hears.as_ref());
        let is_own = memo.is_some_and(|memo| memo.has_written(&mut made_of));
        (is_asked && !is_own).then_some(window)
    }

    /// What a write has invalidated, at most the window ago. `found` is what the look for an entry was answered.
    pub(super) async fn aside(&self, found: Found, window: Duration) -> Option<Alive<ValueOf<O>>> {
        if found.blob.is_some() {
            // It stands; one of its tags has moved.
            return self.invalidated(&found, None, &found, window);
        }
        let (key, store) = (&self.plan.key, self.core.store()?);
        let Aside { epoch, now, since, blob } =
            self.core.ask(&self.plan.touched(store, &[]), store.aside(key)).await.ok()??;
        let kept = Found { epoch, now, blob: Some(blob), tags: Vec::new(), shared: false };
        let mut alive = self.invalidated(&kept, Some(since), &found, window)?;
        alive.force = Force::No;
        Some(alive)
    }

    /// Judges an invalidated value; `looked` is the answer that came with its tags.
    fn invalidated(
        &self,
        kept: &Found,
        dropped: Option<crate::time::StoreTime>,
        looked: &Found,
        window: Duration,
    ) -> Option<Alive<ValueOf<O>>> {
        let (header, payload) = entry::decode(kept.blob.as_ref()?).ok()?;
        let wanted = self.plan.wanted(&header);
        freshness::fits(&header, kept.epoch, kept.now, wanted).ok()?;
        let fitted = match &self.plan.learned {
            None => Some(looked.clone()),
            Some(learned) => {
                let fitted = learned.fit(&header, looked, self.plan.tags.len());
                // The look is over: nothing is asked again for its sake.
                self.plan.is_other();
                fitted
            }
        };
        let is_unmoved =
            |looked: &Found| wanted.tags == header.tags.len() && same_stamps(&header.tags, &looked.tags);
        let unmoved = fitted.filter(is_unmoved).map(|looked| looked.now);
        let outdated = kept.now.since(freshness::last_current(header.made_at, dropped, unmoved));
        let age = Age {
            lifetime: header.current_until.since(header.made_at),
            left: header.current_until.since(kept.now),
            over: kept.now.since(header.current_until),
            load: header.load,
        };
        let standing = stampede::standing(&age, &self.plan.state.policy(), 1.0);
        if outdated >= window || matches!(standing, Standing::IfError | Standing::Over) {
            return None;
        }
        let value = match header.negative {
            true => None,
            false => Some(self.decode(header.codec, &payload)?),
        };
        if value.is_none() && !O::Payload::NEGATIVE {
            return None;
        }
        let left = window.saturating_sub(outdated);
        Some(Alive {
            value,
            standing: Standing::Invalidated,
            force: Force::over(kept.blob.as_ref()),
            age: kept.now.since(header.made_at),
            left,
            quiet: Duration::ZERO,
            bytes: 0,
            known: None,
        })
    }

    /// Serves a value that a write has invalidated.
    pub(super) fn serve_invalidated(&self, alive: Alive<ValueOf<O>>) -> Option<O> {
        self.tell_hit(Answered::Bounded, &alive);
        let output = Self::hand_out(alive.value)?;
        self.is_invalidated();
        Some(output)
    }

    /// What this call answers was invalidated.
    pub(super) fn is_invalidated(&self) {
        self.plan.state.counters.bounded.add();
        if !self.core.settings.faults.launders_invalidated {
            loading::taint();
        }
    }
}
