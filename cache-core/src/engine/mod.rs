//! Composes the mechanisms into reads and writes; the only place that does. Refuses to let a cache fault fail a read.

mod advise;
mod aside;
mod ask;
mod batch;
mod behind;
mod call;
mod clear;
mod heal;
mod heard;
mod hint;
mod join;
mod lease;
mod load;
mod near;
mod pace;
mod put;
mod queued;
mod read;
mod settle;
mod soft;
mod tidy;
mod trust;
mod turn;
mod version;
mod write;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;

pub(crate) use batch::{BatchRequest, batch_request, read_many};
pub(crate) use behind::{Background, Inline};
pub(crate) use call::tell_bypassed;
pub(crate) use hint::Namer;
pub use hint::{Between, Frame, ValueTags};
pub(crate) use near::{Near, near, taken};
pub(crate) use put::put;
pub use read::Tags;
pub(crate) use read::{Request, read, request};
pub(crate) use turn::Turn;
pub use version::Version;
pub use write::Fenced;

use crate::advice::Watch;
use crate::breaker::Breakers;
use crate::flight::Flights;
use crate::key::Namespace;
use crate::l1::L1;
use crate::observe::{Counters, Counts, L1Counts, Striped, WriteCounters};
use crate::policy::{Lifetime, OnUnfenced, OnWait, Outbox, Overrides, Policy, Profiles};
use crate::rng::Rng;
use crate::site::{ReadSite, shape};
use crate::store::Store;
use crate::time::{Clock, millis};

/// What may be changed about an engine. Every default is a decision; see the builder's methods for the reasons.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) read_deadline: Duration,
    pub(crate) mark_deadline: Duration,
    pub(crate) clear_wait: Duration,
    pub(crate) orphan_after: Duration,
    pub(crate) size_limit: usize,
    /// Rows of one bulk write that are marked one by one at most.
    pub(crate) bulk_limit: usize,
    /// Whether templates are watched.
    pub(crate) advice: bool,
    pub(crate) background_loads: usize,
    pub(crate) on_unfenced: OnUnfenced,
    pub(crate) outbox: Option<Outbox>,
    pub(crate) l1: Option<L1>,
    pub(crate) faults: Faults,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            read_deadline: Duration::from_millis(50),
            mark_deadline: Duration::from_secs(1),
            clear_wait: Duration::from_secs(2),
            orphan_after: Duration::from_secs(60),
            size_limit: 1 << 20,
            bulk_limit: crate::scope::BULK_LIMIT,
            advice: true,
            background_loads: 16,
            on_unfenced: OnUnfenced::Reject,
            outbox: None,
            l1: None,
            faults: Faults::default(),
        }
    }
}

/// Rules that a test takes out to see that something fails without them. All stand; only the test kit changes that.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Callers take a flight's result whenever they arrived.
    pub(crate) joins_anytime: bool,
    /// A flight is sealed when the answer to its fill is there.
    pub(crate) seals_late: bool,
    /// Callers who came while a load ran take its value although it was not stored.
    pub(crate) joins_refused: bool,
    /// They take it although it was stored in another epoch than the lease's.
    pub(crate) joins_other_epochs: bool,
    /// They take it although one of its tags has moved.
    pub(crate) joins_moved_tags: bool,
    /// An entry of any epoch is served.
    pub(crate) serves_any_epoch: bool,
    /// A batch asks for its leases after its load.
    pub(crate) leases_late: bool,
    /// An early refresh asks for its lease after the load.
    pub(crate) refreshes_by_set: bool,
    /// A load in the background asks for its lease after the load.
    pub(crate) renews_by_set: bool,
    /// A value whose lifetime is over is handed to those who wait for its leader, too.
    pub(crate) shares_stale: bool,
    /// A refresh takes what another one loads, as a plain call does.
    pub(crate) refreshes_join: bool,
    /// Entries are stamped with generations that were read after the load.
    pub(crate) reads_tags_late: bool,
    /// Entries are stored although their values name tags that nobody had asked about.
    pub(crate) fills_beyond_hint: bool,
    /// A clear of a namespace returns before everybody has noticed.
    pub(crate) clears_unnoticed: bool,
    /// Every fence that is old enough to be asked about is lifted.
    pub(crate) heals_by_age: bool,
    /// A write returns before those who may hold what it changes have heard of it.
    pub(crate) returns_unheard: bool,
    /// A write returns as if its clear had been confirmed.
    pub(crate) clears_unconfirmed: bool,
    /// A clear that found its fence gone is taken for any other.
    pub(crate) ignores_lost_fences: bool,
    /// The fence is set after COMMIT.
    pub(crate) fences_late: bool,
    /// The fence is lifted before COMMIT.
    pub(crate) clears_early: bool,
    /// What could not be fenced is committed.
    pub(crate) commits_unfenced: bool,
    /// The fence is lifted when the outcome of COMMIT is unknown.
    pub(crate) lifts_unknown: bool,
    /// A savepoint's rollback takes the subjects with it.
    pub(crate) forgets_subjects: bool,
    /// A request's memory answers what the request has written.
    pub(crate) remembers_written: bool,
    /// A request's memory answers its loaders, too.
    pub(crate) launders: bool,
    /// What was made of a value that a write had invalidated is stored.
    pub(crate) launders_invalidated: bool,
    /// A load waits for another one although that waits for it.
    pub(crate) waits_in_circles: bool,
    /// The store is asked whatever waits in the outbox.
    pub(crate) trusts_anyway: bool,
    /// What goes into the L1 is stamped when it does, and not before the command that proved it.
    pub(crate) stamps_late: bool,
    /// A write does not tell the L1.
    pub(crate) tells_nobody: bool,
    /// A commit that leaves a row is no reason for doubt while it is under way, nor when its outcome is unknown.
    pub(crate) trusts_early: bool,
}

/// What one cache consists of.
pub(crate) struct Core {
    pub(crate) namespace: Namespace,
    /// `None`: the cache is off.
    pub(crate) store: Option<Arc<dyn Store>>,
    /// `None`: there is no L1.
    pub(crate) near: Option<Near>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) settings: Settings,
    pub(crate) flights: Arc<Flights>,
    pub(crate) breakers: Breakers,
    pub(crate) healing: heal::Healing,
    pub(crate) settling: queued::Settling,
    pub(crate) queues: settle::Queues,
    pub(crate) trust: Arc<trust::Trust>,
    tidy: Arc<tidy::Tidy>,
    pub(crate) hints: hint::Hints,
    pub(crate) writes: WriteCounters,
    pub(crate) behind: behind::Behind,
    profiles: RwLock<Profiles>,
    /// The sites of this cache's readers.
    readers: RwLock<Vec<&'static ReadSite>>,
    sites: RwLock<HashMap<usize, Arc<SiteState>>>,
}

/// What is known about one read site in this process.
#[derive(Debug)]
pub(crate) struct SiteState {
    pub(crate) site: &'static ReadSite,
    /// Of all sites that were read, which it is.
    number: u16,
    pub(crate) counters: Counters,
    /// Values, and that there is none, out of the L1.
    near_hits: Striped,
    /// Whether the L1 cannot tell its calls apart.
    is_mixed: AtomicBool,
    /// Hash of template shape and tags, to be combined with the value's schema.
    pub(crate) seed: u64,
    /// How long its loads take.
    pace: pace::Pace,
    /// The longest lifetime that a loader said, in milliseconds.
    said: AtomicU64,
    policy: ArcSwap<Policy>,
    /// Whether the log was told that a batch function returns keys nobody asked for.
    pub(crate) told_strangers: AtomicBool,
    /// `None`: no advice is wanted.
    watch: Option<Box<Watch>>,
}

impl SiteState {
    fn new(site: &'static ReadSite, number: usize, profiles: &Profiles, settings: &Settings) -> Self {
        let policy = ArcSwap::from_pointee(resolve(site, profiles));
        let (counters, pace, said) = (Counters::default(), pace::Pace::default(), AtomicU64::new(0));
        let told_strangers = AtomicBool::new(false);
        let watch = settings.advice.then(Box::default);
        Self {
            site,
            number: u16::try_from(number).unwrap_or(u16::MAX),
            counters,
            near_hits: Striped::default(),
            is_mixed: AtomicBool::new(false),
            seed: put::seed(site),
            pace,
            said,
            policy,
            told_strangers,
            watch,
        }
    }

    /// Its counters as they stand.
    pub(crate) fn counts(&self) -> Counts {
        let (mut counts, [values, negatives]) = (self.counters.snapshot(), self.near_hits.snapshot());
        counts.hits += values;
        counts.negative_hits += negatives;
        counts.l1_hits += values + negatives;
        counts
    }

    /// The policy that is in force now.
    pub(crate) fn policy(&self) -> Policy {
        **self.policy.load()
    }

    /// How long a caller waits for another's load; `last` is what the load of the entry that has ended took.
    fn waits(&self, last: Duration) -> Duration {
        match self.policy().on_wait {
            OnWait::Wait(Some(bound)) => bound,
            OnWait::Wait(None) | OnWait::Stale | OnWait::Load => self.pace.patience(last),
        }
    }

    /// The lifetime of a value: what its loader said, or what the policy says.
    pub(crate) fn lifetime(&self, said: Option<Duration>, is_negative: bool) -> Duration {
        let Lifetime { ttl, negative_ttl, .. } = self.policy().lifetime;
        let Some(said) = said else { return if is_negative { negative_ttl } else { ttl } };
        let said = said.min(Overrides::LONGEST);
        self.said.fetch_max(millis(said), Ordering::Relaxed);
        said
    }

    /// How long the generation of a tag is kept at least, so that it outlives the entries that carry it.
    pub(crate) fn tag_lifetime(&self) -> Duration {
        let policy = self.policy();
        let said = Duration::from_millis(self.said.load(Ordering::Relaxed)).saturating_add(policy.stale());
        policy.longest().max(said).saturating_mul(2)
    }
}

/// The policy of a site. A lifetime is checked for when the cache is built; without one an entry lives as shortly as is possible.
fn resolve(site: &ReadSite, profiles: &Profiles) -> Policy {
    let profile = site.profile.and_then(|name| profiles.get(name)).unwrap_or_default();
    site.options.or(profile).resolve().unwrap_or(Policy::ttl(Duration::from_millis(1)))
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("namespace", &self.namespace.as_str())
            .field("store", &self.store.as_ref().map(|store| store.describe()))
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(
        namespace: Namespace,
        store: Option<Arc<dyn Store>>,
        near: Option<Near>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        settings: Settings,
        profiles: Profiles,
    ) -> Self {
        let core = Self {
            namespace,
            store,
            near,
            clock,
            rng,
            settings,
            flights: Arc::default(),
            breakers: Breakers::default(),
            healing: heal::Healing::default(),
            settling: queued::Settling::default(),
            queues: settle::Queues::default(),
            trust: Arc::default(),
            tidy: Arc::default(),
            hints: hint::Hints::default(),
            writes: WriteCounters::default(),
            behind: behind::Behind::new(settings.background_loads),
            profiles: RwLock::new(profiles),
            readers: RwLock::default(),
            sites: RwLock::default(),
        };
        if core.settings.outbox.is_some() {
            core.trust.watch();
        }
        core
    }

    /// The state of a site, made on first use.
    pub(crate) fn site(&self, site: &'static ReadSite) -> Arc<SiteState> {
        let at = std::ptr::from_ref(site).addr();
        if let Some(state) = self.sites.read().unwrap_or_else(PoisonError::into_inner).get(&at) {
            return state.clone();
        }
        let mut sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        let profiles = self.profiles.read().unwrap_or_else(PoisonError::into_inner);
        let number = sites.len();
        let new = || Arc::new(SiteState::new(site, number, &profiles, &self.settings));
        sites.entry(at).or_insert_with(new).clone()
    }

    /// The profiles in force.
    pub(crate) fn profiles(&self) -> Profiles {
        self.profiles.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A reader of this cache has this site.
    pub(crate) fn reads_by(&self, site: &'static ReadSite) {
        let mut readers = self.readers.write().unwrap_or_else(PoisonError::into_inner);
        if !readers.iter().any(|known| std::ptr::eq(*known, site)) {
            readers.push(site);
        }
    }

    /// The sites of this cache's readers.
    pub(crate) fn readers(&self) -> Vec<&'static ReadSite> {
        self.readers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other profiles from now on, for all functions.
    pub(crate) fn set_profiles(&self, new: Profiles) {
        // No site is made meanwhile: it would be made of the old ones.
        let sites = self.sites.write().unwrap_or_else(PoisonError::into_inner);
        let mut profiles = self.profiles.write().unwrap_or_else(PoisonError::into_inner);
        *profiles = new;
        for state in sites.values() {
            state.policy.store(Arc::new(resolve(state.site, &profiles)));
        }
    }

    /// What is known about all sites that were read.
    fn states(&self) -> Vec<Arc<SiteState>> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Counters per template shape, in order of the shape.
    pub(crate) fn counts(&self) -> std::collections::BTreeMap<String, Counts> {
        let mut all = std::collections::BTreeMap::<String, Counts>::new();
        for state in self.states() {
            *all.entry(shape(state.site.template)).or_default() += state.counts();
        }
        all
    }

    /// What became of the L1; zeros without one.
    pub(crate) fn l1_counts(&self) -> L1Counts {
        let Some(near) = &self.near else { return L1Counts::default() };
        let hits = self.states().iter().map(|state| state.near_hits.snapshot().iter().sum::<u64>()).sum();
        L1Counts { hits, ..near.tier.counts() }
    }

    /// A random number, for ids, tokens and generations.
    pub(crate) fn random(&self) -> u64 {
        self.rng.bits()
    }
}

#[cfg(test)]
mod tests;
