//! Permission to fill an entry: asked for, held, given back. Refuses to be kept by who is gone: dropped, it is given back.

use std::sync::Arc;

use super::Core;
use super::read::Plan;
use crate::error::StoreError;
use crate::store::{LeaseRequest, Leased};
use crate::subject::{EntryKey, Epoch, TagStamp, Token, WriterId};
use crate::time::StoreTime;

/// A lease, given back when dropped.
pub(super) struct Grant {
    core: Arc<Core>,
    key: EntryKey,
    pub(super) token: Token,
    pub(super) epoch: Epoch,
    pub(super) now: StoreTime,
    pub(super) tags: Vec<TagStamp>,
    held: bool,
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
        force: bool,
        finished: &[WriterId],
    ) -> Result<Asked, StoreError> {
        let Some(store) = self.store() else { return Ok(Asked::Other(Leased::Busy)) };
        // Held from before it is asked for: the answer may be lost while the lease is not.
        let mut grant = Grant {
            core: self.clone(),
            key: plan.key.clone(),
            token: Token(self.random()),
            epoch: Epoch::default(),
            now: StoreTime::default(),
            tags: Vec::new(),
            held: true,
        };
        let request = LeaseRequest {
            key: &plan.key,
            tags: &plan.tags,
            token: grant.token,
            duration: plan.state.lease(),
            force,
            finished,
            seed: self.random(),
            tag_ttl: plan.state.policy().longest() * 2,
        };
        match self.ask(&plan.touched(store), store.lease(request)).await? {
            Leased::Granted { epoch, now, tags } => {
                (grant.epoch, grant.now, grant.tags) = (epoch, now, tags);
                Ok(Asked::Granted(grant))
            }
            other => {
                grant.held = false;
                Ok(Asked::Other(other))
            }
        }
    }

    /// A lease although an entry stands, if nobody else has one and nobody writes.
    pub(super) async fn lease_early(self: &Arc<Self>, plan: &Plan) -> Option<Grant> {
        match self.lease(plan, true, &[]).await {
            Ok(Asked::Granted(grant)) => Some(grant),
            _ => None,
        }
    }
}
