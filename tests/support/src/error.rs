//! What can go wrong while a server is found, installed or started.

use std::{fmt, io, sync::Arc};

/// Why a server is not available. Cheap to clone, so that a failed start can be told to every test that asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// A program is not installed and could not be installed.
    Missing {
        /// The program, for instance `redis-server`.
        program: &'static str,
        /// What was tried, and what the user can do.
        advice: String,
    },
    /// A program was found but did not do its work.
    Failed {
        /// What failed, with the end of the server's log where there is one.
        what: String,
    },
    /// The operating system refused something.
    Io {
        /// What was attempted.
        what: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// A URL given by the user cannot be used.
    Url {
        /// What is wrong with it; never the password in it.
        what: String,
    },
}

impl Error {
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::Failed { what: what.into() }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what: what.into(), source: Arc::new(source) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { program, advice } => write!(f, "`{program}` is not installed: {advice}"),
            Self::Failed { what } | Self::Url { what } => f.write_str(what),
            Self::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
