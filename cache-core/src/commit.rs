//! The end of a covered transaction, for any database: identity, fence, COMMIT, clear. Refuses to guess: an answer that never
//! came leaves the fence standing.
//!
//! The fence is set after the last statement and before COMMIT, so it stands exactly while the change may become visible. An
//! adapter for a database library says by [`OpenTransaction`] how its transactions are asked and ended, calls [`run`] in a
//! task that a caller who goes away does not cancel, and turns [`CommitError`] into the error its users know.

mod faults;
mod outbox;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use self::outbox::Leaving;
pub use self::outbox::Unleft;
use crate::cache::Cache;
use crate::error::WriteError;
use crate::outbox::{Left, Row};
use crate::policy::Outbox;
use crate::scope::{Recording, Uncovered, Writes};
use crate::store::Origin;

/// An open transaction at its end. Dropped, it is rolled back sooner or later.
pub trait OpenTransaction: Sized + Send {
    /// The database library's error.
    type Error: fmt::Display + Send;

    /// Whether the library believes that a transaction is open; nothing is asked.
    fn is_counted_open(&self) -> bool {
        true
    }

    /// Asks the database whether the transaction that was begun still stands, has not failed, and how others may ask about it.
    /// From the answer to COMMIT nothing else may be sent on its connection; then a COMMIT that is answered without an error
    /// has committed, and is not the silent ROLLBACK that some databases answer to the COMMIT of a failed transaction.
    fn standing(&mut self) -> impl Future<Output = Result<Standing, Unnamed<Self::Error>>> + Send;

    /// Whether a transaction in which nothing was recorded can be committed; asks only where COMMIT would do harm if not.
    fn is_open(&mut self) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        std::future::ready(Ok(true))
    }

    /// Whether it can leave rows in an outbox: then the three below are implemented.
    fn has_outbox(&self) -> bool {
        false
    }

    /// As [`standing`](Self::standing), and leaves a row if the transaction is open; in one round trip where that can be.
    fn standing_leaving(
        &mut self,
        _row: &Row,
    ) -> impl Future<Output = Result<(Standing, Option<Left>), Unnamed<Self::Error>>> + Send {
        async { self.standing().await.map(|standing| (standing, None)) }
    }

    /// Leaves a row that says that the store could not be reached. `left` is one that stands already without saying so. False where
    /// that cannot be.
    fn leave(
        &mut self,
        _row: &Row,
        _left: Option<&Left>,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        std::future::ready(Ok(false))
    }

    /// Commits.
    fn commit(self) -> impl Future<Output = Result<(), Uncommitted<Self::Error>>> + Send;

    /// Rolls back, even if there is nothing to roll back.
    fn roll_back(self) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Whether a transaction still is the one that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is open; this is how others ask about it.
    Open(Origin),
    /// It was ended behind the back of its scope.
    Ended,
}

/// Why a transaction could not say who it is. It is rolled back in every case.
#[derive(Debug)]
pub enum Unnamed<E> {
    /// It had failed before, or its connection was lost.
    Failed(E),
    /// A conflict with another transaction, whose error callers know and try again after.
    Conflict(E),
    /// The database would not say.
    Refused(E),
    /// It was to leave a row in the outbox, and could not.
    Unleft(E),
}

/// Why a COMMIT did not answer that it was made.
#[derive(Debug)]
pub enum Uncommitted<E> {
    /// It has certainly changed nothing, now and later.
    Undone(E),
    /// It was made, or was not, or still will be.
    Unknown(E),
}

/// Why a covered transaction did not end well. Each says whether the change was made.
#[derive(Debug)]
pub enum CommitError<E> {
    /// Nothing was changed: its entries could not be fenced.
    Unfenced(WriteError),
    /// Nothing was changed: it had failed before its COMMIT.
    RolledBack(E),
    /// Nothing was changed: the database did not say which transaction it is.
    Unidentified(E),
    /// Nothing was changed: what it changes could not be left in the outbox.
    Unleft(Unleft<E>),
    /// Nothing was changed: a write's subjects never became known.
    Uncovered(Uncovered),
    /// The connection was lost at COMMIT: the change was made, or was not, or still will be.
    CommitUnknown(E),
    /// The change was made; that stale entries are gone is not confirmed yet.
    Unclear(WriteError),
    /// It was ended by something other than its scope.
    CommittedOutside,
    /// The database's own error, as it would be without a cache; a covered change was not made.
    Database(E),
}

impl<E: fmt::Display> fmt::Display for CommitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfenced(error) | Self::Unclear(error) => error.fmt(f),
            Self::RolledBack(error) => write!(f, "the transaction had failed before its COMMIT: {error}"),
            Self::Unidentified(error) => {
                write!(f, "the transaction was rolled back: the database did not name it: {error}")
            }
            Self::Unleft(error) => write!(f, "the transaction was rolled back: {error}"),
            Self::Uncovered(error) => error.fmt(f),
            Self::CommitUnknown(error) => {
                write!(f, "it is unknown whether the transaction was committed: {error}")
            }
            Self::CommittedOutside => {
                f.write_str("the transaction had already ended when it was to be committed")
            }
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for CommitError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unfenced(error) | Self::Unclear(error) => error.source(),
            Self::RolledBack(error)
            | Self::Unidentified(error)
            | Self::CommitUnknown(error)
            | Self::Unleft(Unleft::Refused(error))
            | Self::Database(error) => Some(error),
            Self::Uncovered(error) => Some(error),
            Self::CommittedOutside | Self::Unleft(Unleft::Unsupported | Unleft::Unconfigured) => None,
        }
    }
}

/// Ends a root transaction with all that was recorded in it, and returns when every read that begins now sees the change.
///
/// Dropped between fence and answer it leaves the fence to be healed: run it in a task of its own.
///
/// # Errors
/// [`CommitError`].
pub async fn run<T: OpenTransaction>(
    mut transaction: T,
    cache: Cache,
    recording: Recording,
) -> Result<(), CommitError<T::Error>> {
    // Held to the end: what a bulk write has fenced for this transaction stays fenced as long. A transaction that leaves a row in any
    // case fences for itself, too.
    let cover = match cache.0.settings.outbox {
        Some(Outbox::Always) => None,
        _ => recording.hold_cover().await,
    };
    let writes = match recording.finish_under(cover.as_ref()) {
        Ok(writes) => writes,
        Err(uncovered) => return give_up(transaction, CommitError::Uncovered(uncovered)).await,
    };
    if !transaction.is_counted_open() {
        return ended_elsewhere(transaction, &cache, writes).await;
    }
    if (writes.subjects.is_empty() && cover.is_none()) || cache.is_off() {
        if !transaction.is_open().await.map_err(CommitError::Database)? {
            return ended_elsewhere(transaction, &cache, writes).await;
        }
        return transaction.commit().await.map_err(Uncommitted::into_database);
    }
    let leaving = match Leaving::of(&transaction, &cache, &writes) {
        Ok(leaving) => leaving,
        Err(unleft) => return give_up(transaction, CommitError::Unleft(unleft)).await,
    };
    let (origin, left) = match leaving.standing(&mut transaction).await {
        Ok((Standing::Open(origin), left)) => (origin, left),
        Ok((Standing::Ended, _)) => return ended_elsewhere(transaction, &cache, writes).await,
        Err(unnamed) => return give_up(transaction, unnamed.into()).await,
    };
    let broken = cache.0.settings.faults;
    if broken.fences_late {
        return faults::fence_late(transaction, &cache, writes, origin).await;
    }
    let fenced = match cache.fence(writes, origin.clone()).await {
        Ok(fenced) if broken.clears_early => return faults::clear_early(transaction, fenced).await,
        Ok(fenced) => fenced,
        Err(_) if broken.commits_unfenced => return faults::commit(transaction).await,
        Err(error) => return leaving.unfenced(transaction, &cache, (origin, left), error).await,
    };
    match transaction.commit().await {
        Ok(()) => {
            fenced.clear().await.map_err(CommitError::Unclear)?;
            left.into_iter().for_each(|left| cache.0.is_delivered(left));
            Ok(())
        }
        Err(Uncommitted::Undone(error)) => {
            fenced.lift();
            Err(CommitError::Database(error))
        }
        Err(Uncommitted::Unknown(error)) => {
            if broken.lifts_unknown {
                fenced.lift()
            } else {
                fenced.abandon()
            }
            Err(CommitError::CommitUnknown(error))
        }
    }
}

impl<E> Uncommitted<E> {
    /// The error of a COMMIT that nothing covered depends on.
    fn into_database(self) -> CommitError<E> {
        let (Self::Undone(error) | Self::Unknown(error)) = self;
        CommitError::Database(error)
    }
}

impl<E> From<Uncommitted<E>> for CommitError<E> {
    fn from(uncommitted: Uncommitted<E>) -> Self {
        match uncommitted {
            Uncommitted::Undone(error) => Self::Database(error),
            Uncommitted::Unknown(error) => Self::CommitUnknown(error),
        }
    }
}

impl<E> From<Unnamed<E>> for CommitError<E> {
    fn from(unnamed: Unnamed<E>) -> Self {
        match unnamed {
            Unnamed::Failed(error) => Self::RolledBack(error),
            Unnamed::Conflict(error) => Self::Database(error),
            Unnamed::Refused(error) => Self::Unidentified(error),
            Unnamed::Unleft(error) => Self::Unleft(Unleft::Refused(error)),
        }
    }
}

/// Rolls back before anything was fenced.
async fn give_up<T: OpenTransaction>(
    transaction: T,
    error: CommitError<T::Error>,
) -> Result<(), CommitError<T::Error>> {
    if let Err(rollback) = transaction.roll_back().await {
        // The server undoes the transaction when it notices that its client is gone.
        tracing::debug!(error = %rollback, "rolling back failed");
    }
    Err(error)
}

/// The changes, if they were committed, have been visible for a while: invalidating late is all that is left to do.
async fn ended_elsewhere<T: OpenTransaction>(
    transaction: T,
    cache: &Cache,
    mut writes: Writes,
) -> Result<(), CommitError<T::Error>> {
    writes.puts.clear();
    if !writes.subjects.is_empty() {
        match cache.fence(writes, Origin::none()).await {
            Ok(fenced) => {
                if let Err(error) = fenced.clear().await {
                    tracing::warn!(%error, "a transaction was ended outside its scope");
                }
            }
            Err(error) => {
                tracing::error!(%error, "a transaction was ended outside its scope, and what it changed could not be invalidated");
            }
        }
    }
    give_up(transaction, CommitError::CommittedOutside).await
}

#[cfg(test)]
mod tests;
