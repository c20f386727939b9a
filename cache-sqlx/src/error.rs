//! How a covered transaction can end other than well. Refuses vagueness: every message says whether the change was made and
//! what to do.

use std::error::Error as StdError;
use std::fmt;

use cache_core::commit::Unleft;
use cache_core::error::WriteError;
use cache_core::scope::Uncovered;
use sqlx::error::{DatabaseError, ErrorKind};

/// Why [`CacheTx::commit`](crate::CacheTx::commit) failed for a reason of the cache's or of the commit itself.
///
/// It travels inside `sqlx::Error`, as a database error, so that functions that return `sqlx::Result` stay as they are;
/// [`TxError::of`] finds it. A COMMIT that the database refuses (a deferred constraint, a serialization failure) is not
/// wrapped: it is the same `sqlx::Error` as without a cache.
#[derive(Debug)]
#[non_exhaustive]
pub enum TxError {
    /// Nothing was changed: the cache entries could not be fenced. Try again when the store answers.
    Unfenced(WriteError),
    /// Nothing was changed: something that was queued earlier on what it changes is not flushed yet, and would undo it.
    Queued(WriteError),
    /// Nothing was changed: the transaction had failed before its COMMIT.
    RolledBack(sqlx::Error),
    /// Nothing was changed: the database did not say which transaction this is.
    Unidentified(sqlx::Error),
    /// Nothing was changed: what it changes could not be left in the outbox.
    Unleft(Unleft<sqlx::Error>),
    /// Nothing was changed: a write's subjects never became known.
    Uncovered(Uncovered),
    /// The connection was lost at COMMIT: the change was made, or was not, or still will be.
    CommitUnknown(sqlx::Error),
    /// The change was made; that stale entries are gone is not confirmed yet.
    Unclear(WriteError),
    /// The transaction was ended by something other than its `commit` or `rollback`.
    CommittedOutside,
}

impl TxError {
    /// The error of this crate inside an sqlx error.
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Option<&Self> {
        error.as_database_error()?.try_downcast_ref()
    }

    /// Whether the change was made: `None` when that is unknown.
    #[must_use]
    pub fn was_made(&self) -> Option<bool> {
        match self {
            Self::Unfenced(_)
            | Self::Queued(_)
            | Self::RolledBack(_)
            | Self::Unidentified(_)
            | Self::Unleft(_)
            | Self::Uncovered(_) => Some(false),
            Self::Unclear(_) => Some(true),
            Self::CommitUnknown(_) | Self::CommittedOutside => None,
        }
    }

    fn text(&self) -> &'static str {
        match self {
            Self::Unfenced(_) => {
                "the transaction was rolled back: its cache entries could not be fenced, so readers might have kept old values; try again when the cache's store answers"
            }
            Self::Queued(_) => {
                "the transaction was rolled back: an earlier write to the same thing is still queued and would undo it; try again, in a transaction that has not locked what the queue's flush changes"
            }
            Self::RolledBack(_) => {
                "the transaction was rolled back: it had already failed when it was to be committed; look for the statement whose error was ignored, and run the transaction again"
            }
            Self::Unidentified(_) => {
                "the transaction was rolled back: the database did not say which transaction of which cluster it is, without which a fence could never be healed; the role needs EXECUTE on pg_control_system(), pg_current_wal_lsn(), pg_walfile_name() and pg_current_xact_id() (Postgres 13 or later), or the tables of migrate_mysql() with SELECT, INSERT and DELETE on cache_outcomes and SELECT on cache_retired (MySQL 8.0.22, MariaDB 10.6 or later)"
            }
            Self::Unleft(Unleft::Refused(_)) => {
                "the transaction was rolled back: what it changes could not be left in the outbox; call `cache_sqlx::migrate(&pool)` at start, which creates the table cache_outbox, and grant the role SELECT, INSERT, UPDATE and DELETE on it"
            }
            Self::Unleft(Unleft::Unsupported) => {
                "the transaction was rolled back: it was to leave what it changes in an outbox, which transactions of this database do not have; build the cache without `outbox`, and leave `on_unfenced = \"outbox\"` out"
            }
            Self::Unleft(Unleft::Unconfigured) => {
                "the transaction was rolled back: a write in it says `on_unfenced = \"outbox\"`, and its cache has none; write `.outbox(Outbox::Unfenced)` where the cache is built, in every instance"
            }
            Self::Uncovered(_) => {
                "the transaction was rolled back: a write in it ended before it said what it had changed; roll back when such a call fails, or make it inside `tx.begin()` and roll that back"
            }
            Self::CommitUnknown(_) => {
                "it is unknown whether the transaction was committed: the connection was lost at COMMIT; read the data before trying again (readers load from the database until it is decided)"
            }
            Self::Unclear(_) => {
                "the transaction was committed, but the cache's store has not confirmed that old entries are gone; a task goes on trying, and only a read that begins after it succeeds is certain to see the change; do not write again"
            }
            Self::CommittedOutside => {
                "the transaction had already ended when it was to be committed, by a COMMIT or ROLLBACK statement, a cancelled `begin` or the database: read the data before trying again; its entries were invalidated, but only now; end it with `commit` or `rollback` of the `CacheTx`"
            }
        }
    }
}

impl fmt::Display for TxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl StdError for TxError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Unfenced(e) | Self::Queued(e) | Self::Unclear(e) => Some(e),
            Self::RolledBack(e)
            | Self::Unidentified(e)
            | Self::CommitUnknown(e)
            | Self::Unleft(Unleft::Refused(e)) => Some(e),
            Self::Uncovered(e) => Some(e),
            Self::CommittedOutside | Self::Unleft(_) => None,
        }
    }
}

impl DatabaseError for TxError {
    fn message(&self) -> &str {
        self.text()
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}
