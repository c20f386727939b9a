//! Commits sqlx transactions by cache-core's protocol: what it asks in sqlx's words, and its errors in ours. Refuses to decide
//! anything else; [`cache_core::commit`] does.

use cache_core::Cache;
use cache_core::commit::{CommitError, OpenTransaction, Standing, Uncommitted, Unnamed};
use cache_core::error::WriteErrorKind;
use cache_core::outbox::{Left, Row};
use cache_core::scope::Recording;
use sqlx::{Connection, Transaction};

use crate::TxError;
use crate::backend::{Backend, Label};

/// Ends a root transaction with all that was recorded in it.
pub(crate) async fn run<DB: Backend>(
    transaction: Transaction<'_, DB>,
    cache: Cache,
    recording: Recording,
    label: Label,
) -> sqlx::Result<()> {
    cache_core::commit::run(Root { transaction, label }, cache, recording).await.map_err(told)
}

/// A root transaction.
struct Root<'c, DB: Backend> {
    transaction: Transaction<'c, DB>,
    label: Label,
}

impl<DB: Backend> OpenTransaction for Root<'_, DB> {
    type Error = sqlx::Error;

    fn is_counted_open(&self) -> bool {
        self.transaction.is_in_transaction()
    }

    async fn standing(&mut self) -> Result<Standing, Unnamed<sqlx::Error>> {
        DB::standing(&mut self.transaction, &self.label).await.map_err(DB::unnamed)
    }

    fn has_outbox(&self) -> bool {
        DB::OUTBOX
    }

    async fn standing_leaving(
        &mut self,
        row: &Row,
    ) -> Result<(Standing, Option<Left>), Unnamed<sqlx::Error>> {
        DB::standing_leaving(&mut self.transaction, &self.label, row).await.map_err(unleft::<DB>)
    }

    async fn leave(&mut self, row: &Row, left: Option<&Left>) -> sqlx::Result<bool> {
        DB::leave(&mut self.transaction, row, left).await
    }

    async fn is_open(&mut self) -> sqlx::Result<bool> {
        DB::is_open(&mut self.transaction).await
    }

    async fn commit(self) -> Result<(), Uncommitted<sqlx::Error>> {
        self.transaction.commit().await.map_err(|error| {
            if DB::is_undone(&error) { Uncommitted::Undone(error) } else { Uncommitted::Unknown(error) }
        })
    }

    async fn roll_back(self) -> sqlx::Result<()> {
        DB::roll_back(self.transaction).await
    }
}

pub(crate) fn by_sqlstate(error: sqlx::Error) -> Unnamed<sqlx::Error> {
    let Some(code) = error.as_database_error().map(|e| e.code().unwrap_or_default().into_owned()) else {
        return Unnamed::Failed(error);
    };
    match code.as_str() {
        // in_failed_sql_transaction
        "25P02" => Unnamed::Failed(error),
        // A conflict with another transaction: callers know these codes and try again.
        code if code.starts_with("40") => Unnamed::Conflict(error),
        _ => Unnamed::Refused(error),
    }
}

/// Of the statement that asks and leaves a row: what is not about asking is about the row.
fn unleft<DB: Backend>(error: sqlx::Error) -> Unnamed<sqlx::Error> {
    match DB::unnamed(error) {
        Unnamed::Refused(error)
            // insufficient_privilege
            if error.as_database_error().is_some_and(|e| {
                e.code().is_none_or(|code| code != "42501") || e.message().contains("cache_outbox")
            }) =>
        {
            Unnamed::Unleft(error)
        }
        unnamed => unnamed,
    }
}

fn told(error: CommitError<sqlx::Error>) -> sqlx::Error {
    match error {
        CommitError::Unfenced(error) if error.kind() == WriteErrorKind::Queued => TxError::Queued(error),
        CommitError::Unfenced(error) => TxError::Unfenced(error),
        CommitError::RolledBack(error) => TxError::RolledBack(error),
        CommitError::Unidentified(error) => TxError::Unidentified(error),
        CommitError::Unleft(unleft) => TxError::Unleft(unleft),
        CommitError::Uncovered(uncovered) => TxError::Uncovered(uncovered),
        CommitError::CommitUnknown(error) => TxError::CommitUnknown(error),
        CommitError::Unclear(error) => TxError::Unclear(error),
        CommitError::CommittedOutside => TxError::CommittedOutside,
        CommitError::Database(error) => return error,
    }
    .into()
}
