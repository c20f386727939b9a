//! Puts a cache together and checks what can be checked before the first read. Refuses to start with a mistake that
//! would only show under load.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Cache;
use crate::catalogue::Catalogue;
use crate::engine::{Core, Near, Settings};
use crate::error::BuildError;
use crate::key::Namespace;
use crate::l1::{L1, Tier};
use crate::mode::Mode;
use crate::policy::{OnUnfenced, Outbox, Profiles};
use crate::rng::{Rng, SystemRng};
use crate::store::Store;
use crate::time::{Clock, SystemClock};

/// A cache in the making; see [`Cache::builder`].
#[derive(Debug)]
#[must_use = "nothing happens until `build`"]
pub struct Builder {
    namespace: String,
    store: Option<Arc<dyn Store>>,
    off: bool,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    profiles: Profiles,
    pub(crate) settings: Settings,
}

impl Builder {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.into(),
            store: None,
            off: false,
            clock: Arc::new(SystemClock::default()),
            rng: Arc::new(SystemRng::default()),
            profiles: Profiles::default(),
            settings: Settings::default(),
        }
    }

    /// The shared tier: `RedisStore` for several instances, `MemoryStore` for one process.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Keeps values in this process, too, in front of the store: so many entries, or what [`L1`] says. None by default. A hit there costs
    /// tens of nanoseconds in place of a round trip, and clones what it returns: return `Arc<T>` where `T` is large.
    ///
    /// It keeps the promise of the store behind it: a read that begins after a covered write has returned sees that write. While the
    /// store cannot vouch for what is kept, reads go to the store.
    pub fn l1(mut self, l1: impl Into<L1>) -> Self {
        self.settings.l1 = Some(l1.into());
        self
    }

    /// Turns the cache off: reads run their loader, writes run their body, nothing is stored. For comparing answers and
    /// for ruling the cache out when looking for a fault. Every instance must agree: one that is off does not fence its writes.
    pub fn off(mut self) -> Self {
        self.off = true;
        self
    }

    /// How long a read waits for the store before it loads, 50 ms by default: far above a healthy reply, far below what a
    /// person notices. Raise it for a store across a slow network.
    pub fn read_deadline(mut self, deadline: Duration) -> Self {
        self.settings.read_deadline = deadline;
        self
    }

    /// How long a write waits for the store to fence it before it is refused, 1 s by default: a write that is refused costs
    /// more than one that waits. A write of more than a thousand subjects waits so long for each thousand. Also bounds each attempt to
    /// clear; those are repeated.
    pub fn mark_deadline(mut self, deadline: Duration) -> Self {
        self.settings.mark_deadline = deadline;
        self
    }

    /// How long a committed write waits for the store to confirm that nothing older can be read, 2 s by default, before
    /// it returns an error that says "made, but freshness is not confirmed". A write of more than a thousand subjects waits so long
    /// for each thousand.
    pub fn clear_wait(mut self, wait: Duration) -> Self {
        self.settings.clear_wait = wait;
        self
    }

    /// How old the fence of a writer that nobody can be asked about must be before readers lift it, 60 s by default. Must
    /// exceed the longest time a statement can run on after its client died; only writes without a transaction need it.
    pub fn orphan_after(mut self, age: Duration) -> Self {
        self.settings.orphan_after = age;
        self
    }

    /// Encoded values over this many bytes are returned but not stored, 1 MiB by default: everything behind a huge value
    /// on the shared connection waits for it.
    pub fn size_limit(mut self, bytes: usize) -> Self {
        self.settings.size_limit = bytes;
        self
    }

    /// How many rows of a bulk write are marked one by one, 1,000 by default: a transaction that names more of them with one tag
    /// (`bulk = "users"` in the attribute of the write) marks that tag in place of the rows. A thousand are one round
    /// trip. Raise it where loading everything under the tag again costs the database more than some round trips.
    pub fn bulk_limit(mut self, rows: usize) -> Self {
        self.settings.bulk_limit = rows;
        self
    }

    /// The profiles that `profile = "…"` names, the built-in ones by default.
    pub fn profiles(mut self, profiles: Profiles) -> Self {
        self.profiles = profiles;
        self
    }

    /// How many loads run in the background at once, 16 by default: early ones, and those that a stale value was served for. Beyond
    /// that an entry waits for a later reader. Keep it below the size of the database pool.
    pub fn background_loads(mut self, places: usize) -> Self {
        self.settings.background_loads = places;
        self
    }

    /// What becomes of covered writes that cannot be fenced, because the store cannot be reached, [`OnUnfenced::Reject`] by default; an
    /// attribute may say otherwise for its own. [`OnUnfenced::Outbox`] implies [`Builder::outbox`]. A write with neither `within` nor
    /// `begin` has no transaction to leave a row in: it is refused under `Outbox` as well.
    pub fn on_unfenced(mut self, on_unfenced: OnUnfenced) -> Self {
        self.settings.on_unfenced = on_unfenced;
        if on_unfenced == OnUnfenced::Outbox {
            self.settings.outbox.get_or_insert(Outbox::Unfenced);
        }
        self
    }

    /// There is an outbox: writes may leave what they change in a table of the database (`cache_sqlx::migrate`), from where relays
    /// (`cache_sqlx::Relay`) deliver it. None by default. With one, the store answers reads only once the table was asked and holds
    /// nothing that could not reach the store: when the cache has just been built, after each new connection, and after a write of
    /// its own that left a row. Every instance must agree, those that only read included.
    pub fn outbox(mut self, outbox: Outbox) -> Self {
        self.settings.outbox = Some(outbox);
        self
    }

    /// Leaves out the advice on templates for which the cache does little ([`Cache::advice`], and one warning each in the log). It
    /// costs a hit a few nanoseconds and a template some 2 KiB; leave it out if your log is no place for it.
    pub fn without_advice(mut self) -> Self {
        self.settings.advice = false;
        self
    }

    /// Another source of time; the test kit has a stopped one.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of randomness, for repeatable tests.
    pub fn rng(mut self, rng: Arc<dyn Rng>) -> Self {
        self.rng = rng;
        self
    }

    /// Checks the settings and the catalogue of all annotated functions linked into this program.
    ///
    /// # Errors
    /// One sentence a mistake: a namespace that cannot be used, no store, a deadline of zero, one key template that is read
    /// as two types, an L1 that has room for nothing or stands over a store that cannot vouch for it. An invalidation that no read listens to is only a warning in the log, since the reader may live in
    /// another program; `assert_catalogue!` makes it an error.
    pub fn build(self) -> Result<Cache, BuildError> {
        let mut mistakes = Vec::new();
        let namespace = Namespace::new(&self.namespace).map_err(|mistake| mistakes.push(mistake)).ok();
        if self.store.is_none() && !self.off {
            mistakes.push(
                "the cache has no store: write `.store(RedisStore::connect(&url).await?)`, `.store(MemoryStore::default())` \
                 for a single process, or `.off()`"
                    .into(),
            );
        }
        let Settings { read_deadline, mark_deadline, clear_wait, orphan_after, size_limit, .. } =
            self.settings;
        for (name, value) in [
            ("read_deadline", read_deadline),
            ("mark_deadline", mark_deadline),
            ("clear_wait", clear_wait),
            ("orphan_after", orphan_after),
        ] {
            if value.is_zero() {
                mistakes.push(format!(
                    "`{name}` is zero: nothing would ever be answered in time; leave it out for the default"
                ));
            }
        }
        if size_limit == 0 {
            mistakes.push(
                "`size_limit` is zero: nothing would be stored; use `.off()` to turn the cache off".into(),
            );
        }
        if self.settings.bulk_limit == 0 {
            mistakes.push(
                "`bulk_limit` is zero: every row would mark its tag; write `tag` in place of `bulk` where that is meant".into(),
            );
        }
        mistakes.extend(self.settings.l1.iter().flat_map(L1::mistakes));
        let catalogue = Catalogue::linked();
        mistakes.extend(catalogue.errors());
        mistakes.extend(catalogue.policy_errors(&self.profiles));
        mistakes.extend(catalogue.unfenced_errors(&self.profiles, self.settings.on_unfenced));
        let Some(namespace) = namespace.filter(|_| mistakes.is_empty()) else {
            return Err(BuildError::new(mistakes));
        };
        for warning in catalogue.warnings() {
            tracing::warn!("{warning}");
        }
        if self.settings.outbox.is_none() {
            for write in catalogue.leaving() {
                tracing::warn!(
                    "{} leaves what it changes in an outbox, and this cache has none: write `.outbox(Outbox::Unfenced)` where it is built",
                    write.at
                );
            }
        }
        let store = self.store.filter(|_| !self.off);
        let near = match (self.settings.l1, &store) {
            (Some(l1), Some(store)) => {
                let tier = Tier::new(l1, self.clock.clone());
                let tier =
                    Arc::new(if self.settings.faults.stamps_late { tier.stamping_late() } else { tier });
                let listener: Weak<Tier> = Arc::downgrade(&tier);
                store.join(&namespace, listener).map_err(|mistake| BuildError::new(vec![mistake]))?;
                Some(Near::new(tier))
            }
            _ => None,
        };
        let core = Core::new(namespace, store, near, self.clock, self.rng, self.settings, self.profiles);
        Ok(Cache(Arc::new(core), Mode::Cached))
    }
}
