//! The one place where a transaction that changes cached values ends: identity, fence, COMMIT, clear. Refuses to guess: an
//! answer that never came leaves the fence standing.
//!
//! The fence is set after the last statement and before COMMIT, so it stands exactly while the change may become visible.
//! Between the identity query and COMMIT nothing else is sent on the connection. That query fails in a transaction that has
//! failed, so a COMMIT that is answered without an error has committed: it cannot be the silent ROLLBACK that Postgres
//! answers to the COMMIT of a failed transaction.

use cache_core::Cache;
use cache_core::scope::{Recording, Writes};
use cache_core::store::Origin;
use sqlx::{Connection, Transaction};

use crate::TxError;
use crate::backend::{Backend, Label, Standing};

/// Ends a root transaction with all that was recorded in it.
pub(crate) async fn run<DB: Backend>(
    mut transaction: Transaction<'_, DB>,
    cache: Cache,
    recording: Recording,
    label: Label,
) -> sqlx::Result<()> {
    let writes = match recording.finish() {
        Ok(writes) => writes,
        Err(uncovered) => return give_up(transaction, TxError::Uncovered(uncovered).into()).await,
    };
    if !transaction.is_in_transaction() {
        return ended_elsewhere(transaction, &cache, writes).await;
    }
    if writes.subjects.is_empty() || cache.is_off() {
        if !DB::is_open(&mut transaction).await? {
            return ended_elsewhere(transaction, &cache, writes).await;
        }
        return transaction.commit().await;
    }
    let origin = match DB::standing(&mut transaction, &label).await {
        Ok(Standing::Open(origin)) => origin,
        Ok(Standing::Ended) => return ended_elsewhere(transaction, &cache, writes).await,
        Err(error) => return give_up(transaction, unidentified(error)).await,
    };
    let fenced = match cache.fence(writes, origin).await {
        Ok(fenced) => fenced,
        Err(error) => return give_up(transaction, TxError::Unfenced(error).into()).await,
    };
    match transaction.commit().await {
        Ok(()) => fenced.clear().await.map_err(|error| TxError::Unclear(error).into()),
        Err(error) if DB::is_undone(&error) => {
            fenced.lift();
            Err(error)
        }
        Err(error) => {
            fenced.abandon();
            Err(TxError::CommitUnknown(error).into())
        }
    }
}

/// Rolls back before anything was fenced.
async fn give_up<DB: Backend>(transaction: Transaction<'_, DB>, error: sqlx::Error) -> sqlx::Result<()> {
    if let Err(rollback) = DB::roll_back(transaction).await {
        // The server undoes the transaction when it notices that its client is gone.
        tracing::debug!(error = %rollback, "rolling back failed");
    }
    Err(error)
}

/// The changes, if they were committed, have been visible for a while: invalidating late is all that is left to do.
async fn ended_elsewhere<DB: Backend>(
    transaction: Transaction<'_, DB>,
    cache: &Cache,
    mut writes: Writes,
) -> sqlx::Result<()> {
    writes.puts.clear();
    if !writes.subjects.is_empty() {
        match cache.fence(writes, Origin::none()).await {
            Ok(fenced) => {
                if let Err(error) = fenced.clear().await {
                    tracing::warn!(%error, "a transaction was ended outside its CacheTx");
                }
            }
            Err(error) => {
                tracing::error!(%error, "a transaction was ended outside its CacheTx, and what it changed could not be invalidated");
            }
        }
    }
    give_up(transaction, TxError::CommittedOutside.into()).await
}

/// Why a transaction could not be identified; nothing was fenced or committed.
fn unidentified(error: sqlx::Error) -> sqlx::Error {
    let Some(code) = error.as_database_error().map(|e| e.code().unwrap_or_default().into_owned()) else {
        return TxError::RolledBack(error).into();
    };
    match code.as_str() {
        // in_failed_sql_transaction
        "25P02" => TxError::RolledBack(error).into(),
        // A conflict with another transaction: callers know these codes and try again.
        code if code.starts_with("40") => error,
        _ => TxError::Unidentified(error).into(),
    }
}
