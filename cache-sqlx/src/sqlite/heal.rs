//! Finds out whether SQLite's writers are finished, by taking the write lock. Refuses to wait for it: whoever holds it may
//! be the writer in question.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_core::heal::Healer;
use cache_core::store::{BoxFuture, Fence};
use cache_core::subject::WriterId;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Sqlite, SqlitePool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::identity::{self, Identity};

/// A database in memory that is shared by several connections cannot be told not to wait; the question then goes on without
/// the reader.
const PATIENCE: Duration = Duration::from_millis(100);

/// Each database of a connection with one of its tables.
const TABLES: &str = "SELECT d.name, min(t.name) FROM pragma_database_list AS d
    LEFT JOIN pragma_table_list AS t
        ON t.schema = d.name AND t.type = 'table' AND t.name NOT LIKE 'sqlite@_%' ESCAPE '@'
    WHERE d.name <> 'temp' GROUP BY d.name";

/// Lifts fences of SQLite transactions that ended without clearing them: `BEGIN IMMEDIATE` succeeds only when no write
/// transaction is open, and a fence that was read before that belongs to a finished one.
///
/// Fences of another file, or of another database in memory, are never lifted, and none through a pool that may not write: to it
/// the lock is always free. Only idle connections of the pool are used, so
/// a pool of one that is inside a transaction is simply not asked.
pub struct SqliteHealer {
    pool: SqlitePool,
    name: String,
    /// Of a question that goes on without its reader there is one, not one a reader.
    turn: Arc<Semaphore>,
}

impl SqliteHealer {
    /// A healer that asks through this pool.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        let options = pool.connect_options();
        let name = format!("sqlite:{}:{}", options.get_filename().display(), identity::of_pool(&pool));
        Self { pool, name, turn: Arc::new(Semaphore::new(1)) }
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
            let Ok(turn) = self.turn.clone().try_acquire_owned() else { return Vec::new() };
            let Some(connection) = self.pool.try_acquire() else { return Vec::new() };
            // In a task: a reader that leaves must not leave the connection with the lock or without its patience.
            let question = tokio::spawn(ask(connection, identity::of_pool(&self.pool), turn));
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
async fn ask(
    mut connection: PoolConnection<Sqlite>,
    home: String,
    _alone: OwnedSemaphorePermit,
) -> sqlx::Result<Option<Identity>> {
    if connection.is_in_transaction() {
        return Ok(None);
    }
    let Some(identity) = identity::of_connection(&mut connection, Some(&home)).await? else {
        return Ok(None);
    };
    let patience: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&mut *connection).await?;
    sqlx::raw_sql("PRAGMA busy_timeout = 0").execute(&mut *connection).await?;
    let is_free = is_free(&mut connection).await;
    let restore = AssertSqlSafe(format!("PRAGMA busy_timeout = {patience}"));
    sqlx::raw_sql(restore).execute(&mut *connection).await?;
    Ok(is_free?.then_some(identity))
}

/// Whether the write lock of every database of the connection was free just now.
async fn is_free(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    if sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *connection).await.is_err() {
        return Ok(false);
    }
    let are_locked = are_locked(connection).await;
    sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    are_locked
}

/// Whether `BEGIN IMMEDIATE` has taken a lock at all. A database that was opened read-only, or whose file may not be written, it
/// begins to read instead and says nothing. A statement that writes no row is refused there, and costs nothing elsewhere; a
/// database without a table has nothing to say.
async fn are_locked(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    let tables: Vec<(String, Option<String>)> = sqlx::query_as(TABLES).fetch_all(&mut *connection).await?;
    for (schema, table) in tables {
        let Some(table) = table else { return Ok(false) };
        let quoted = |name: String| format!("\"{}\"", name.replace('"', "\"\""));
        let nothing = format!("DELETE FROM {}.{} WHERE 0", quoted(schema), quoted(table));
        if sqlx::raw_sql(AssertSqlSafe(nothing)).execute(&mut *connection).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
