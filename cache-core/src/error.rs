//! The errors of this crate: a kind for programs, a source for people. Refuses to leak a client library's type.

mod journal;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

pub use journal::{JournalError, JournalErrorKind};

/// Why a store could not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// No usable connection, or the breaker is open: the command was not sent.
    Unavailable,
    /// The deadline passed; the command may or may not have been carried out.
    TimedOut,
    /// The connection broke, or the server moved or changed its dataset; the command may or may not have been carried out.
    Disconnected,
    /// The server answered with an error.
    Rejected,
}

/// A store failed; reads are then served by the loader, writes that cannot be fenced are refused.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Box<dyn StdError + Send + Sync>,
}

impl StoreError {
    /// An error of this kind, with its cause in words or as an error.
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, source: source.into() }
    }

    /// What happened, for programs.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StoreErrorKind::Unavailable => "the store is unavailable",
            StoreErrorKind::TimedOut => "the store did not answer in time",
            StoreErrorKind::Disconnected => "the connection to the store broke",
            StoreErrorKind::Rejected => "the store rejected the command",
        };
        write!(f, "{what}: {}", self.source)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

/// Why a covered write did not end as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WriteErrorKind {
    /// The fence could not be set, so the write was not made.
    Unfenced,
    /// A write that was queued earlier on something it changes has not reached the database yet, so the write was not made; it
    /// can be once that has.
    Queued,
    /// The write was made, but the store has not confirmed yet that stale entries are gone; a background task goes on trying.
    Unclear,
}

/// A covered write could not keep its promise; says whether the change was made.
#[derive(Debug)]
pub struct WriteError {
    kind: WriteErrorKind,
    source: Option<StoreError>,
}

impl WriteError {
    /// An error of this kind with the store's own.
    #[must_use]
    pub fn new(kind: WriteErrorKind, source: Option<StoreError>) -> Self {
        Self { kind, source }
    }

    /// What happened, for programs.
    #[must_use]
    pub fn kind(&self) -> WriteErrorKind {
        self.kind
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            WriteErrorKind::Unfenced => {
                "the write was not made: its cache entries could not be fenced, so readers might have kept the old value"
            }
            WriteErrorKind::Queued => {
                "the write was not made: an earlier write to the same thing is still queued and would undo it; try again once the queue is flushed (with `within`, before the transaction locks what the queue changes)"
            }
            WriteErrorKind::Unclear => {
                "the write was made, but freshness is not confirmed yet: the store did not answer, and a background task goes on trying"
            }
        })
    }
}

impl StdError for WriteError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

/// A load took longer than its function's `hard_timeout` and was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadTimeout {
    template: &'static str,
    after: Duration,
}

impl LoadTimeout {
    /// A load of this key template was dropped after so long.
    #[must_use]
    pub fn new(template: &'static str, after: Duration) -> Self {
        Self { template, after }
    }

    /// How long it had taken.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.after
    }
}

impl fmt::Display for LoadTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loading `{}` took longer than its `hard_timeout` of {:?}", self.template, self.after)
    }
}

impl StdError for LoadTimeout {}

/// A batch function returned a `Vec` that is longer or shorter than the keys it was asked for: nobody can tell which value
/// belongs to which key, so nothing was cached and nothing is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchError {
    asked: usize,
    returned: usize,
}

impl BatchError {
    /// So many keys were asked for, and so many values returned.
    #[must_use]
    pub fn new(asked: usize, returned: usize) -> Self {
        Self { asked, returned }
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, returned } = self;
        write!(
            f,
            "a batch function was asked for {asked} keys and returned {returned} values: return one `Option` for each key, in their order, or a `HashMap`"
        )
    }
}

impl StdError for BatchError {}

/// A cache could not be built; the text says which setting or attribute is wrong and what to write instead.
#[derive(Debug)]
pub struct BuildError(Vec<String>);

impl BuildError {
    /// An error with one line a mistake.
    #[must_use]
    pub fn new(mistakes: Vec<String>) -> Self {
        Self(mistakes)
    }

    /// One line a mistake.
    #[must_use]
    pub fn mistakes(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl StdError for BuildError {}
