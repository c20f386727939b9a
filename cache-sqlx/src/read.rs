//! Where reads may come from, and which errors leave a write undecided.

use cache_core::error::{BatchError, LoadTimeout, WriteError, WriteErrorKind};
use cache_core::output::FromBatchError;
use cache_core::scope::{FromLoadTimeout, FromWriteError, ReadSource};
#[cfg(all(feature = "mysql", not(any(feature = "postgres", feature = "sqlite"))))]
use sqlx::MySql as Usual;
#[cfg(feature = "postgres")]
use sqlx::Postgres as Usual;
#[cfg(all(feature = "sqlite", not(feature = "postgres")))]
use sqlx::Sqlite as Usual;
use sqlx::pool::PoolConnection;
use sqlx::{Pool, Transaction};

use crate::TxError;
use crate::backend::Backend;
use crate::transaction::CacheTx;

/// Marks this crate's implementations for types of sqlx; users never write it.
#[derive(Debug)]
pub enum Sqlx {}

/// What a cached function may read from (`on = db`): an sqlx executor that knows whether it is inside a transaction.
///
/// From a pool a read is cached. From a transaction or a connection it is neither served from the cache nor put into it.
pub trait ReadFrom<'c, DB: sqlx::Database = Usual>:
    sqlx::Executor<'c, Database = DB> + ReadSource<Sqlx>
{
}

impl<'c, DB, S> ReadFrom<'c, DB> for S
where
    DB: sqlx::Database,
    S: sqlx::Executor<'c, Database = DB> + ReadSource<Sqlx>,
{
}

impl<DB: sqlx::Database> ReadSource<Sqlx> for Pool<DB> {
    fn inside_transaction(&self) -> bool {
        false
    }
}

impl<DB: sqlx::Database> ReadSource<Sqlx> for &Pool<DB> {
    fn inside_transaction(&self) -> bool {
        false
    }
}

impl<DB: Backend> ReadSource<Sqlx> for &mut CacheTx<'_, DB> {
    fn inside_transaction(&self) -> bool {
        true
    }
}

impl<DB: sqlx::Database> ReadSource<Sqlx> for &mut Transaction<'_, DB> {
    fn inside_transaction(&self) -> bool {
        true
    }
}

/// sqlx counts the transactions it began itself and cannot see a `BEGIN` sent as a statement, so a connection always counts
/// as being inside one.
impl<DB: sqlx::Database> ReadSource<Sqlx> for &mut PoolConnection<DB> {
    fn inside_transaction(&self) -> bool {
        true
    }
}

impl FromBatchError<Sqlx> for sqlx::Error {
    fn from_batch_error(error: BatchError) -> Self {
        Self::Decode(error.into())
    }
}

impl FromWriteError<Sqlx> for sqlx::Error {
    fn from_write_error(error: WriteError) -> Self {
        match error.kind() {
            WriteErrorKind::Unclear => TxError::Unclear(error).into(),
            _ => TxError::Unfenced(error).into(),
        }
    }

    /// True only where nothing of the write can become visible later. An answer that does not decode proves nothing: the
    /// rows of `UPDATE … RETURNING` reach the client before the statement commits.
    fn settled(&self) -> bool {
        match self {
            Self::Database(error) => match error.try_downcast_ref::<TxError>() {
                Some(error) => error.was_made().is_some(),
                None => crate::mysql::is_final(&**error)
                    .unwrap_or_else(|| is_final(&error.code().unwrap_or_default())),
            },
            Self::RowNotFound | Self::PoolTimedOut | Self::PoolClosed => true,
            _ => false,
        }
    }
}

impl FromLoadTimeout<Sqlx> for sqlx::Error {
    fn from_load_timeout(error: LoadTimeout) -> Self {
        Self::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, error))
    }
}

/// Whether a server that reports this code has finished the statement. Not so where it says that the connection, the server
/// or its disk is failing: SQLSTATE classes 08, 57P, 58, XX, 40003 (completion unknown), and SQLite's I/O errors (10 in the low byte).
pub(crate) fn is_final(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(sqlite) if code.len() < 5 => sqlite & 0xff != 10,
        _ => !["08", "40003", "57P", "58", "XX"].iter().any(|class| code.starts_with(class)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_a_finished_statement_are_final() {
        for code in ["23505", "40001", "57014", "42601", "5", "19", "2067"] {
            assert!(is_final(code), "{code}");
        }
        for code in ["08006", "40003", "57P01", "57P02", "58030", "XX000", "10", "266", "778"] {
            assert!(!is_final(code), "{code}");
        }
    }

    #[test]
    fn an_undecodable_answer_leaves_the_write_undecided() {
        assert!(!FromWriteError::<Sqlx>::settled(&sqlx::Error::Decode("nonsense".into())));
        assert!(!FromWriteError::<Sqlx>::settled(&sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into())));
        assert!(FromWriteError::<Sqlx>::settled(&sqlx::Error::RowNotFound));
        assert!(FromWriteError::<Sqlx>::settled(&sqlx::Error::PoolTimedOut));
    }
}
