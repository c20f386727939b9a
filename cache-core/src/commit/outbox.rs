//! What a transaction leaves in the outbox, and its end where it could not be fenced. Refuses to leave a row where nobody looks for it.

use std::fmt;

use super::{CommitError, OpenTransaction, Standing, Uncommitted, Unnamed, give_up};
use crate::cache::Cache;
use crate::error::{WriteError, WriteErrorKind};
use crate::outbox::{Left, Row};
use crate::policy::{OnUnfenced, Outbox};
use crate::scope::Writes;
use crate::store::Origin;
use crate::subject::Subject;

/// Why a transaction's subjects could not be left in the outbox. It is rolled back.
#[derive(Debug)]
pub enum Unleft<E> {
    /// The database's answer: mostly that there is no such table.
    Refused(E),
    /// Transactions of this database leave no rows.
    Unsupported,
    /// A write asks for it, and the cache was built without an outbox.
    Unconfigured,
}

impl<E: fmt::Display> fmt::Display for Unleft<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "the outbox did not take a row: {error}"),
            Self::Unsupported => f.write_str("transactions of this database have no outbox"),
            Self::Unconfigured => f.write_str(
                "a write says `on_unfenced = \"outbox\"` and its cache has none: write `.outbox(Outbox::Unfenced)` where it is built",
            ),
        }
    }
}

/// What a transaction leaves.
pub(super) struct Leaving {
    on_unfenced: OnUnfenced,
    row: Option<Row>,
    is_always: bool,
    /// What to tell late, where nobody can be told in time.
    subjects: Vec<Subject>,
}

impl Leaving {
    pub(super) fn of<T: OpenTransaction>(
        transaction: &T,
        cache: &Cache,
        writes: &Writes,
    ) -> Result<Self, Unleft<T::Error>> {
        let (on_unfenced, outbox) = (cache.0.on_unfenced(writes), cache.0.settings.outbox);
        let is_always = outbox == Some(Outbox::Always);
        let leaves = is_always || on_unfenced == OnUnfenced::Outbox;
        if leaves && outbox.is_none() {
            return Err(Unleft::Unconfigured);
        }
        if leaves && !transaction.has_outbox() {
            return Err(Unleft::Unsupported);
        }
        let row = leaves.then(|| {
            let ticket = cache.0.random().cast_signed();
            Row::new(cache.namespace().clone(), &writes.subjects, ticket)
        });
        let subjects = if on_unfenced == OnUnfenced::Proceed { writes.subjects.clone() } else { Vec::new() };
        Ok(Self { on_unfenced, row, is_always, subjects })
    }

    /// Asks how the transaction stands, and leaves its row if it leaves one in any case.
    pub(super) async fn standing<T: OpenTransaction>(
        &self,
        transaction: &mut T,
    ) -> Result<(Standing, Option<Left>), Unnamed<T::Error>> {
        match &self.row {
            Some(row) if self.is_always => transaction.standing_leaving(row).await,
            _ => transaction.standing().await.map(|standing| (standing, None)),
        }
    }

    /// Ends a transaction that could not be fenced.
    pub(super) async fn unfenced<T: OpenTransaction>(
        self,
        mut transaction: T,
        cache: &Cache,
        (origin, left): (Origin, Option<Left>),
        error: WriteError,
    ) -> Result<(), CommitError<T::Error>> {
        let row = match (self.on_unfenced, &self.row) {
            // It could be fenced, and must come after what is queued: trying again helps.
            _ if error.kind() != WriteErrorKind::Unfenced => {
                return give_up(transaction, CommitError::Unfenced(error)).await;
            }
            (OnUnfenced::Outbox, Some(row)) => row,
            (OnUnfenced::Proceed, _) => {
                tracing::debug!(%error, "a write is made although nobody can be told");
                transaction.commit().await.map_err(CommitError::from)?;
                cache.0.writes.proceeded.add();
                cache.0.deliver_soon(self.subjects);
                return Ok(());
            }
            _ => return give_up(transaction, CommitError::Unfenced(error)).await,
        };
        // From before anybody can see the change: what this instance is served from now on, it has asked for again.
        let hold = cache.0.hold(origin);
        let refused = match transaction.leave(row, left.as_ref()).await {
            Ok(true) => None,
            Ok(false) => Some(Unleft::Unsupported),
            Err(error) => Some(Unleft::Refused(error)),
        };
        if let Some(refused) = refused {
            hold.decided();
            return give_up(transaction, CommitError::Unleft(refused)).await;
        }
        let committed = transaction.commit().await;
        match &committed {
            Err(Uncommitted::Unknown(_)) => drop(hold),
            Ok(()) | Err(Uncommitted::Undone(_)) => hold.decided(),
        }
        committed.map_err(CommitError::from)?;
        cache.0.writes.outboxed.add();
        tracing::debug!(%error, "a write could not be fenced and has left a row in the outbox");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
