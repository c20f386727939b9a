//! What a mark has dropped, for as long as one of the values asks to be kept. Refuses to be an entry.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cache_core::time::StoreTime;

/// The values of a subject, no entries any more.
#[derive(Clone, Debug)]
pub(super) struct Dropped {
    values: BTreeMap<u64, (Bytes, StoreTime)>,
    since: StoreTime,
    window: Duration,
}

impl Dropped {
    pub(super) fn new(values: BTreeMap<u64, (Bytes, StoreTime)>, since: StoreTime, window: Duration) -> Self {
        Self { values, since, window }
    }

    /// A value, and when it was dropped; `ageless` is a store that keeps it for ever and does not know since when.
    pub(super) fn get(&self, field: u64, now: StoreTime, ageless: bool) -> Option<(Bytes, StoreTime)> {
        let (blob, _) = self.values.get(&field)?;
        let since = if ageless { now } else { self.since };
        (since.after(self.window) > now).then(|| (blob.clone(), since))
    }

    /// Counts from now on, which breaks a rule.
    pub(super) fn begin_again(&mut self, now: StoreTime) {
        self.since = now;
    }
}
