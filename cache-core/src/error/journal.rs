//! Why a journal could not do what it was asked, and what became of the record.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Why a journal could not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JournalErrorKind {
    /// It holds as much as it may; nothing was appended.
    Full,
    /// Nothing was done; asked again it may well be.
    Failed,
    /// The record may have been appended or not, and may still reach the database.
    Unknown,
    /// What it holds cannot be read; nothing of it was touched.
    Damaged,
    /// Another process has it.
    Locked,
    /// It cannot be opened like this.
    Refused,
}

/// A journal failed. Only what was acknowledged is promised to reach the database.
#[derive(Clone, Debug)]
pub struct JournalError {
    kind: JournalErrorKind,
    what: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl JournalError {
    /// An error of this kind, in words that say what to do.
    pub fn new(kind: JournalErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(Arc::from(source.into())), ..self }
    }

    /// What happened, for programs.
    #[must_use]
    pub fn kind(&self) -> JournalErrorKind {
        self.kind
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for JournalError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
