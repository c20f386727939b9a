//! The tables that write-behind and the outbox need. Refuses to share a table of migrations with the application.

use sqlx::{Executor, PgPool};

const SCHEMA: &str = include_str!("schema.sql");
/// `cache-mi` as a number: nobody else's lock.
const LOCK: i64 = 0x6361_6368_652d_6d69;

/// Creates what is missing of the tables `cache_queues`, `cache_dead_letters` and `cache_outbox` in the pool's schema. Run it at each start; where the
/// application's role may not create tables, run `cache-sqlx/src/migrate/schema.sql` as one that may.
///
/// # Errors
/// Those of the statements.
pub async fn migrate(pool: &PgPool) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    // Two that create one table at once fail in spite of IF NOT EXISTS.
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    transaction.execute(SCHEMA).await?;
    transaction.commit().await
}
