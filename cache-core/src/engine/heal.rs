//! Asks who knows whether writers of old fences are finished. Refuses to lift by age, except the fences of writers that
//! nobody can be asked about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::Core;
use crate::heal::Healer;
use crate::store::Fence;
use crate::subject::WriterId;

/// Younger fences are not asked about: their writers are most likely alive and about to clear.
const YOUNG: Duration = Duration::from_millis(50);
/// One writer is asked about at most this often.
const PAUSE: Duration = Duration::from_millis(50);

/// Who can be asked, and who was asked about lately.
#[derive(Debug, Default)]
pub(crate) struct Healing {
    healers: RwLock<Vec<Arc<dyn Healer>>>,
    asked: Mutex<HashMap<WriterId, Duration>>,
}

impl Healing {
    /// Adds a healer unless a living one of its name is there.
    pub(crate) fn add(&self, healer: Arc<dyn Healer>) {
        let is_it = |known: &Arc<dyn Healer>| known.name() == healer.name();
        // Transactions add theirs again and again, so this is the usual end.
        let known = self.healers.read().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|known| is_it(known) && known.is_alive()) {
            return;
        }
        drop(known);
        let mut healers = self.healers.write().unwrap_or_else(PoisonError::into_inner);
        healers.retain(|known| !is_it(known));
        healers.push(healer);
    }

    fn may_ask(&self, fences: &[Fence], now: Duration) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, at| now < *at + PAUSE);
        let new = fences.iter().any(|fence| !asked.contains_key(&fence.writer));
        if new {
            asked.extend(fences.iter().map(|fence| (fence.writer, now)));
        }
        new
    }
}

impl Core {
    /// The writers among these whose fences may be lifted. Empty if any fence has to stay, since a lease would be refused
    /// all the same.
    pub(super) async fn finished(&self, fences: &[Fence]) -> Vec<WriterId> {
        let (orphans, others): (Vec<_>, Vec<_>) =
            fences.iter().cloned().partition(|fence| fence.origin.is_none());
        if fences.iter().any(|fence| fence.age < YOUNG)
            || orphans.iter().any(|fence| fence.age < self.settings.orphan_after)
        {
            return Vec::new();
        }
        if self.settings.faults.heals_by_age {
            return fences.iter().map(|fence| fence.writer).collect();
        }
        let mut finished: Vec<_> = orphans.iter().map(|fence| fence.writer).collect();
        if others.is_empty() {
            return finished;
        }
        if !self.healing.may_ask(&others, self.clock.monotonic()) {
            return Vec::new();
        }
        let healers = self.healing.healers.read().unwrap_or_else(PoisonError::into_inner).clone();
        for healer in healers {
            let known: Vec<_> = others.iter().filter(|fence| healer.knows(fence)).cloned().collect();
            if !known.is_empty() {
                finished.extend(healer.finished(&known).await);
            }
        }
        if others.iter().all(|fence| finished.contains(&fence.writer)) { finished } else { Vec::new() }
    }
}
