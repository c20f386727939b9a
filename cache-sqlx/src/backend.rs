//! What a database must be able to answer for its transactions to carry invalidations. Refuses foreign implementations: the
//! answers decide when a fence falls.

use std::future::Future;
use std::sync::Arc;

use cache_core::Cache;
use cache_core::commit::{Standing, Unnamed};
use cache_core::heal::Healer;
use cache_core::outbox::{Left, Row, Table};
use sqlx::{Database, Pool, SqlStr, Transaction};

/// A database whose transactions can carry invalidations: Postgres, SQLite, and MySQL or MariaDB.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no cache-aware transactions",
    note = "they exist for `sqlx::Postgres`, `sqlx::Sqlite` and `sqlx::MySql`, behind the features `postgres`, `sqlite` and `mysql` of cache-sqlx"
)]
pub trait Backend: Engine {}

impl<DB: Engine> Backend for DB {}

/// What tells one transaction from those before and after it on the same connection.
#[derive(Clone, Debug)]
pub struct Label {
    /// Unique among the transactions this process began.
    pub number: u64,
    /// Identity of the pool's database where only the pool knows it (a database in memory).
    pub home: Option<String>,
    /// Where rows that its transaction leaves can be deleted, if it leaves any.
    pub table: Option<Arc<dyn Table>>,
}

/// The part of [`Backend`] that only this crate may name.
pub trait Engine: Database {
    /// The statement that begins a transaction and leaves the label in it; `statement` replaces a plain `BEGIN`.
    fn opening(statement: Option<SqlStr>, label: &Label) -> SqlStr;

    /// Identity of the pool's database where its connections cannot tell it.
    fn home(pool: &Pool<Self>) -> Option<String>;

    /// Asks the open connection, in one round trip, whether the labelled transaction stands and how others may ask about it.
    fn standing(
        connection: &mut Self::Connection,
        label: &Label,
    ) -> impl Future<Output = sqlx::Result<Standing>> + Send;

    /// Why [`standing`](Self::standing) failed.
    fn unnamed(error: sqlx::Error) -> Unnamed<sqlx::Error> {
        crate::commit::by_sqlstate(error)
    }

    /// Whether its transactions can leave rows in an outbox; then the three below are implemented.
    const OUTBOX: bool = false;

    /// The outbox of a pool's database.
    fn table(_pool: &Pool<Self>) -> Option<Arc<dyn Table>> {
        None
    }

    /// As [`standing`](Self::standing), and leaves a row if the labelled transaction stands; in one round trip where that can be.
    fn standing_leaving(
        connection: &mut Self::Connection,
        label: &Label,
        _row: &Row,
    ) -> impl Future<Output = sqlx::Result<(Standing, Option<Left>)>> + Send {
        async { Self::standing(connection, label).await.map(|standing| (standing, None)) }
    }

    /// Leaves a row that says that the store could not be reached; `left` stands already and does not say so. False where that cannot be.
    fn leave(
        _connection: &mut Self::Connection,
        _row: &Row,
        _left: Option<&Left>,
    ) -> impl Future<Output = sqlx::Result<bool>> + Send {
        std::future::ready(Ok(false))
    }

    /// Whether a COMMIT that failed like this has certainly changed nothing, now and later.
    fn is_undone(error: &sqlx::Error) -> bool;

    /// Whether a transaction in which nothing was recorded can be committed; asks only where COMMIT would do harm if not.
    fn is_open(connection: &mut Self::Connection) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// Rolls back, and leaves a connection that can begin again even if there was nothing to roll back.
    fn roll_back(transaction: Transaction<'_, Self>) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Rolls back a transaction that nobody waits for.
    fn drop_unfinished(transaction: Transaction<'static, Self>);

    /// Lets readers ask through this pool how far the journals of queues are applied, where this database has queues.
    fn knows_queues(_cache: &Cache, _pool: &Pool<Self>) {}

    /// The healer that asks through this pool.
    fn healer(pool: &Pool<Self>) -> Arc<dyn Healer>;
}
