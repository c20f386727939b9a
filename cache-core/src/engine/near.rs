//! The L1 on a read's way: looked at before anything else, filled with what the store has proved. Refuses whatever a store would not
//! serve: what is stale, queued, or made of something older never goes in.

use std::any::{Any, type_name};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::load::Reader;
use super::{Core, SiteState, behind};
use crate::error::{StoreError, StoreErrorKind};
use crate::key::KeyBytes;
use crate::l1::{Kept, Key, Seek, Stamp, Tier, Value};
use crate::mode::{self, Mode, Outcome as Answered};
use crate::output::{Output, Payload, ValueOf};
use crate::site::ReadSite;
use crate::store::{Found, GetRequest, Store};
use crate::subject::Subject;

/// Sites that may have entries in one cache's L1.
const SITES: usize = 4096;

/// The L1 of a cache, and the sites of its entries.
pub(crate) struct Near {
    pub(super) tier: Arc<Tier>,
    sites: Box<[OnceLock<Arc<SiteState>>]>,
}

impl Near {
    pub(crate) fn new(tier: Arc<Tier>) -> Self {
        Self { tier, sites: (0..SITES).map(|_| OnceLock::new()).collect() }
    }

    /// The state of a site by its number.
    #[inline]
    fn site(&self, number: u16) -> Option<&SiteState> {
        self.sites.get(usize::from(number))?.get().map(|state| &**state)
    }

    /// An entry answers.
    #[inline]
    fn serves(&self, core: &Core, kept: &Kept) {
        let Some(state) = self.site(kept.site) else { return };
        state.near_hits.add(usize::from(kept.value.is_none()));
        if let Some(watch) = &state.watch {
            watch.reads(kept.print, || core.clock.monotonic(), || state.policy().lifetime.ttl);
        }
    }
}

/// A call that the L1 has not answered.
#[derive(Debug)]
pub(crate) struct Sought {
    key: Key,
    /// Whether it was looked up, and not there.
    is_looked_up: bool,
    /// Whether what is read for it goes in.
    is_admitted: bool,
}

/// When a command was sent, and where the generations stood before.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    stamp: Stamp,
    at: Duration,
}

/// Looks a call up before any of its names is written. What is not there is to be kept under what is given back, if anything is.
#[inline]
pub(crate) fn near<O>(
    core: &Core,
    handle: Mode,
    site: &'static ReadSite,
    arguments: impl FnOnce(&mut KeyBytes),
) -> Result<Value, Option<Box<Sought>>> {
    let Some(near) = core.near.as_ref().filter(|_| site.l1) else { return Err(None) };
    let mut bytes = KeyBytes::new();
    arguments(&mut bytes);
    let seek =
        Seek { site: std::ptr::from_ref(site).addr(), returns: type_name::<O>(), words: bytes.as_words() };
    // Whatever else is asked of the call is done on the longer way.
    let is_looked_up = handle <= Mode::Bounded && mode::is_plain() && !behind::is_again();
    if is_looked_up
        && core.is_trusted()
        && let Some(value) = near.tier.find(&seek, |kept| near.serves(core, kept))
    {
        return Ok(value);
    }
    Err(Some(Box::new(Sought { key: seek.to_key(), is_looked_up, is_admitted: false })))
}

/// Hands out what was kept; `None` if it is not of this type: two types share a name, and everything else they have.
#[inline]
pub(crate) fn taken<O: Output>(core: &Core, site: &'static ReadSite, value: Value) -> Option<O> {
    let value = match value {
        None => None,
        Some(value) => match value.downcast() {
            Ok(value) => Some(value),
            Err(_) => {
                core.mixes(site);
                return None;
            }
        },
    };
    O::Payload::unshare(value).map(O::wrap)
}

impl Core {
    /// Nothing of this site is kept from now on: its calls cannot be told apart.
    #[cold]
    fn mixes(&self, site: &'static ReadSite) {
        let Some(near) = &self.near else { return };
        tracing::warn!(
            template = site.template,
            at = %site.at,
            "two types of one name are read here, which the L1 cannot tell apart: it keeps nothing of this function"
        );
        self.site(site).is_mixed.store(true, std::sync::atomic::Ordering::Relaxed);
        near.tier.flush();
    }

    /// What is written now, or may be: nothing of it is served that was there before.
    pub(super) fn tells_near<'s>(&self, subjects: impl IntoIterator<Item = &'s Subject>) {
        if let Some(near) = self.near.as_ref().filter(|_| !self.settings.faults.tells_nobody) {
            subjects.into_iter().for_each(|subject| near.tier.moves(subject.stripe()));
        }
    }

    /// To be noted before a command is sent that may prove a value that is made of these.
    pub(super) fn sends_for(&self, subject: &Subject, tags: &[Subject]) -> Option<Sent> {
        let near = self.near.as_ref()?;
        let all: Vec<u64> = std::iter::once(subject).chain(tags).map(Subject::stripe).collect();
        Some(Sent { stamp: near.tier.stamp(&all), at: self.clock.monotonic() })
    }
}

impl Sought {
    /// Whether what is read for it goes in.
    pub(super) fn is_admitted(&self) -> bool {
        self.is_admitted
    }
}

/// The read goes on to the store: whether what it finds is worth keeping.
pub(super) fn admitted(core: &Core, sought: Option<Box<Sought>>, print: u64) -> Option<Box<Sought>> {
    let (near, mut sought) = (core.near.as_ref()?, sought?);
    sought.is_admitted = near.tier.admits(print);
    Some(sought)
}

impl<O: Output> Reader<'_, O> {
    /// The answer of the L1, for a call that was not answered by it before its names were written.
    pub(super) fn served_near(&self) -> Option<O> {
        let (near, sought) = (self.core.near.as_ref()?, self.sought.as_ref()?);
        let is_asked = !sought.is_looked_up && self.core.is_trusted();
        let mut left = Duration::ZERO;
        let serves = |kept: &Kept| {
            left = kept.left(self.core.clock.monotonic());
            near.serves(self.core, kept);
        };
        let Some(value) = is_asked.then(|| near.tier.find(&sought.key.seek(), serves)).flatten() else {
            near.tier.counters.misses.add();
            return None;
        };
        let output = taken(self.core, self.plan.state.site, value)?;
        self.tell(|call| {
            call.outcome = Answered::L1;
            call.left = Some(left);
        });
        Some(output)
    }

    /// To be noted before a command is sent that proves what goes into the L1, if that is to be.
    pub(super) fn sends(&self, tags: &[Subject]) -> Option<Sent> {
        self.plan.shares.then(|| self.core.sends_for(&self.plan.key.subject, tags))?
    }

    /// Looks for an entry that goes into the L1: the store is told first that this process is to hear of it.
    pub(super) async fn get_shared(
        &self,
        store: &Arc<dyn Store>,
        tags: &[Subject],
    ) -> Result<Found, StoreError> {
        let request = GetRequest { key: &self.plan.key, tags, shares: true };
        let nothing = || Err(StoreError::new(StoreErrorKind::Rejected, "it gave no answer"));
        store.get_many(&[request]).await.pop().unwrap_or_else(nothing)
    }

    /// Keeps what an answer to this command has proved, for so long from then on.
    pub(super) fn keeps(
        &self,
        sent: Option<Sent>,
        value: Option<&Arc<ValueOf<O>>>,
        left: Duration,
        bytes: usize,
    ) {
        let (Some(near), Some(sought), Some(sent)) = (&self.core.near, self.sought.as_ref(), sent) else {
            return;
        };
        let state = &self.plan.state;
        if left.is_zero() || state.is_mixed.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        let Some(place) = near.sites.get(usize::from(state.number)) else { return };
        place.get_or_init(|| state.clone());
        let value = value.map(|value| value.clone() as Arc<dyn Any + Send + Sync>);
        let until = sent.at.saturating_add(left);
        let kept = Kept::new(value, (state.number, self.plan.key.fingerprint()), until, bytes, sent.stamp);
        near.tier.keep(sought.key.clone(), kept, sent.at);
    }
}
