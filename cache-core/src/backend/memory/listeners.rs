//! Who hears of the writes to the memory of a process: at once, so it vouches for ever. Refuses to keep anybody alive.

use std::sync::{PoisonError, RwLock, Weak};
use std::time::Duration;

use crate::bus::Listener;
use crate::subject::Subject;

/// Everybody who has joined.
#[derive(Debug, Default)]
pub(super) struct Listeners(RwLock<Vec<Weak<dyn Listener>>>);

impl Listeners {
    /// Adds a listener, and lets go of those that are gone.
    pub(super) fn join(&self, listener: Weak<dyn Listener>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        if let Some(listener) = listener.upgrade() {
            listener.vouches(listener.now(), Duration::MAX);
        }
        all.push(listener);
    }

    fn each(&self, tell: impl Fn(&dyn Listener)) {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).for_each(|listener| tell(&*listener));
    }

    /// These are written.
    pub(super) fn tell<'s>(&self, subjects: impl IntoIterator<Item = &'s Subject>) {
        let stripes: Vec<u64> = subjects.into_iter().map(Subject::stripe).collect();
        self.each(|listener| listener.marked(&stripes));
    }

    /// Nothing counts that was read before.
    pub(super) fn flush(&self) {
        self.each(|listener| {
            listener.doubts();
            listener.vouches(listener.now(), Duration::MAX);
        });
    }
}
