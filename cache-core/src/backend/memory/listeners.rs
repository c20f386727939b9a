//! Who hears of the writes to the memory of a process: at once, so it vouches for ever. Refuses to keep anybody alive.

use std::sync::{PoisonError, RwLock, Weak};
use std::time::Duration;

use crate::bus::Listener;
use crate::key::Namespace;
use crate::subject::Subject;

/// Everybody who has joined, and the namespace he reads.
#[derive(Debug, Default)]
pub(super) struct Listeners(RwLock<Vec<(Namespace, Weak<dyn Listener>)>>);

impl Listeners {
    /// Adds a listener, and lets go of those that are gone.
    pub(super) fn join(&self, namespace: &Namespace, listener: Weak<dyn Listener>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, known)| known.strong_count() > 0);
        if let Some(listener) = listener.upgrade() {
            listener.vouches(listener.now(), Duration::MAX);
        }
        all.push((namespace.clone(), listener));
    }

    fn each(&self, of: Option<&Namespace>, tell: impl Fn(&dyn Listener)) {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let concerned = all.iter().filter(|(namespace, _)| of.is_none_or(|of| of == namespace));
        concerned.filter_map(|(_, listener)| listener.upgrade()).for_each(|listener| tell(&*listener));
    }

    /// These are written.
    pub(super) fn tell<'s>(&self, subjects: impl IntoIterator<Item = &'s Subject>) {
        let stripes: Vec<u64> = subjects.into_iter().map(Subject::stripe).collect();
        self.each(None, |listener| listener.marked(&stripes));
    }

    /// Nothing counts that was read before, in one namespace or in all.
    pub(super) fn flush(&self, of: Option<&Namespace>) {
        self.each(of, |listener| {
            listener.doubts();
            listener.vouches(listener.now(), Duration::MAX);
        });
    }
}
