//! Asks who knows whether writers of old fences are finished. Refuses to lift by age, except the fences of writers that
//! nobody can be asked about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::Core;
use crate::heal::Healer;
use crate::store::{Fence, Origin};
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

    /// Tells those who can be asked that nobody will ask about this writer again.
    pub(super) fn cleared(&self, origin: &Origin) {
        if !origin.is_none() {
            let known = self.healers.read().unwrap_or_else(PoisonError::into_inner).clone();
            known.iter().for_each(|healer| healer.cleared(origin));
        }
    }

    /// Who can be asked.
    pub(super) fn known(&self) -> Vec<Arc<dyn Healer>> {
        self.healers.read().unwrap_or_else(PoisonError::into_inner).clone()
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
        self.finished_of_each(&[fences]).await
    }

    /// The writers whose fences may be lifted, of those sets none of which has to stay. Who knows is asked once for all.
    pub(super) async fn finished_of_each(&self, sets: &[&[Fence]]) -> Vec<WriterId> {
        let may_go = |fence: &Fence| {
            fence.age >= YOUNG && (!fence.origin.is_none() || fence.age >= self.settings.orphan_after)
        };
        let sets: Vec<_> = sets.iter().filter(|set| set.iter().all(may_go)).collect();
        let mut fences: Vec<Fence> = Vec::new();
        for fence in sets.iter().flat_map(|set| set.iter()) {
            if !fences.iter().any(|known| known.writer == fence.writer) {
                fences.push(fence.clone());
            }
        }
        if self.settings.faults.heals_by_age {
            return fences.iter().map(|fence| fence.writer).collect();
        }
        let (orphans, others): (Vec<_>, Vec<_>) =
            fences.into_iter().partition(|fence| fence.origin.is_none());
        let mut finished: Vec<_> = orphans.iter().map(|fence| fence.writer).collect();
        if !others.is_empty() && self.healing.may_ask(&others, self.clock.monotonic()) {
            for healer in self.healing.known() {
                let known: Vec<_> = others.iter().filter(|fence| healer.knows(fence)).cloned().collect();
                if !known.is_empty() {
                    finished.extend(healer.finished(&known).await);
                }
            }
        }
        // Where one of several has to stay, lifting the others lets nobody in.
        let is_over = |set: &[Fence]| set.iter().all(|fence| finished.contains(&fence.writer));
        let over = sets.iter().filter(|set| is_over(set));
        let mut writers: Vec<_> = over.flat_map(|set| set.iter().map(|fence| fence.writer)).collect();
        writers.sort_unstable();
        writers.dedup();
        writers
    }
}
