//! The table of hot rows, past every cache.

use std::{sync::Arc, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
};

use super::{
    event::{Event, Kind},
    log::Log,
};
use crate::time::now;

/// The server takes 200 connections.
const CONNECTIONS: u32 = 150;

/// Longer than a server needs to start again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A pool for one of so many instances; the server knows it by this name.
///
/// # Errors
/// Those of sqlx.
pub async fn connect(url: &str, instances: u8, name: &str) -> sqlx::Result<PgPool> {
    let share = (CONNECTIONS / u32::from(instances)).clamp(2, 12);
    let options: PgConnectOptions = url.parse()?;
    PgPoolOptions::new()
        .max_connections(share)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .connect_with(options.application_name(name))
        .await
}

/// Makes the table anew: so many rows of version 0.
///
/// # Errors
/// Those of sqlx.
pub async fn create(pool: &PgPool, keys: u16) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "DROP TABLE IF EXISTS hot; CREATE TABLE hot (id int4 PRIMARY KEY, version int8 NOT NULL) WITH (fillfactor = 50)",
    )
    .execute(pool)
    .await?;
    sqlx::query("INSERT INTO hot SELECT id, 0 FROM generate_series(0, $1 - 1) AS id")
        .bind(i32::from(keys))
        .execute(pool)
        .await?;
    Ok(())
}

/// The version of every key, in the order of the keys.
///
/// # Errors
/// Those of sqlx.
pub async fn versions(pool: &PgPool) -> sqlx::Result<Vec<u32>> {
    let rows: Vec<i64> = sqlx::query_scalar("SELECT version FROM hot ORDER BY id").fetch_all(pool).await?;
    Ok(rows.into_iter().map(narrow).collect())
}

/// Whether nobody has changes under way in this database, not even a process that is long dead.
///
/// # Errors
/// Those of sqlx.
pub async fn are_settled(pool: &PgPool) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL",
    )
    .fetch_one(pool)
    .await
}

/// Raises a row's version in a transaction; it stays invisible to others until that commits.
///
/// # Errors
/// Those of sqlx.
pub async fn bump(connection: &mut PgConnection, key: u16) -> sqlx::Result<u32> {
    sqlx::query_scalar("UPDATE hot SET version = version + 1 WHERE id = $1 RETURNING version")
        .bind(i32::from(key))
        .fetch_one(connection)
        .await
        .map(narrow)
}

fn narrow(version: i64) -> u32 {
    u32::try_from(version).expect("a run makes fewer than four thousand million writes")
}

/// What loaders read from; each statement is a look at the database and is logged as one.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The connections.
    pub pool: PgPool,
    /// Where looks are logged.
    pub log: Arc<Log>,
    /// Whose looks they are.
    pub instance: u8,
}

impl Rows {
    /// A loader: one statement, then a pause in which others may write.
    ///
    /// # Errors
    /// Those of sqlx.
    pub async fn load(&self, key: u16, pause: Duration) -> sqlx::Result<u32> {
        let begin = now();
        let version: i64 = sqlx::query_scalar("SELECT version FROM hot WHERE id = $1")
            .bind(i32::from(key))
            .fetch_one(&self.pool)
            .await?;
        let (end, version) = (now(), narrow(version));
        self.log.add(Event { begin, end, version, key, instance: self.instance, kind: Kind::Seen });
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Ok(version)
    }
}
