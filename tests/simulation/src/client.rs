//! The database as an instance holds it: statements become messages, and a transaction ends by cache-core's own protocol.
//! Refuses to know when anything arrives.

use std::fmt;
use std::sync::Arc;

use cache_core::commit::{self, CommitError, OpenTransaction, Standing, Uncommitted, Unnamed};
use cache_core::error::{LoadTimeout, WriteError};
use cache_core::heal::Healer;
use cache_core::scope::{Nest, OpenScope, Recording};
use cache_core::store::{BoxFuture, Fence, Origin};
use cache_core::subject::WriterId;
use cache_core::{Cache, StoreError, WriteScope};

use crate::database::{Version, Xid};
use crate::wire::{Cargo, Says, Sql, SqlError, SqlSays};
use crate::world::{Acting, World};

/// Why a read or a write failed.
#[derive(Debug)]
pub enum Failure {
    /// The database said so.
    Sql(SqlError),
    /// The write's fence could not be set or lifted.
    Write(WriteError),
    /// The transaction did not end well.
    Commit(CommitError<SqlError>),
    /// The write gave up by itself.
    GivenUp,
    /// The namespace is not known to be cleared.
    Uncleared(StoreError),
    /// The read took longer than its hard timeout.
    Late(LoadTimeout),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
            Self::Commit(error) => error.fmt(f),
            Self::GivenUp => f.write_str("given up"),
            Self::Uncleared(error) => error.fmt(f),
            Self::Late(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "the session was lost",
            Self::Gone => "the transaction is over",
            Self::Refused => "the database refused the COMMIT",
            Self::Busy => "the database is too busy to answer",
        })
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Uncleared(error)
    }
}

impl From<LoadTimeout> for Failure {
    fn from(error: LoadTimeout) -> Self {
        Self::Late(error)
    }
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

/// One process's way to the database.
#[derive(Clone)]
pub struct Db {
    pub world: Arc<World>,
    pub process: usize,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Db {
    async fn ask(&self, sql: Sql) -> Result<SqlSays, SqlError> {
        match self.world.ask(self.process, Cargo::Sql(sql)).await {
            Says::Sql(says) => says,
            Says::Store(_) => unreachable!("the database was asked"),
        }
    }

    /// What these rows hold.
    pub async fn read(&self, rows: Vec<usize>) -> Result<Vec<Version>, SqlError> {
        match self.ask(Sql::Read(rows)).await? {
            SqlSays::Versions(versions) => Ok(versions),
            _ => unreachable!("a statement is answered in its own kind"),
        }
    }

    /// Writes a row in a transaction of its own.
    pub async fn write_alone(&self, row: usize) -> Result<Version, SqlError> {
        match self.ask(Sql::WriteAlone(row)).await? {
            SqlSays::Wrote(version) => Ok(version),
            _ => unreachable!("a statement is answered in its own kind"),
        }
    }
}

/// A transaction that remembers what it changes.
#[derive(Debug)]
pub struct SimTx {
    cache: Cache,
    db: Db,
    recording: Recording,
    xid: Xid,
    is_over: bool,
}

/// A savepoint that is open.
#[derive(Debug)]
pub struct Savepoint(Nest);

impl SimTx {
    /// Writes a row.
    pub async fn write(&mut self, row: usize) -> Result<Version, SqlError> {
        match self.ask(Sql::Write(self.xid, row)).await? {
            SqlSays::Wrote(version) => Ok(version),
            _ => unreachable!("a statement is answered in its own kind"),
        }
    }

    async fn ask(&mut self, sql: Sql) -> Result<SqlSays, SqlError> {
        self.recording.used();
        self.db.ask(sql).await
    }

    /// Sets a savepoint.
    pub async fn savepoint(&mut self) -> Result<Savepoint, SqlError> {
        self.ask(Sql::Savepoint(self.xid)).await?;
        Ok(Savepoint(self.recording.nest()))
    }

    /// Keeps what was done since.
    pub async fn release(&mut self, savepoint: Savepoint) -> Result<(), SqlError> {
        let Savepoint(mut nest) = savepoint;
        nest.releasing();
        self.ask(Sql::Release(self.xid)).await?;
        nest.released();
        Ok(())
    }

    /// Undoes what was done since.
    pub async fn roll_back_to(&mut self, savepoint: Savepoint) -> Result<(), SqlError> {
        let result = self.ask(Sql::RollBackTo(self.xid)).await;
        drop(savepoint);
        result.map(drop)
    }

    /// Commits by the real protocol, in a task that goes on if the caller does not.
    pub async fn commit(mut self) -> Result<(), Failure> {
        self.is_over = true;
        self.recording.commits();
        let root = Root { db: self.db.clone(), xid: self.xid };
        let end = commit::run(root, self.cache.clone(), self.recording.clone());
        let (world, op) = (self.db.world.clone(), self.db.world.lock().acting.unwrap_or_default());
        let noticed = world.clone();
        let ended = tokio::spawn(Acting {
            world,
            op,
            future: Box::pin(async move {
                let ended = end.await;
                if matches!(ended, Err(CommitError::CommitUnknown(_))) {
                    let mut state = noticed.lock();
                    state.counts.unknown_commits += 1;
                    state.facts.writes.entry(op).or_default().forsaken = true;
                }
                ended
            }),
        });
        ended.await.expect("the protocol does not panic").map_err(Failure::Commit)
    }
}

impl Drop for SimTx {
    fn drop(&mut self) {
        if !self.is_over {
            self.db.world.tell(self.db.process, Cargo::Sql(Sql::RollBack(self.xid)));
        }
    }
}

impl WriteScope for SimTx {
    fn recording(&mut self) -> Recording {
        self.recording.for_body()
    }
}

impl OpenScope<Cache, Db> for SimTx {
    type Error = Failure;

    async fn open(cache: &Cache, db: &Db) -> Result<Self, Failure> {
        match db.ask(Sql::Begin).await? {
            SqlSays::Begun(xid) => Ok(Self {
                cache: cache.clone(),
                db: db.clone(),
                recording: cache.recording(),
                xid,
                is_over: false,
            }),
            _ => unreachable!("a statement is answered in its own kind"),
        }
    }

    async fn close(self) -> Result<(), Failure> {
        self.commit().await
    }
}

/// A transaction at its end.
struct Root {
    db: Db,
    xid: Xid,
}

impl OpenTransaction for Root {
    type Error = SqlError;

    async fn standing(&mut self) -> Result<Standing, Unnamed<SqlError>> {
        match self.db.ask(Sql::Identify(self.xid)).await {
            Ok(SqlSays::Open(true)) => Ok(Standing::Open(origin(self.xid))),
            Ok(_) => Err(Unnamed::Failed(SqlError::Gone)),
            Err(error) => Err(Unnamed::Failed(error)),
        }
    }

    async fn commit(self) -> Result<(), Uncommitted<SqlError>> {
        match self.db.ask(Sql::Commit(self.xid)).await {
            Ok(_) => Ok(()),
            Err(SqlError::Refused) => Err(Uncommitted::Undone(SqlError::Refused)),
            Err(error) => Err(Uncommitted::Unknown(error)),
        }
    }

    async fn roll_back(self) -> Result<(), SqlError> {
        self.db.ask(Sql::RollBack(self.xid)).await.map(drop)
    }
}

fn origin(xid: Xid) -> Origin {
    Origin::new(&format!("sim:{xid}")).expect("a number and a colon are printable")
}

/// The transaction that an origin names.
pub fn xid_of(origin: &Origin) -> Option<Xid> {
    origin.as_str().strip_prefix("sim:")?.parse().ok()
}

/// Asks the database which writers are finished.
#[derive(Debug)]
pub struct SimHealer(pub Db);

impl Healer for SimHealer {
    fn name(&self) -> &str {
        "sim"
    }

    fn knows(&self, fence: &Fence) -> bool {
        xid_of(&fence.origin).is_some()
    }

    fn finished<'a>(&'a self, fences: &'a [Fence]) -> BoxFuture<'a, Vec<WriterId>> {
        Box::pin(async move {
            let asked = fences.iter().filter_map(|fence| Some((xid_of(&fence.origin)?, fence.writer)));
            match self.0.ask(Sql::Finished(asked.collect())).await {
                Ok(SqlSays::Finished(writers)) => writers,
                _ => Vec::new(),
            }
        })
    }
}
