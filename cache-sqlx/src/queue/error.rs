//! Why a write was not queued, and what became of it.

use std::error::Error as StdError;
use std::fmt;

use cache_core::error::{JournalError, JournalErrorKind, StoreError};

/// What became of a write that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueErrorKind {
    /// It was not queued: the journal holds as much as it may. Tell the caller to come back, or write to the database.
    Full,
    /// It was not queued.
    NotQueued,
    /// It may have been queued or not, and may still reach the database.
    Unknown,
    /// It was queued and will reach the database; until then reads may not see it.
    Unshown,
}

/// A write was not acknowledged.
#[derive(Debug)]
pub struct QueueError {
    kind: QueueErrorKind,
    source: Box<dyn StdError + Send + Sync>,
}

impl QueueError {
    pub(super) fn not_queued(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: QueueErrorKind::NotQueued, source: source.into() }
    }

    pub(super) fn unknown(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: QueueErrorKind::Unknown, source: source.into() }
    }

    pub(super) fn unshown(source: StoreError) -> Self {
        Self { kind: QueueErrorKind::Unshown, source: source.into() }
    }

    /// The one in an error of sqlx's, as a function returns it that is `#[writes_behind]`.
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Option<&Self> {
        match error {
            sqlx::Error::AnyDriverError(inner) => inner.downcast_ref(),
            _ => None,
        }
    }

    /// What became of the write, for programs.
    #[must_use]
    pub fn kind(&self) -> QueueErrorKind {
        self.kind
    }
}

impl From<JournalError> for QueueError {
    fn from(error: JournalError) -> Self {
        let kind = match error.kind() {
            JournalErrorKind::Full => QueueErrorKind::Full,
            JournalErrorKind::Unknown => QueueErrorKind::Unknown,
            _ => QueueErrorKind::NotQueued,
        };
        Self { kind, source: error.into() }
    }
}

impl From<QueueError> for sqlx::Error {
    /// [`sqlx::Error::AnyDriverError`], from which [`QueueError::of`] takes it again.
    fn from(error: QueueError) -> Self {
        Self::AnyDriverError(Box::new(error))
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            QueueErrorKind::Full => "the queue is full, and the write was not queued",
            QueueErrorKind::NotQueued => "the write was not queued",
            QueueErrorKind::Unknown => "it is unknown whether the write was queued",
            QueueErrorKind::Unshown => {
                "the write was queued, and reads may not see it before it is in the database"
            }
        };
        write!(f, "{what}: {}", self.source)
    }
}

impl StdError for QueueError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
