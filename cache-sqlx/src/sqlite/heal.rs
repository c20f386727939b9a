//! Finds out whether SQLite's writers are finished, by taking the write lock. Refuses to wait for it: whoever holds it may
//! be the writer in question.

use std::fmt;
use std::time::Duration;

use cache_core::heal::Healer;
use cache_core::store::{BoxFuture, Fence};
use cache_core::subject::WriterId;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection, Sqlite, SqlitePool};

use super::identity::{self, Identity};

/// A database in memory that is shared by several connections cannot be told not to wait; the question then goes on without
/// the reader.
const PATIENCE: Duration = Duration::from_millis(100);

/// Lifts fences of SQLite transactions that ended without clearing them: `BEGIN IMMEDIATE` succeeds only when no write
/// transaction is open, and a fence that was read before that belongs to a finished one.
///
/// Fences of another file, or of another database in memory, are never lifted. Only idle connections of the pool are used, so
/// a pool of one that is inside a transaction is simply not asked.
pub struct SqliteHealer {
    pool: SqlitePool,
    name: String,
}

impl SqliteHealer {
    /// A healer that asks through this pool.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        let options = pool.connect_options();
        let name = format!("sqlite:{}:{}", options.get_filename().display(), identity::of_pool(&pool));
        Self { pool, name }
    }
}

impl fmt::Debug for SqliteHealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteHealer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Healer for SqliteHealer {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_alive(&self) -> bool {
        !self.pool.is_closed()
    }

    fn knows(&self, fence: &Fence) -> bool {
        identity::is_ours(&fence.origin)
    }

    fn finished<'a>(&'a self, fences: &'a [Fence]) -> BoxFuture<'a, Vec<WriterId>> {
        Box::pin(async move {
            let Some(connection) = self.pool.try_acquire() else { return Vec::new() };
            // In a task: a reader that leaves must not leave the connection with the lock or without its patience.
            let question = tokio::spawn(ask(connection, identity::of_pool(&self.pool)));
            let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, question).await else { return Vec::new() };
            match answer {
                Ok(Some(ours)) => fences
                    .iter()
                    .filter(|fence| ours.is_of(&fence.origin))
                    .map(|fence| fence.writer)
                    .collect(),
                Ok(None) => Vec::new(),
                Err(error) => {
                    tracing::debug!(%error, "SQLite did not say whether a writer is finished");
                    Vec::new()
                }
            }
        })
    }
}

/// The database whose writers are all finished, if they are.
async fn ask(mut connection: PoolConnection<Sqlite>, home: String) -> sqlx::Result<Option<Identity>> {
    if connection.is_in_transaction() {
        return Ok(None);
    }
    let Some(identity) = identity::of_connection(&mut connection, Some(&home)).await? else {
        return Ok(None);
    };
    let patience: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&mut *connection).await?;
    sqlx::raw_sql("PRAGMA busy_timeout = 0").execute(&mut *connection).await?;
    let locked = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await.is_ok();
    if locked {
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
    }
    let restore = AssertSqlSafe(format!("PRAGMA busy_timeout = {patience}"));
    sqlx::raw_sql(restore).execute(&mut *connection).await?;
    Ok(locked.then_some(identity))
}
