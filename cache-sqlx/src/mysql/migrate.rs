//! The tables that covered transactions need. Refuses a table whose rows are not locked by the transaction that inserts them.

use sqlx::{Executor, MySqlPool};

const SCHEMA: &str = include_str!("schema.sql");
const ENGINES: &str = "SELECT CAST(table_name AS CHAR), CAST(engine AS CHAR) FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name IN ('cache_outcomes', 'cache_retired') AND engine <> 'InnoDB'";

/// Creates what is missing of the tables `cache_outcomes` and `cache_retired` in the pool's database. Run it at each start; where
/// the application's user may not create tables, run `cache-sqlx/src/mysql/schema.sql` as one who may.
///
/// The application's user needs `SELECT`, `INSERT` and `DELETE` on `cache_outcomes` and `SELECT` on `cache_retired`.
///
/// # Errors
/// Those of the statements; [`sqlx::Error::Configuration`] where the server made the tables of another engine than InnoDB.
pub async fn migrate_mysql(pool: &MySqlPool) -> sqlx::Result<()> {
    let mut connection = pool.acquire().await?;
    connection.execute(SCHEMA).await?;
    let others: Vec<(String, String)> = sqlx::query_as(ENGINES).fetch_all(&mut *connection).await?;
    match others.first() {
        None => Ok(()),
        Some((table, engine)) => Err(sqlx::Error::Configuration(
            format!("the table {table} is of the engine {engine}, whose rows are not locked by transactions: make it InnoDB").into(),
        )),
    }
}
