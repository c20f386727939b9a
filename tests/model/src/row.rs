//! A row: a protocol, what is expected of it, and why. Refuses to pass if the checker finds anything else.

use std::fmt;

use crate::check::{self, Outcome};
use crate::learned::Learned;
use crate::nested::Nested;
use crate::promise::{Promise, Verdicts};
use crate::protocol::Protocol;

/// Which model a row is checked in.
#[derive(Clone, Debug)]
pub enum Subject {
    /// One key, with everything.
    OneKey(Protocol),
    /// An entry that is made of another one.
    Nested(Nested),
    /// Tags that only the value knows.
    Learned(Learned),
}

impl From<Protocol> for Subject {
    fn from(protocol: Protocol) -> Self {
        Self::OneKey(protocol)
    }
}

impl From<Nested> for Subject {
    fn from(nested: Nested) -> Self {
        Self::Nested(nested)
    }
}

impl From<Learned> for Subject {
    fn from(learned: Learned) -> Self {
        Self::Learned(learned)
    }
}

/// A protocol, what is expected of it, and why.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name, unique.
    pub name: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What breaks it, or why nothing does.
    pub why: &'static str,
    /// Which promises it is expected to keep.
    pub expected: Verdicts,
    /// What is checked.
    pub subject: Subject,
}

impl Row {
    /// A row that is expected to keep all promises, until [`Row::breaks`] says otherwise.
    pub fn new(
        name: &'static str,
        title: &'static str,
        subject: impl Into<Subject>,
        why: &'static str,
    ) -> Self {
        Self { name, title, why, expected: Verdicts::FRESH, subject: subject.into() }
    }

    /// Expected to break these, and to keep the others.
    #[must_use]
    pub fn breaks(mut self, promises: &[Promise]) -> Self {
        self.expected = Verdicts::without(promises.iter().copied());
        self
    }

    /// Checks it.
    #[must_use]
    pub fn check(&self, threads: usize) -> Outcome {
        match &self.subject {
            Subject::OneKey(protocol) => check::check(protocol, threads),
            Subject::Nested(nested) => check::check(nested, threads),
            Subject::Learned(learned) => check::check(learned, threads),
        }
    }

    /// The steps of a shortest way to break a promise.
    #[must_use]
    pub fn counterexample(&self, promise: Promise) -> Option<Vec<String>> {
        match &self.subject {
            Subject::OneKey(protocol) => check::counterexample(protocol, promise),
            Subject::Nested(nested) => check::counterexample(nested, promise),
            Subject::Learned(learned) => check::counterexample(learned, promise),
        }
    }

    /// An error that names the row unless the outcome is the one expected, in either direction.
    ///
    /// # Errors
    /// The outcome differs.
    pub fn judge(&self, outcome: &Outcome) -> Result<(), Unexpected> {
        if outcome.verdicts == self.expected {
            return Ok(());
        }
        Err(Unexpected { name: self.name, expected: self.expected, found: outcome.verdicts })
    }
}

/// A row whose outcome differs from what it states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexpected {
    name: &'static str,
    expected: Verdicts,
    found: Verdicts,
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: expected {}, but found {}", self.name, self.expected, self.found)
    }
}

impl std::error::Error for Unexpected {}
