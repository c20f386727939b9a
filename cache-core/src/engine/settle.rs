//! What is queued and what is written directly, in one order: a covered write comes after everything queued before it. Refuses to
//! let one pass that would be undone by an older write's flush.

use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use super::Core;
use super::ask::within;
use super::load::{FIRST_PAUSE, LAST_PAUSE};
use crate::error::{WriteError, WriteErrorKind};
use crate::journal::Drains;
use crate::policy::OnUnfenced;
use crate::scope::{AfterQueued, Settles, Writes};
use crate::site::{Site, WriteSite, shape};
use crate::store::{BoxFuture, Marked, Store};
use crate::subject::{Kind, Subject};

/// How long a write waits for what was queued before it: some flushes, and less than callers wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// The queues of this process.
#[derive(Debug, Default)]
pub(crate) struct Queues(RwLock<Vec<Weak<dyn Drains>>>);

impl Queues {
    pub(crate) fn add(&self, queue: Weak<dyn Drains>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        all.push(queue);
    }

    fn all(&self) -> Vec<Arc<dyn Drains>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }
}

/// What the program's functions queue.
struct Shapes {
    /// Shapes of the keys.
    keys: Vec<String>,
    /// What their subjects begin with.
    literals: Vec<&'static str>,
    /// Shapes of the tags under which they are read.
    tags: Vec<String>,
}

fn shapes() -> &'static Shapes {
    static SHAPES: OnceLock<Shapes> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let linked = || inventory::iter::<Site>.into_iter();
        let queued = |site: &Site| if let Site::Queue(queue) = site { Some(queue.template) } else { None };
        let templates: Vec<_> = linked().filter_map(queued).collect();
        let keys: Vec<_> = templates.iter().map(|template| shape(template)).collect();
        let read = |site: &Site| match site {
            Site::Read(read) if keys.contains(&shape(read.template)) => read.tags,
            _ => &[],
        };
        let tags = linked().flat_map(read).map(|tag| shape(tag)).collect();
        let literals = templates.iter().map(|template| template.split('<').next().unwrap_or_default());
        Shapes { literals: literals.collect(), keys, tags }
    })
}

impl Shapes {
    /// Whether a queue may have written to this.
    fn concern(&self, core: &Core, subject: &Subject) -> bool {
        let text = subject.full().unwrap_or(subject.name());
        let text = text.strip_prefix(core.namespace.as_str()).and_then(|text| text.strip_prefix(':'));
        subject.kind() == Kind::Entity
            && text.is_none_or(|text| self.literals.iter().any(|literal| text.starts_with(literal)))
    }

    /// Whether a function changes things that it does not name before it runs, and that a queue may have written to.
    fn concern_all(&self, site: &WriteSite) -> bool {
        let tags = site.tags.iter().any(|tag| self.tags.contains(&shape(tag)));
        let keys = site.keys.iter().any(|key| key.contains("<return") && self.keys.contains(&shape(key)));
        tags || keys
    }
}

impl Settles for Core {
    fn settles<'a>(
        &'a self,
        subjects: &'a [Subject],
        site: Option<&'a WriteSite>,
    ) -> BoxFuture<'a, AfterQueued> {
        Box::pin(self.after_queued(subjects, site))
    }

    fn has_queues(&self) -> bool {
        !shapes().keys.is_empty()
    }
}

impl Core {
    /// Waits, for a while, until what is queued on these subjects is in the database, and what else a function changes.
    pub(crate) async fn after_queued(&self, subjects: &[Subject], site: Option<&WriteSite>) -> AfterQueued {
        let (shapes, mut after) = (shapes(), AfterQueued::default());
        let Some(store) = self.store().filter(|_| !shapes.keys.is_empty()) else { return after };
        let until = self.clock.monotonic() + PATIENCE;
        if site.is_some_and(|site| shapes.concern_all(site)) {
            for queue in self.queues.all() {
                let left = until.saturating_sub(self.clock.monotonic());
                after.is_stuck |= tokio::time::timeout(left, queue.drained()).await.is_err();
            }
        }
        for subject in subjects.iter().filter(|subject| shapes.concern(self, subject)) {
            if self.is_settled(store, subject, until).await {
                after.subjects.insert(subject.clone());
            }
        }
        after
    }

    /// Whether nothing is queued on a subject any more, before a time.
    async fn is_settled(&self, store: &Arc<dyn Store>, subject: &Subject, until: Duration) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match within(self.settings.mark_deadline, store.queued(subject)).await {
                Ok(None) => return true,
                Ok(Some(queued)) => {
                    if !self.is_sure(&queued) && matches!(self.is_applied(subject, &queued).await, Ok(true)) {
                        return true;
                    }
                }
                // Whether it can be fenced is asked next.
                Err(_) => return false,
            }
            if self.clock.monotonic() >= until {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
        }
    }

    /// What becomes of a write that cannot be fenced: what its writes say, unless something may be queued before it, which nobody can
    /// tell without the store, and which would undo it. A flush waits in its journal until the store is back.
    pub(crate) fn on_unfenced(&self, writes: &Writes) -> OnUnfenced {
        let (shapes, settled) = (shapes(), &writes.settled);
        let is_behind = |subject: &Subject| shapes.concern(self, subject) && !settled.has(subject);
        let may_be_behind = settled.is_flush || settled.is_stuck || writes.subjects.iter().any(is_behind);
        if may_be_behind { OnUnfenced::Reject } else { writes.on_unfenced }
    }

    /// What is queued on a subject that was marked, and was queued before, as far as is known.
    pub(super) async fn in_the_way(
        &self,
        marked: &Marked,
        subjects: &[Subject],
        after: &AfterQueued,
    ) -> Option<WriteError> {
        let queued = |_| WriteError::new(WriteErrorKind::Queued, None);
        if after.is_stuck {
            return Some(queued(()));
        }
        let in_the_way: Vec<_> = marked
            .queued
            .iter()
            .filter_map(|&place| subjects.get(place))
            .filter(|subject| !after.has(subject))
            .collect();
        let store = self.store()?;
        for subject in &in_the_way {
            // What stands there by mistake goes, so that the next attempt succeeds.
            if let Ok(Some(queued)) = within(self.settings.mark_deadline, store.queued(subject)).await {
                self.is_applied(subject, &queued).await.ok();
            }
        }
        in_the_way.first().map(|_| queued(()))
    }
}
