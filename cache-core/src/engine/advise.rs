//! Shows reads and fills to whoever watches their template, and says what was noticed.

use std::time::Duration;

use super::load::Reader;
use super::{Core, SiteState};
use crate::advice::Advice;
use crate::output::Output;
use crate::site::shape;

impl<O: Output> Reader<'_, O> {
    /// A read of an entry, whatever it finds.
    pub(super) fn is_seen(&self) {
        let state = &self.plan.state;
        if let Some(watch) = &state.watch {
            watch.reads(
                self.plan.key.fingerprint(),
                || self.core.clock.monotonic(),
                || state.policy().lifetime.ttl,
            );
        }
    }

    /// The read has missed: the place to think about it, since a load takes longer.
    pub(super) fn is_thought_about(&self) {
        let state = &self.plan.state;
        let Some(watch) = &state.watch else { return };
        let (now, ttl) = (self.core.clock.monotonic(), state.policy().lifetime.ttl);
        for finding in watch.misses(now, ttl, || state.counts()) {
            tracing::warn!(at = %state.site.at, "{}", state.advice(finding));
        }
    }

    /// An entry of this size was stored.
    pub(super) fn is_weighed(&self, bytes: usize, load: Duration) {
        if let Some(watch) = &self.plan.state.watch {
            watch.fills(bytes, load);
        }
    }
}

impl SiteState {
    fn advice(&self, finding: crate::advice::Finding) -> Advice {
        Advice { template: shape(self.site.template), finding }
    }
}

impl Core {
    /// All that was noticed so far, in order of the templates.
    pub(crate) fn advice(&self) -> Vec<Advice> {
        let mut all: Vec<_> = self
            .states()
            .iter()
            .filter_map(|state| Some((state, state.watch.as_ref()?)))
            .flat_map(|(state, watch)| watch.found().into_iter().map(|finding| state.advice(finding)))
            .collect();
        all.sort_by(|one, other| one.template.cmp(&other.template));
        all
    }
}
