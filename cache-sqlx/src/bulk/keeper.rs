//! Keeps the fence of a bulk write: sets it again where it was lost, and lifts it at the end. Refuses to end before every commit under it
//! has.

use std::time::Duration;

use cache_core::commit::Standing;
use cache_core::policy::OnUnfenced;
use cache_core::scope::{AfterQueued, Cover, Writes};
use cache_core::{Cache, Fenced};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::{End, anchor};
use crate::{PgTx, TxError};

/// How long a lost fence stays lost.
const RENEWAL: Duration = Duration::from_secs(1);

pub(super) struct Keeper {
    pub(super) cache: Cache,
    pub(super) pool: PgPool,
    pub(super) cover: Cover,
    /// Dropped, it is rolled back, and readers learn that the bulk write is over.
    pub(super) anchor: PgTx<'static>,
    pub(super) fence: Fenced,
    pub(super) settled: AfterQueued,
}

impl Keeper {
    /// Until somebody ends it, or nobody is left who could.
    pub(super) async fn run(mut self, mut ends: mpsc::Receiver<End>) {
        let mut ticks = interval(RENEWAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is at once.
        ticks.tick().await;
        let end = loop {
            tokio::select! {
                end = ends.recv() => break end,
                _ = ticks.tick() => self.renew().await,
            }
        };
        self.cover.close().await;
        let Self { anchor, fence, .. } = self;
        match end {
            Some(end) => {
                let cleared = fence.clear().await.map_err(|error| TxError::Unclear(error).into());
                // Whoever waited may have gone.
                let _ = end.send(cleared);
            }
            None => fence.lift(),
        }
        if let Err(error) = anchor.rollback().await {
            // The server undoes it when it notices that its client is gone.
            tracing::debug!(%error, "rolling back failed");
        }
    }

    async fn renew(&mut self) {
        if !matches!(self.anchor.standing().await, Ok(Standing::Open(_))) {
            tracing::warn!(
                "the transaction that stands for a bulk write was ended; another one takes its place"
            );
            if let Err(error) = self.replace().await {
                tracing::warn!(%error, "a bulk write has no transaction that stands for it; trying on");
            }
        }
        if let Err(error) = self.fence.renew().await {
            tracing::warn!(%error, "the fence of a bulk write is not confirmed; trying on");
        }
    }

    /// Another transaction, and a fence that names it.
    async fn replace(&mut self) -> sqlx::Result<()> {
        let (anchor, origin) = anchor(&self.cache, &self.pool).await?;
        let subjects = self.fence.subjects().to_vec();
        let (puts, settled, on_unfenced) = (Vec::new(), self.settled.clone(), OnUnfenced::Reject);
        let writes = Writes { subjects, puts, settled, on_unfenced };
        let fence = self.cache.fence(writes, origin).await.map_err(TxError::Unfenced)?;
        fence.heard().await;
        std::mem::replace(&mut self.fence, fence).lift();
        self.anchor = anchor;
        Ok(())
    }
}
