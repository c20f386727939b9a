//! MySQL and MariaDB: a transaction leaves a row in a table of outcomes before it is fenced, and the lock on that row tells
//! whoever meets the fence whether the transaction has ended. Refuses sessions that leave transactions open of their own accord.

mod heal;
mod migrate;
mod outcome;
mod sql;
mod sweep;

use std::sync::Arc;

use cache_core::commit::{Standing, Unnamed};
use cache_core::heal::Healer;
pub use heal::MySqlHealer;
pub use migrate::migrate_mysql;
use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlConnection, MySqlDatabaseError};
use sqlx::{AssertSqlSafe, MySql, MySqlPool, Row, SqlSafeStr, SqlStr, Transaction};

use self::outcome::{MySqlOrigin, Outcome};
use crate::backend::{Engine, Label};

/// A cache-aware transaction on MySQL or MariaDB.
pub type MySqlTx<'c> = crate::CacheTx<'c, MySql>;

crate::executor::executor!(MySql, MySqlConnection);

impl Engine for MySql {
    fn opening(statement: Option<SqlStr>, label: &Label) -> SqlStr {
        let begin = statement.as_ref().map_or("BEGIN", SqlStr::as_str);
        // A savepoint lasts as long as this transaction, which many statements commit and some errors roll back: then what follows
        // commits by itself, or in another one that the server has begun unasked.
        AssertSqlSafe(format!("{begin}\n; SAVEPOINT cache_sqlx_{}", label.number)).into_sql_str()
    }

    fn home(_: &MySqlPool) -> Option<String> {
        None
    }

    async fn standing(connection: &mut MySqlConnection, label: &Label) -> sqlx::Result<Standing> {
        let outcome = Outcome::of(label);
        let asked = match sqlx::raw_sql(sql::standing(label, outcome)).fetch_one(connection).await {
            Err(error) if number(&error) == Some(NO_SUCH_SAVEPOINT) => return Ok(Standing::Ended),
            other => other?,
        };
        let (server, is_plain): (String, bool) = (asked.try_get(0)?, asked.try_get(1)?);
        if !is_plain {
            return Err(refused(
                "the session has autocommit off or completion_type set to CHAIN, so connections keep a transaction open whose reads grow old: set autocommit = 1 and completion_type = NO_CHAIN",
            ));
        }
        if outcome::retired(asked.try_get(2)?).contains(&server) {
            return Err(refused(
                "this server stands in the table cache_retired, as one that commits nothing any more: delete its row there",
            ));
        }
        let origin = MySqlOrigin::new(&server, outcome)
            .ok_or_else(|| refused("the server's name is not 32 hexadecimal digits"))?;
        Ok(Standing::Open(origin.to_origin()))
    }

    fn unnamed(error: sqlx::Error) -> Unnamed<sqlx::Error> {
        match number(&error) {
            Some(DEADLOCK | LOCK_WAIT_TIMEOUT | CHANGED_SINCE) => Unnamed::Conflict(error),
            Some(_) => Unnamed::Refused(error),
            None if matches!(error, sqlx::Error::Configuration(_)) => Unnamed::Refused(error),
            None => Unnamed::Failed(error),
        }
    }

    /// With these the server has rolled back what was to be committed: a conflict that only the commit could find (Galera, Group
    /// Replication), a lock that it did not get, or a server that has become read-only.
    fn is_undone(error: &sqlx::Error) -> bool {
        matches!(
            number(error),
            Some(DEADLOCK | LOCK_WAIT_TIMEOUT | PREVENTED_BY_OPTION | ROLLED_BACK_BY_PLUGIN)
        )
    }

    /// A COMMIT outside a transaction does nothing.
    async fn is_open(_: &mut MySqlConnection) -> sqlx::Result<bool> {
        Ok(true)
    }

    async fn roll_back(transaction: Transaction<'_, Self>) -> sqlx::Result<()> {
        transaction.rollback().await
    }

    fn drop_unfinished(transaction: Transaction<'static, Self>) {
        drop(transaction);
    }

    fn healer(pool: &MySqlPool) -> Arc<dyn Healer> {
        Arc::new(MySqlHealer::new(pool.clone()))
    }
}

const CHANGED_SINCE: u16 = 1020;
const LOCK_WAIT_TIMEOUT: u16 = 1205;
const DEADLOCK: u16 = 1213;
const PREVENTED_BY_OPTION: u16 = 1290;
const NO_SUCH_SAVEPOINT: u16 = 1305;
const ROLLED_BACK_BY_PLUGIN: u16 = 3101;
/// MySQL's word for a lock that cannot be had at once; MariaDB says [`LOCK_WAIT_TIMEOUT`].
const NOT_NOW: u16 = 3572;

/// The server's own number of an error; many share one SQLSTATE.
fn number(error: &sqlx::Error) -> Option<u16> {
    Some(error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?.number())
}

/// Whether the server has finished the statement that it answers like this; `None` for an error of another database.
pub(crate) fn is_final(error: &dyn DatabaseError) -> Option<bool> {
    let error = error.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(ends_statement(error.number(), error.code().unwrap_or_default()))
}

/// Many errors of a failing server or connection share their SQLSTATE with harmless ones, so of those the harmless are named.
fn ends_statement(number: u16, sqlstate: &str) -> bool {
    const CLASSES: [&str; 8] = ["0A", "21", "22", "23", "40", "42", "44", "45"];
    const MISSING_DEFAULT: u16 = 1364;
    const WRONG_VALUE: u16 = 1366;
    const CHECK_VIOLATED: u16 = 3819;
    let is_harmless = matches!(
        number,
        CHANGED_SINCE
            | LOCK_WAIT_TIMEOUT
            | PREVENTED_BY_OPTION
            | MISSING_DEFAULT
            | WRONG_VALUE
            | CHECK_VIOLATED
            | NOT_NOW
    );
    is_harmless || CLASSES.iter().any(|class| sqlstate.starts_with(class))
}

fn refused(why: &'static str) -> sqlx::Error {
    sqlx::Error::Configuration(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_a_finished_statement_are_final() {
        for (number, sqlstate) in [
            (1062, "23000"),
            (1213, "40001"),
            (1205, "HY000"),
            (1146, "42S02"),
            (1364, "HY000"),
            (1644, "45000"),
        ] {
            assert!(ends_statement(number, sqlstate), "{number}");
        }
        // Shutting down, killed, interrupted, failed in the middle of a COMMIT, a full disk, a lost connection.
        for (number, sqlstate) in [
            (1053, "08S01"),
            (1927, "70100"),
            (1317, "70100"),
            (1180, "HY000"),
            (1026, "HY000"),
            (1158, "08S01"),
        ] {
            assert!(!ends_statement(number, sqlstate), "{number}");
        }
    }
}
