//! The handle that users hold. Refuses to do anything itself; the engine does.

mod builder;
mod reader;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use builder::Builder;
pub use reader::{Arguments, IntoArguments, Loader, Reader, Terms};

use crate::advice::Advice;
use crate::engine::{Core, Fenced, Version};
use crate::error::{BuildError, StoreError, WriteError};
use crate::heal::Healer;
use crate::key::Namespace;
use crate::mode::Mode;
use crate::observe::{Counts, L1Counts, WriteCounts};
use crate::outbox::Table;
use crate::policy::Profiles;
use crate::scope::{Recording, Writes};
use crate::store::Origin;
use crate::subject::Subject;

/// A cache: one namespace in one store. Cheap to clone; clones share everything.
///
/// ```
/// use cache_core::{Cache, MemoryStore};
///
/// let cache = Cache::builder("shop").store(MemoryStore::default()).build()?;
/// assert_eq!(cache.stats().total().loads, 0);
/// # Ok::<(), cache_core::BuildError>(())
/// ```
#[derive(Clone)]
pub struct Cache(pub(crate) Arc<Core>, pub(crate) Mode);

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<Cache> for Cache {
    fn as_ref(&self) -> &Cache {
        self
    }
}

impl Cache {
    /// Starts building a cache whose names begin with this namespace: 1 to 32 of `a-z`, `0-9`, `-`, `_` and `.`.
    pub fn builder(namespace: &str) -> Builder {
        Builder::new(namespace)
    }

    /// The prefix of all its names.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.0.namespace
    }

    /// A handle whose calls use the cache in this mode: the explicit form of [`bypass`](crate::bypass),
    /// [`refresh`](crate::refresh) and [`bounded`](crate::bounded), for what is built around a handle. Unlike those it also holds for what the functions call
    /// through the same handle. Writes are not affected.
    ///
    /// ```
    /// # use cache_core::{Cache, MemoryStore, Mode};
    /// # #[derive(Clone)] struct Users { cache: Cache }
    /// # let cache = Cache::builder("shop").store(MemoryStore::default()).build()?;
    /// # let users = Users { cache };
    /// let past_the_cache = Users { cache: users.cache.with(Mode::Bypass), ..users.clone() };
    /// # Ok::<(), cache_core::BuildError>(())
    /// ```
    #[must_use]
    pub fn with(&self, mode: Mode) -> Self {
        Self(self.0.clone(), mode)
    }

    /// Whether annotated functions run as if they were not annotated ([`Builder::off`]).
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.store.is_none()
    }

    /// Counters per key template, since the cache was built, of this instance alone.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { reads: self.0.counts(), writes: self.0.writes.snapshot(), l1: self.0.l1_counts() }
    }

    /// Other profiles from now on, for every function that names one: after a change of configuration. Entries that stand keep the
    /// lifetime they were filled with; windows for stale values count at once.
    ///
    /// # Errors
    /// As [`Builder::build`]: one sentence a mistake. Then nothing has changed.
    pub fn set_profiles(&self, profiles: Profiles) -> Result<(), BuildError> {
        let mut mistakes = crate::catalogue::Catalogue::linked().policy_errors(&profiles);
        mistakes.extend(crate::catalogue::policy_errors_of(&self.0.readers(), &profiles));
        mistakes.extend(
            crate::catalogue::Catalogue::linked().unfenced_errors(&profiles, self.0.settings.on_unfenced),
        );
        match mistakes {
            mistakes if mistakes.is_empty() => self.0.set_profiles(profiles),
            mistakes => return Err(BuildError::new(mistakes)),
        }
        Ok(())
    }

    /// Templates for which the cache does little, as noticed in this instance so far: keys that nobody reads twice, few hits,
    /// lifetimes below the gap between reads, entries that cost more than their loads. Each is told once in the log, too.
    #[must_use]
    pub fn advice(&self) -> Vec<Advice> {
        self.0.advice()
    }

    /// Tells readers whom to ask whether the writer of an old fence is finished. Transactions of cache-sqlx do this by
    /// themselves; call it at start in a process that only reads.
    pub fn heal_with(&self, healer: Arc<dyn Healer>) {
        self.0.healing.add(healer);
    }

    /// Tells readers whom to ask how far a journal is applied. Queues of cache-sqlx do this by themselves; so does
    /// `cache_sqlx::heal`, for a process that only reads.
    pub fn applied_by(&self, applied: Arc<dyn crate::journal::Applied>) {
        self.0.settling.add(applied);
    }

    /// Covered writes to groups of things that this queue changes wait until it is drained. For authors of queues.
    pub fn drained_by(&self, queue: std::sync::Weak<dyn crate::journal::Drains>) {
        self.0.queues.add(queue);
    }

    /// Shows queued writes to all readers of their subjects, until they are settled: for authors of queues. The journal must have them
    /// first. What came of each: after an error readers may or may not see it before it is flushed.
    pub async fn pend(&self, writes: &[crate::store::PendRequest<'_>]) -> Vec<Result<(), StoreError>> {
        self.0.pend(writes).await
    }

    /// Shows those again that are not shown any more: for authors of queues, before the database gets them.
    ///
    /// # Errors
    /// What the store says; then readers may or may not see them before they are flushed.
    pub async fn pend_again(&self, writes: &[crate::store::PendRequest<'_>]) -> Result<(), StoreError> {
        self.0.pend_again(writes).await
    }

    /// Takes back what is shown of these subjects, and what was stored of them: the database has all writes of a journal up to a
    /// position. For authors of queues.
    ///
    /// # Errors
    /// What the store says; then it has to be asked again.
    pub async fn settle(
        &self,
        subjects: &[crate::subject::Subject],
        journal: crate::subject::JournalId,
        position: crate::subject::Position,
    ) -> Result<(), StoreError> {
        self.0.settle(subjects, journal, position).await
    }

    /// Whether writes may leave rows in an outbox ([`Builder::outbox`]).
    #[must_use]
    pub fn has_outbox(&self) -> bool {
        self.0.settings.outbox.is_some()
    }

    /// Tells the cache of a table that writes leave rows in. From now on the store answers reads only while it is known to have
    /// missed none of them. Transactions and relays of cache-sqlx do this by themselves.
    pub fn outbox_in(&self, table: Arc<dyn Table>) {
        if !self.is_off() {
            self.0.trust.add(table);
        }
    }

    /// Invalidates what rows of an outbox name, whose transactions have committed. `origin` is a transaction of the caller's that
    /// ends after this: it tells whom to ask about a fence that stays behind when the caller dies. For authors of relays such as
    /// `cache_sqlx::Relay`.
    ///
    /// # Errors
    /// The store's; then the rows must stay.
    pub async fn deliver(&self, subjects: Vec<Subject>, origin: Origin) -> Result<(), StoreError> {
        self.0.deliver(subjects, origin).await
    }

    /// The version of what a tag or `version_of` names, as a token for others: an `ETag`, a cache key of theirs. `name` is the
    /// template with its arguments put in, such as `catalog` or `catalog:7`; what stands between two `:` is escaped as an argument is.
    /// Ask before reading what it is the version of.
    ///
    /// While a write is in flight, and where the store does not answer, it is a version that is never told again: nobody's copy is
    /// known to be current.
    pub async fn version(&self, name: &str) -> Version {
        let write = |text: &mut crate::key::Text| {
            for (at, part) in name.split(':').enumerate() {
                text.literal(if at > 0 { ":" } else { "" });
                text.escaped(part);
            }
        };
        self.0.version(write).await
    }

    /// Makes every entry of the namespace worthless, in time that does not depend on how many there are. A read that begins after it
    /// has returned `Ok` is answered with nothing from before, on every instance; loads that are under way store nothing that is
    /// served. With Redis it takes 1.2 s: that long, others may not have noticed.
    ///
    /// Writes need no clear; it is for what changed behind their back, such as a restored backup.
    ///
    /// # Errors
    /// What is not cleared, or not known to be, and why: clear again. What was reached is cleared all the same.
    pub async fn clear(&self) -> Result<(), StoreError> {
        self.0.clear().await
    }

    /// An empty recording for a transaction that is about to begin. For authors of scopes such as `cache_sqlx::CacheTx`.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let recording = Recording::new(self.0.namespace.clone())
            .on_unfenced(self.0.settings.on_unfenced)
            .with_bulk_limit(self.0.settings.bulk_limit)
            .after(self.0.clone());
        if self.0.settings.faults.forgets_subjects { recording.forgetting() } else { recording }
    }

    /// Fences what a transaction changes. Call it when the transaction has done everything but commit; commit only if it
    /// returned `Ok`. For authors of scopes such as `cache_sqlx::CacheTx`.
    ///
    /// # Errors
    /// [`WriteErrorKind::Unfenced`](crate::error::WriteErrorKind::Unfenced): the transaction must be rolled back.
    pub async fn fence(&self, writes: Writes, origin: Origin) -> Result<Fenced, WriteError> {
        self.0.fence(writes, origin).await
    }
}

/// A cache's counters: reads per key template with its placeholders blanked (`user:<>`), writes, and the L1. Prints as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    reads: BTreeMap<String, Counts>,
    writes: WriteCounts,
    l1: L1Counts,
}

impl Stats {
    /// The counters of a template; placeholders' names do not matter.
    #[must_use]
    pub fn of(&self, template: &str) -> Counts {
        self.reads.get(&crate::site::shape(template)).copied().unwrap_or_default()
    }

    /// All templates and their counters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Counts)> {
        self.reads.iter().map(|(template, counts)| (template.as_str(), *counts))
    }

    /// The sum over all templates.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.reads.values().for_each(|counts| total += *counts);
        total
    }

    /// What became of the covered writes.
    #[must_use]
    pub fn writes(&self) -> WriteCounts {
        self.writes
    }

    /// What became of the L1; zeros without one.
    #[must_use]
    pub fn l1(&self) -> L1Counts {
        self.l1
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (template, counts) in self.iter() {
            writeln!(f, "{template:<32} {}", told(counts.iter()))?;
        }
        if self.l1 != L1Counts::default() {
            writeln!(f, "{:<32} {}", "l1", told(self.l1.iter()))?;
        }
        writeln!(f, "{:<32} {}", "writes", told(self.writes.iter()))
    }
}

fn told(counts: impl Iterator<Item = (&'static str, u64)>) -> String {
    let told: Vec<_> = counts.filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name} {n}")).collect();
    if told.is_empty() { "none".into() } else { told.join(", ") }
}
