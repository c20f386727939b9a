//! Postgres: transactions are known by cluster, timeline and 64-bit transaction id.

mod heal;
mod origin;

use std::sync::Arc;

use cache_core::commit::Standing;
use cache_core::heal::Healer;
use cache_core::outbox::{Left, Row, Table};
pub use heal::PgHealer;
pub(crate) use heal::pool_name;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgSeverity};
use sqlx::{AssertSqlSafe, PgPool, Postgres, SqlSafeStr, SqlStr, Transaction};

use self::origin::PgOrigin;
use crate::backend::{Engine, Label};
use crate::outbox;
use crate::read::is_final;

/// A cache-aware transaction on Postgres.
pub type PgTx<'c> = crate::CacheTx<'c, Postgres>;

crate::executor::executor!(Postgres, PgConnection);

/// Answers the transaction's identity, or nothing for its id if the label is gone.
const STANDING: &str = include_str!("standing.sql");

/// How a transaction stands by the server's words.
pub(crate) fn standing_of(
    xid: Option<String>,
    system: &str,
    segment: Option<&str>,
) -> sqlx::Result<Standing> {
    let Some(xid) = xid else { return Ok(Standing::Ended) };
    let origin = PgOrigin::parts(system, segment, &xid)
        .ok_or_else(|| sqlx::Error::Protocol("the server's transaction id does not parse".to_owned()))?;
    Ok(Standing::Open(origin.to_origin()))
}

impl Engine for Postgres {
    const OUTBOX: bool = true;

    fn opening(statement: Option<SqlStr>, label: &Label) -> SqlStr {
        let begin = statement.as_ref().map_or("BEGIN", SqlStr::as_str);
        // A setting that lasts as long as this transaction tells it from any other: sqlx counts its own begins and does not
        // notice a COMMIT sent as a statement.
        AssertSqlSafe(format!("{begin}\n; SET LOCAL cache_sqlx.label = '{}'", label.number)).into_sql_str()
    }

    fn home(_: &PgPool) -> Option<String> {
        None
    }

    async fn standing(connection: &mut PgConnection, label: &Label) -> sqlx::Result<Standing> {
        let (xid, system, segment): (Option<String>, String, Option<String>) =
            sqlx::query_as(STANDING).bind(label.number.to_string()).fetch_one(connection).await?;
        standing_of(xid, &system, segment.as_deref())
    }

    fn table(pool: &PgPool) -> Option<Arc<dyn Table>> {
        Some(Arc::new(outbox::PgTable::new(pool.clone())))
    }

    async fn standing_leaving(
        connection: &mut PgConnection,
        label: &Label,
        row: &Row,
    ) -> sqlx::Result<(Standing, Option<Left>)> {
        outbox::standing_leaving(connection, label, row).await
    }

    async fn leave(connection: &mut PgConnection, row: &Row, left: Option<&Left>) -> sqlx::Result<bool> {
        outbox::leave(connection, row, left).await.map(|()| true)
    }

    /// An error of severity ERROR in place of COMMIT's answer means that the transaction was aborted; anything else (a fatal
    /// error, a broken connection, a pooler that speaks of the server's connection) may have come after it was made durable.
    fn is_undone(error: &sqlx::Error) -> bool {
        error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
            .is_some_and(|error| matches!(error.severity(), PgSeverity::Error) && is_final(error.code()))
    }

    /// A COMMIT outside a transaction is a warning.
    async fn is_open(_: &mut PgConnection) -> sqlx::Result<bool> {
        Ok(true)
    }

    async fn roll_back(transaction: Transaction<'_, Self>) -> sqlx::Result<()> {
        transaction.rollback().await
    }

    fn drop_unfinished(transaction: Transaction<'static, Self>) {
        drop(transaction);
    }

    fn knows_queues(cache: &cache_core::Cache, pool: &PgPool) {
        crate::queue::registers(cache, pool);
    }

    fn healer(pool: &PgPool) -> Arc<dyn Healer> {
        Arc::new(PgHealer::new(pool.clone()))
    }
}
