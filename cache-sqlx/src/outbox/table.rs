//! The table as writers and instances see it. Refuses to believe a standby.

use std::fmt;

use cache_core::commit::Standing;
use cache_core::key::Namespace;
use cache_core::outbox::{Left, Row, RowId, Table};
use cache_core::store::BoxFuture;
use sqlx::PgPool;
use sqlx::postgres::PgConnection;

use crate::backend::Label;
use crate::postgres;

const STANDING: &str = include_str!("standing.sql");
const LEAVE: &str = include_str!("leave.sql");
const HOLDS: &str = include_str!("holds.sql");
const DELETE: &str = include_str!("delete.sql");

/// The outbox of a pool's database.
pub(crate) struct PgTable {
    pool: PgPool,
    name: String,
}

impl PgTable {
    pub(crate) fn new(pool: PgPool) -> Self {
        let name = postgres::pool_name(&pool);
        Self { pool, name }
    }
}

impl fmt::Debug for PgTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgTable").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Table for PgTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_alive(&self) -> bool {
        !self.pool.is_closed()
    }

    fn holds_unreached<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move {
            let asked = sqlx::query_as(HOLDS).bind(namespace.as_str()).fetch_one(&self.pool).await;
            match asked {
                Ok((true, _)) => Err("the database is a standby, which may not have heard of it yet".into()),
                Ok((false, holds)) => Ok(holds),
                Err(error) if is_missing(&error) => {
                    Err(format!("there is no outbox: call `cache_sqlx::migrate(&pool)` at start ({error})"))
                }
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        rows: &'a [RowId],
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let (ids, tickets): (Vec<i64>, Vec<i64>) = rows.iter().map(|row| (row.id, row.ticket)).unzip();
            let deleting = sqlx::query(DELETE).bind(namespace.as_str()).bind(ids).bind(tickets);
            deleting.execute(&self.pool).await.map(drop).map_err(|error| error.to_string())
        })
    }
}

fn is_missing(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42P01")
}

/// Asks how the transaction stands, and leaves a row if it is the labelled one.
pub(crate) async fn standing_leaving(
    connection: &mut PgConnection,
    label: &Label,
    row: &Row,
) -> sqlx::Result<(Standing, Option<Left>)> {
    let (xid, system, segment, id): (Option<String>, String, Option<String>, Option<i64>) =
        sqlx::query_as(STANDING)
            .bind(label.number.to_string())
            .bind(row.namespace.as_str())
            .bind(&row.subjects[..])
            .bind(row.ticket)
            .fetch_one(connection)
            .await?;
    let standing = postgres::standing_of(xid, &system, segment.as_deref())?;
    let left = id.map(|id| Left { row: RowId { id, ticket: row.ticket }, table: label.table.clone() });
    Ok((standing, left))
}

/// Leaves a row that says that the store could not be reached, or lets one say so that stands.
pub(crate) async fn leave(connection: &mut PgConnection, row: &Row, left: Option<&Left>) -> sqlx::Result<()> {
    let leaving = sqlx::query(LEAVE)
        .bind(row.namespace.as_str())
        .bind(&row.subjects[..])
        .bind(row.ticket)
        .bind(left.map(|left| left.row.id));
    leaving.execute(connection).await.map(drop)
}
