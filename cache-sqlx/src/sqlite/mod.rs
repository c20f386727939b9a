//! SQLite: one writer at a time, so whoever gets the write lock knows that everyone before him is finished.

mod heal;
mod identity;

use std::sync::Arc;

use cache_core::commit::Standing;
use cache_core::heal::Healer;
use cache_core::store::Origin;
pub use heal::SqliteHealer;
use sqlx::sqlite::{SqliteConnection, SqliteError};
use sqlx::{SqlSafeStr, SqlStr, Sqlite, SqlitePool, Transaction};

use crate::backend::{Engine, Label};

/// A cache-aware transaction on SQLite.
pub type SqliteTx<'c> = crate::CacheTx<'c, Sqlite>;

crate::executor::executor!(Sqlite, SqliteConnection);

impl Engine for Sqlite {
    fn opening(statement: Option<SqlStr>, _: &Label) -> SqlStr {
        statement.unwrap_or_else(|| "BEGIN".into_sql_str())
    }

    fn home(pool: &SqlitePool) -> Option<String> {
        Some(identity::of_pool(pool))
    }

    async fn standing(connection: &mut SqliteConnection, label: &Label) -> sqlx::Result<Standing> {
        if !is_inside(connection).await? {
            return Ok(Standing::Ended);
        }
        let identity = identity::of_connection(connection, label.home.as_deref()).await?;
        Ok(Standing::Open(identity.map_or_else(Origin::none, |identity| identity.to_origin())))
    }

    /// These leave the transaction open, to be rolled back next, or say that it was rolled back; an I/O error decides nothing.
    fn is_undone(error: &sqlx::Error) -> bool {
        const ABORT: u32 = 4;
        const BUSY: u32 = 5;
        const LOCKED: u32 = 6;
        const INTERRUPT: u32 = 9;
        const FULL: u32 = 13;
        const CONSTRAINT: u32 = 19;
        matches!(primary_code(error), Some(ABORT | BUSY | LOCKED | INTERRUPT | FULL | CONSTRAINT))
    }

    async fn is_open(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
        is_inside(connection).await
    }

    /// Where a statement of the user's has ended the transaction, sqlx's own ROLLBACK would fail, and the connection would go
    /// back to the pool with a transaction counted that is not there; so one is begun where none is.
    async fn roll_back(mut transaction: Transaction<'_, Self>) -> sqlx::Result<()> {
        is_inside(&mut transaction).await?;
        transaction.rollback().await
    }

    fn drop_unfinished(transaction: Transaction<'static, Self>) {
        // Without a runtime sqlx's own way is left.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = Self::roll_back(transaction).await {
                tracing::debug!(%error, "rolling back failed");
            }
        });
    }

    fn healer(pool: &SqlitePool) -> Arc<dyn Healer> {
        Arc::new(SqliteHealer::new(pool.clone()))
    }
}

/// Whether a transaction is open; one is, in any case, when this returns. sqlx counts its own begins and does not notice a
/// COMMIT sent as a statement, while a second BEGIN is refused and changes nothing.
async fn is_inside(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    const ERROR: u32 = 1;
    match sqlx::raw_sql("BEGIN").execute(connection).await {
        Ok(_) => Ok(false),
        Err(error) if primary_code(&error) == Some(ERROR) => Ok(true),
        Err(error) => Err(error),
    }
}

/// SQLite's result code without the extension in its upper bytes.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let error = error.as_database_error()?.try_downcast_ref::<SqliteError>()?;
    let code: u32 = sqlx::error::DatabaseError::code(error)?.parse().ok()?;
    Some(code & 0xff)
}
