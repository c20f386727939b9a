//! The cache-aware transaction. Refuses to lose what was recorded: a savepoint that is rolled back keeps its subjects, and
//! no end of a transaction, not even a dropped future, leaves a committed change unmarked.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cache_core::Cache;
use cache_core::commit::Standing;
use cache_core::outbox::Table;
use cache_core::scope::{Cover, Nest, OpenScope, Recording, WriteScope};
use sqlx::{Connection, Database, Pool, SqlSafeStr, SqlStr, Transaction};
use tracing::Instrument;

use crate::backend::{Backend, Label};
use crate::{TxError, commit};

/// A transaction, or a savepoint in one, that remembers which cached values its statements change.
///
/// It dereferences to the connection: `sqlx::query(…).execute(&mut *tx)`, or `&mut tx` where sqlx wants an `Executor`.
/// Dropped without [`commit`](Self::commit), it is rolled back.
pub struct CacheTx<'c, DB: Backend> {
    held: Held<'c, DB>,
    recording: Recording,
    cache: Cache,
    over: Over,
}

/// Whether a savepoint failed or was cancelled while it was being set, or is being set; shared by a transaction and its
/// savepoints. sqlx then rolls back a level or two and counts them as ended, so that what was a savepoint may pass for the
/// transaction itself: its release would be a COMMIT.
#[derive(Clone, Default)]
struct Over(Arc<AtomicBool>);

enum Held<'c, DB: Backend> {
    Owned(Owned<DB>, Label),
    Borrowed(Transaction<'c, DB>, Label),
    Nested(Transaction<'c, DB>, Nest),
}

/// Begins a transaction on a connection of the pool, and lets the cache heal fences through that pool from now on.
///
/// Dropping the future is safe at any point: the connection never returns to the pool inside a transaction.
///
/// # Errors
/// Those of [`Pool::begin`].
pub async fn begin<DB: Backend>(cache: &Cache, pool: &Pool<DB>) -> sqlx::Result<CacheTx<'static, DB>> {
    open(cache, pool, None).await
}

/// Begins a transaction with a statement of its own, such as `BEGIN ISOLATION LEVEL SERIALIZABLE` or `BEGIN IMMEDIATE`.
///
/// # Errors
/// Those of [`Pool::begin_with`].
pub async fn begin_with<DB: Backend>(
    cache: &Cache,
    pool: &Pool<DB>,
    statement: impl SqlSafeStr,
) -> sqlx::Result<CacheTx<'static, DB>> {
    open(cache, pool, Some(statement.into_sql_str())).await
}

async fn open<DB: Backend>(
    cache: &Cache,
    pool: &Pool<DB>,
    statement: Option<SqlStr>,
) -> sqlx::Result<CacheTx<'static, DB>> {
    cache.heal_with(DB::healer(pool));
    let table = cache.has_outbox().then(|| DB::table(pool)).flatten();
    table.iter().for_each(|table| cache.outbox_in(table.clone()));
    let label = next_label(DB::home(pool), table);
    let statement = DB::opening(statement, &label);
    let pool = pool.clone();
    // A cancelled `Pool::begin` may return a connection that is inside a transaction (sqlx issue 4393); this one is never
    // cancelled, and a transaction nobody takes is rolled back when the task drops it.
    let transaction = detached(async move { pool.begin_with(statement).await }).await?;
    let held = Held::Owned(Owned(Some(transaction)), label);
    Ok(CacheTx { held, recording: cache.recording(), cache: cache.clone(), over: Over::default() })
}

pub(crate) fn next_label(home: Option<String>, table: Option<Arc<dyn Table>>) -> Label {
    static LAST: AtomicU64 = AtomicU64::new(0);
    Label { number: LAST.fetch_add(1, Ordering::Relaxed), home, table }
}

/// Runs to its end even if the caller stops waiting.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = sqlx::Result<T>> + Send + 'static,
) -> sqlx::Result<T> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // Only the end of the runtime cancels the task, and with it whoever waits here.
        Err(_) => Err(sqlx::Error::WorkerCrashed),
    }
}

impl<'c, DB: Backend> CacheTx<'c, DB> {
    /// Begins a transaction on a connection that stays the caller's: `PgTx::on(&cache, &mut connection)`.
    ///
    /// Its commit runs in the caller's task: a future dropped between fence and answer leaves the fence for the next
    /// reader to heal. Prefer [`begin`] on a pool.
    ///
    /// # Errors
    /// Those of [`Connection::begin_with`]; a connection that is inside a transaction is refused, because the outer one
    /// would decide about the commit.
    pub async fn on(cache: &Cache, connection: &'c mut DB::Connection) -> sqlx::Result<Self> {
        let label = next_label(None, None);
        let transaction = connection.begin_with(DB::opening(None, &label)).await?;
        Ok(Self {
            held: Held::Borrowed(transaction, label),
            recording: cache.recording(),
            cache: cache.clone(),
            over: Over::default(),
        })
    }

    /// Sets a savepoint. What is recorded in it belongs to this transaction once it is committed; rolled back or dropped,
    /// its changes are undone, while its subjects stay (invalidating too much is safe).
    ///
    /// # Errors
    /// Those of [`Connection::begin`]. If it fails or is cancelled, the transaction is over, with all its savepoints: none of
    /// them can be committed.
    pub async fn begin(&mut self) -> sqlx::Result<CacheTx<'_, DB>> {
        let (recording, cache, over) = (self.recording.clone(), self.cache.clone(), self.over.clone());
        let transaction = self.savepoint().await?;
        let nest = recording.nest();
        Ok(CacheTx { held: Held::Nested(transaction, nest), recording, cache, over })
    }

    /// The same, where what `cover` names is fenced already.
    pub(crate) fn under(self, cover: &Cover) -> Self {
        Self { recording: self.recording.clone().under(cover), ..self }
    }

    /// Whether it stands, and how others ask about it.
    pub(crate) async fn standing(&mut self) -> sqlx::Result<Standing> {
        let (Held::Owned(_, label) | Held::Borrowed(_, label)) = &self.held else {
            return Ok(Standing::Ended);
        };
        let label = label.clone();
        DB::standing(self.connection(), &label).await
    }

    /// The connection, for one statement.
    pub(crate) fn for_statement(&mut self) -> &mut DB::Connection {
        self.recording.used();
        self.connection()
    }

    fn connection(&mut self) -> &mut DB::Connection {
        match &mut self.held {
            Held::Owned(transaction, _) => transaction.0.as_mut().expect(TAKEN),
            Held::Borrowed(transaction, _) | Held::Nested(transaction, _) => transaction,
        }
    }

    /// A savepoint of sqlx's.
    pub(crate) async fn savepoint(&mut self) -> sqlx::Result<Transaction<'_, DB>> {
        let over = self.over.clone();
        let was_over = over.0.swap(true, Ordering::Relaxed);
        let transaction = Connection::begin(&mut **self).await?;
        over.0.store(was_over, Ordering::Relaxed);
        Ok(transaction)
    }

    /// Commits, and returns when every read that begins now sees the change.
    ///
    /// With something recorded: asks for the transaction's identity, fences what it changes, commits, and clears. This runs
    /// to its end even if the future is dropped (but see [`CacheTx::on`]). A savepoint is released, nothing more.
    ///
    /// # Errors
    /// [`TxError`](crate::TxError), found by [`TxError::of`](crate::TxError::of), or the database's own error where it
    /// refuses the commit; then the transaction is rolled back.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.recording.commits();
        match self.held {
            Held::Owned(transaction, label) => {
                let transaction = transaction.take();
                detached(commit::run(transaction, self.cache, self.recording, label)).await
            }
            Held::Borrowed(transaction, label) => {
                commit::run(transaction, self.cache, self.recording, label).await
            }
            // Dropped, it is rolled back.
            Held::Nested(..) if self.over.0.load(Ordering::Relaxed) => Err(TxError::CommittedOutside.into()),
            Held::Nested(transaction, mut nest) => {
                nest.releasing();
                transaction.commit().await?;
                nest.released();
                Ok(())
            }
        }
    }

    /// Undoes the statements of this transaction or savepoint.
    ///
    /// # Errors
    /// Those of [`Transaction::rollback`]; the statements are undone all the same.
    pub async fn rollback(self) -> sqlx::Result<()> {
        match self.held {
            Held::Owned(transaction, _) => DB::roll_back(transaction.take()).await,
            Held::Borrowed(transaction, _) => DB::roll_back(transaction).await,
            Held::Nested(transaction, nest) => {
                let result = transaction.rollback().await;
                drop(nest);
                result
            }
        }
    }

    /// The cache this transaction invalidates.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}

/// A root transaction on a pool's connection.
struct Owned<DB: Backend>(Option<Transaction<'static, DB>>);

const TAKEN: &str = "the transaction is taken only by what consumes its CacheTx";

impl<DB: Backend> Owned<DB> {
    fn take(mut self) -> Transaction<'static, DB> {
        self.0.take().expect(TAKEN)
    }
}

impl<DB: Backend> Drop for Owned<DB> {
    fn drop(&mut self) {
        if let Some(transaction) = self.0.take() {
            DB::drop_unfinished(transaction);
        }
    }
}

impl<DB: Backend> Deref for CacheTx<'_, DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        match &self.held {
            Held::Owned(transaction, _) => transaction.0.as_ref().expect(TAKEN),
            Held::Borrowed(transaction, _) | Held::Nested(transaction, _) => transaction,
        }
    }
}

impl<DB: Backend> DerefMut for CacheTx<'_, DB> {
    /// Counts as many uses of the connection: values recorded to be installed at the commit are no longer certain, nor is the
    /// one that is returned next. As an executor ([`sqlx::Executor`] for `&mut CacheTx`) a transaction counts its statements.
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.recording.handed_out();
        self.connection()
    }
}

impl<DB: Backend> AsMut<DB::Connection> for CacheTx<'_, DB> {
    fn as_mut(&mut self) -> &mut DB::Connection {
        self
    }
}

impl<DB: Backend> AsRef<Cache> for CacheTx<'_, DB> {
    fn as_ref(&self) -> &Cache {
        &self.cache
    }
}

impl<DB: Backend> fmt::Debug for CacheTx<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheTx")
            .field("database", &<DB as Database>::NAME)
            .field("recording", &self.recording)
            .finish_non_exhaustive()
    }
}

impl<DB: Backend> WriteScope for CacheTx<'_, DB> {
    fn recording(&mut self) -> Recording {
        self.recording.for_body()
    }
}

impl<DB: Backend> OpenScope<Cache, Pool<DB>> for CacheTx<'static, DB> {
    type Error = sqlx::Error;

    async fn open(cache: &Cache, source: &Pool<DB>) -> sqlx::Result<Self> {
        begin(cache, source).await
    }

    async fn close(self) -> sqlx::Result<()> {
        self.commit().await
    }
}
