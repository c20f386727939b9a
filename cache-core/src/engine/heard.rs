//! Who still has to hear of a write before it may return. Refuses to wait longer than a lease: by then whoever is silent serves
//! nothing from his own memory any more.

use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::bus::{LEASE, Sharers};
use crate::policy::Overrides;
use crate::site::{ReadSite, Site};
use crate::store::Store;
use crate::subject::{Kind, Subject};

/// What forgetting the silent ones may take; nobody waits for it.
const FORGETS: Duration = Duration::from_secs(1);

/// Those who were told by marks, and when the last of these was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Told {
    sharers: Sharers,
    since: Duration,
}

impl Told {
    pub(super) fn add(&mut self, others: Self) {
        self.sharers.extend(others.sharers);
        self.since = self.since.max(others.since);
    }
}

impl Core {
    /// What a mark of these subjects, acknowledged just now, has to wait for: nothing, where every reader may be behind.
    pub(super) fn told(&self, sharers: Sharers, subjects: &[Subject]) -> Told {
        if sharers.is_empty() || !subjects.iter().any(|subject| self.is_fresh(subject)) {
            return Told::default();
        }
        Told { sharers, since: self.clock.monotonic() }
    }

    /// Waits until nobody serves from his own memory what was marked: each has acknowledged it, or a whole lease has passed since
    /// the mark was, on this process's own clock. Whoever is silent that long is forgotten, so that he delays nobody again.
    pub(super) async fn heard(&self, store: &Arc<dyn Store>, told: Told) {
        if told.sharers.is_empty() || self.settings.faults.returns_unheard {
            return;
        }
        let left = (told.since + LEASE).saturating_sub(self.clock.monotonic());
        self.writes.awaited.add();
        if tokio::time::timeout(left, store.acknowledged(&told.sharers)).await.is_ok() {
            return;
        }
        self.writes.outwaited.add();
        let (Ok(runtime), store) = (tokio::runtime::Handle::try_current(), store.clone()) else { return };
        runtime.spawn(async move {
            // Best effort: else the next writer waits for them, too.
            tokio::time::timeout(FORGETS, store.forget(&told.sharers)).await.ok();
        });
    }

    /// Whether some reader of this subject may not be behind, as far as this program's functions tell: where none of them is known to
    /// read it, another program's may.
    fn is_fresh(&self, subject: &Subject) -> bool {
        let text = subject.full().unwrap_or(subject.name());
        let sign = if subject.kind() == Kind::Tag { '#' } else { ':' };
        let text = text.strip_prefix(self.namespace.as_str()).and_then(|text| text.strip_prefix(sign));
        let Some(text) = text else { return true };
        let profiles = self.profiles();
        let reads = |site: &ReadSite| {
            let begins = |template: &str| text.starts_with(template.split('<').next().unwrap_or_default());
            match subject.kind() {
                Kind::Entity => begins(site.template),
                Kind::Tag => site.tags.iter().any(|tag| begins(tag)),
            }
        };
        let is_bounded = |site: &ReadSite| {
            let profile = site.profile.and_then(|name| profiles.get(name)).unwrap_or(Overrides::NONE);
            site.options.or(profile).bounded.is_some()
        };
        let linked = inventory::iter::<Site>.into_iter().filter_map(|site| match site {
            Site::Read(read) => Some(*read),
            _ => None,
        });
        let mut readers = linked.chain(self.readers()).filter(|site| reads(site)).peekable();
        readers.peek().is_none() || !readers.all(is_bounded)
    }
}
