//! sqlx transactions whose changes are invalidated when they commit, whatever crashes in between.
//!
//! Import `cache_core` for the handle and the attributes, and this crate for transactions:
//!
//! ```no_run
//! # async fn demo(cache: cache_core::Cache, pool: sqlx::PgPool) -> sqlx::Result<()> {
//! let mut tx = cache_sqlx::begin(&cache, &pool).await?;
//! sqlx::query("UPDATE users SET name = 'Ada' WHERE id = 42").execute(&mut *tx).await?;
//! tx.commit().await
//! # }
//! ```
//!
//! A [`CacheTx`] dereferences to its connection, so sqlx code is unchanged. What attributes record in it (`within = tx`) is
//! fenced before COMMIT and cleared after it: see [`CacheTx::commit`]. A process that dies in between leaves the fence, and
//! the next reader asks the database whether that transaction is finished: see [`heal`].

mod backend;
#[cfg(feature = "postgres")]
mod bulk;
mod commit;
mod error;
mod executor;
mod pool;
mod read;
mod transaction;

#[cfg(feature = "postgres")]
mod counter;
#[cfg(feature = "postgres")]
mod migrate;
#[cfg_attr(not(feature = "mysql"), path = "no_mysql.rs")]
mod mysql;
#[cfg(feature = "postgres")]
mod outbox;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod queue;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use backend::Backend;
#[cfg(feature = "postgres")]
pub use bulk::{Bulk, bulk};
#[cfg(feature = "postgres")]
pub use counter::{Counter, CounterBuilder, FlushNumbers};
pub use error::TxError;
#[cfg(feature = "postgres")]
pub use migrate::migrate;
#[cfg(feature = "mysql")]
pub use mysql::{MySqlHealer, MySqlTx, migrate_mysql};
#[cfg(feature = "postgres")]
pub use outbox::{Relay, RelayBuilder, RelayStats};
pub use pool::heal;
#[cfg(feature = "postgres")]
pub use postgres::{PgHealer, PgTx};
#[cfg(feature = "postgres")]
pub use queue::{DeadLetter, Flush, Queue, QueueBuilder, QueueError, QueueErrorKind, QueueStats, Write};
pub use read::{ReadFrom, Sqlx};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteHealer, SqliteTx};
pub use transaction::{CacheTx, begin, begin_with};

#[cfg(not(any(feature = "postgres", feature = "sqlite", feature = "mysql")))]
compile_error!("cache-sqlx needs one of the features `postgres`, `sqlite` and `mysql`");
