//! Permission to fill an entry: asked for, held, given back. Refuses to be kept by who is gone: dropped, it is given back.

use std::sync::Arc;

use bytes::Bytes;

use super::Core;
use super::near::Sent;
use super::read::Plan;
use crate::entry;
use crate::error::StoreError;
use crate::store::{LeaseRequest, Leased};
use crate::subject::{EntryKey, Epoch, Subject, TagStamp, Token, WriterId};
use crate::time::StoreTime;

/// A lease, given back when dropped.
pub(super) struct Grant {
    core: Arc<Core>,
    key: EntryKey,
    pub(super) token: Token,
    pub(super) stamp: Stamp,
    /// When it was asked for.
    pub(super) sent: Option<Sent>,
    held: bool,
}

/// What an entry is stamped with: all of it from before the load.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamp {
    pub(super) epoch: Epoch,
    pub(super) now: StoreTime,
    /// The tags that were asked about, and their stamps.
    pub(super) asked: Vec<Subject>,
    pub(super) tags: Vec<TagStamp>,
}

impl Stamp {
    /// Keeps the stamps of these tags only; false if one of them was not asked about.
    pub(super) fn keep(&mut self, tags: Vec<Subject>) -> bool {
        let place = |tag: &Subject| self.asked.iter().position(|asked| asked.name() == tag.name());
        let stamp = |tag| self.tags.get(place(tag)?).copied();
        let Some(stamps) = tags.iter().map(stamp).collect() else { return false };
        (self.asked, self.tags) = (tags, stamps);
        true
    }
}

impl Grant {
    /// Stored or refused, the store has dropped the token.
    pub(super) fn is_used(&mut self) {
        self.held = false;
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (true, Ok(runtime), Some(store)) = (self.held, runtime, self.core.store.clone()) {
            let (key, token, deadline) = (self.key.clone(), self.token, self.core.settings.read_deadline);
            // Best effort: a lease that is not given back lapses.
            runtime.spawn(async move { super::ask::within(deadline, store.release(&key, token)).await.ok() });
        }
    }
}

/// Whether a lease is asked for although an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    No,
    /// Over the one with this checksum, or none.
    Over([u8; 8]),
    OverAny,
}

impl Force {
    pub(super) fn is_any(self) -> bool {
        self != Self::No
    }

    /// The checksum of the one that is meant.
    pub(super) fn mark(self) -> Option<[u8; 8]> {
        match self {
            Self::Over(mark) => Some(mark),
            Self::No | Self::OverAny => None,
        }
    }

    /// Over these bytes.
    pub(super) fn over(blob: Option<&Bytes>) -> Self {
        blob.and_then(|blob| entry::mark_of(blob)).map_or(Self::OverAny, Self::Over)
    }
}

/// What a store answered to the question for a lease.
pub(super) enum Asked {
    Granted(Grant),
    Other(Leased),
}

impl Core {
    /// Asks for a lease, once.
    pub(super) async fn lease(
        self: &Arc<Self>,
        plan: &Plan,
        force: Force,
        finished: &[WriterId],
    ) -> Result<Asked, StoreError> {
        let shares = plan.shares;
        let Some(store) = self.store() else { return Ok(Asked::Other(Leased::Busy)) };
        let asked = plan.asked().into_owned();
        // Held from before it is asked for: the answer may be lost while the lease is not.
        let mut grant = Grant {
            core: self.clone(),
            key: plan.key.clone(),
            token: Token(self.random()),
            stamp: Stamp { asked: asked.clone(), ..Stamp::default() },
            sent: None,
            held: true,
        };
        grant.sent = if shares { self.sends_for(&plan.key.subject, &asked) } else { None };
        let request = LeaseRequest {
            key: &plan.key,
            tags: &asked,
            token: grant.token,
            duration: plan.lease(),
            force: force.is_any(),
            over: force.mark(),
            finished,
            seed: self.random(),
            tag_ttl: plan.state.tag_lifetime(),
            shares,
        };
        match self.ask(&plan.touched(store, &asked), store.lease(request)).await? {
            Leased::Granted { epoch, now, tags, shared } => {
                grant.stamp = Stamp { epoch, now, asked, tags };
                grant.sent.take_if(|_| !shared);
                Ok(Asked::Granted(grant))
            }
            other => {
                grant.held = false;
                Ok(Asked::Other(other))
            }
        }
    }

    /// A lease although this entry stands, if nobody else has one, has replaced it, or writes.
    pub(super) async fn lease_early(self: &Arc<Self>, plan: &Plan, force: Force) -> Option<Grant> {
        match self.lease(plan, force, &[]).await {
            Ok(Asked::Granted(grant)) => Some(grant),
            _ => None,
        }
    }
}
