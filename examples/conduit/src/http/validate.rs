//! Checks what a request brings, and says everything that is wrong with it at once. Pure.

use super::error::{ApiError, Errors};

/// The longest text of a field that is looked up, in characters: its index holds no more than a third of a page.
const MAX_KEY: usize = 255;

/// Collects complaints; [`Check::done`] is the verdict.
#[derive(Default)]
pub(crate) struct Check(Errors);

impl Check {
    /// A text that must be there.
    pub(crate) fn required(&mut self, field: &'static str, text: Option<String>) -> String {
        let text = text.unwrap_or_default();
        self.not_blank(field, &text);
        text
    }

    /// A text that may be left out, but not be emptied.
    pub(crate) fn optional(&mut self, field: &'static str, text: Change<String>) -> Option<String> {
        match text {
            Change::Keep => None,
            Change::To(text) => Some(self.required(field, text)),
        }
    }

    /// A text that is looked up.
    pub(crate) fn key(&mut self, field: &'static str, text: &str) {
        if text.chars().count() > MAX_KEY {
            self.0.add(field, format!("is too long (maximum is {MAX_KEY} characters)"));
        }
    }

    /// An address with something on both sides of an `@`; whether it works only mail can tell.
    pub(crate) fn email(&mut self, text: &str) {
        self.key("email", text);
        let complete = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
        if !text.trim().is_empty() && !complete {
            self.0.add("email", "is invalid");
        }
    }

    /// A number that has a least value.
    pub(crate) fn at_least(&mut self, field: &'static str, least: i64, number: i64) {
        if number < least {
            self.0.add(field, format!("must be at least {least}"));
        }
    }

    /// The verdict.
    pub(crate) fn done(self) -> Result<(), ApiError> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self.0)) }
    }

    fn not_blank(&mut self, field: &'static str, text: &str) {
        if text.trim().is_empty() {
            self.0.add(field, "can't be blank");
        }
    }
}

/// A field of an update: left out, or set to a value or to `null`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Change<T> {
    #[default]
    Keep,
    To(Option<T>),
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Change<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::To)
    }
}

impl<T> Change<T> {
    pub(crate) fn into_option(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::To(value) => Some(value),
        }
    }
}
