//! A transaction without a database: it records what it would have marked, and fences nothing.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::error::WriteError;
use cache_core::scope::{OpenScope, ReadSource, Recording, Uncovered};
use cache_core::{Cache, WriteScope};

/// What one transaction ended with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Names of the subjects.
    pub subjects: Vec<String>,
    /// Names of the entries to install.
    pub puts: Vec<String>,
}

/// All transactions that were committed.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Vec<Committed>>>);

impl Ledger {
    /// What was committed so far.
    #[must_use]
    pub fn committed(&self) -> Vec<Committed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Why a transaction failed.
#[derive(Debug)]
pub enum Failure {
    /// The body said so.
    Body(&'static str),
    /// A result was owed.
    Uncovered(Uncovered),
    /// The fence could not be set or lifted.
    Fence(WriteError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(text) => f.write_str(text),
            Self::Uncovered(error) => error.fmt(f),
            Self::Fence(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Uncovered> for Failure {
    fn from(error: Uncovered) -> Self {
        Self::Uncovered(error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::Fence(error)
    }
}

impl From<std::num::ParseIntError> for Failure {
    fn from(_: std::num::ParseIntError) -> Self {
        Self::Body("no number")
    }
}

/// What transactions are opened from.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Where they are committed.
    pub ledger: Ledger,
}

/// A transaction.
#[derive(Debug)]
pub struct PgTx<'c> {
    recording: Recording,
    ledger: Ledger,
    borrowed: PhantomData<&'c ()>,
}

impl PgTx<'_> {
    /// Runs a statement.
    pub async fn execute(&mut self, statement: &str) -> usize {
        self.recording.used();
        give_way().await;
        statement.len()
    }

    /// Commits what was recorded.
    ///
    /// # Errors
    /// A write whose result was owed.
    pub async fn commit(self) -> Result<(), Uncovered> {
        let writes = self.recording.finish()?;
        let committed = Committed {
            subjects: writes.subjects.iter().map(ToString::to_string).collect(),
            puts: writes.puts.iter().map(|put| put.key.subject.to_string()).collect(),
        };
        self.ledger.0.lock().unwrap_or_else(PoisonError::into_inner).push(committed);
        Ok(())
    }
}

/// Gives way once, so that bodies are really suspended.
pub(crate) async fn give_way() {
    let mut polled = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut polled, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

impl Ledger {
    /// Begins a transaction over a cache's namespace.
    #[must_use]
    pub fn begin(&self, cache: &Cache) -> PgTx<'static> {
        PgTx { recording: cache.recording(), ledger: self.clone(), borrowed: PhantomData }
    }
}

impl WriteScope for PgTx<'_> {
    fn recording(&mut self) -> Recording {
        self.recording.for_body()
    }
}

impl OpenScope<Cache, Pool> for PgTx<'static> {
    type Error = Uncovered;

    async fn open(cache: &Cache, source: &Pool) -> Result<Self, Uncovered> {
        Ok(source.ledger.begin(cache))
    }

    async fn close(self) -> Result<(), Uncovered> {
        self.commit().await
    }
}

/// Marker of this crate's sources.
#[derive(Debug)]
pub enum Off {}

impl ReadSource<Off> for &Pool {
    fn inside_transaction(&self) -> bool {
        false
    }
}

impl ReadSource<Off> for &mut PgTx<'_> {
    fn inside_transaction(&self) -> bool {
        true
    }
}
