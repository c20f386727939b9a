//! The hot row as two releases of one program declare it: the same template, another shape, so another fingerprint. Which
//! release this process is, is decided once.

use std::sync::OnceLock;

use cache_core::schema::{Cacheable, Schema, Walker};
use serde::{Deserialize, Serialize};

static SHAPE: OnceLock<u32> = OnceLock::new();

/// Says which release this process is, before its first read.
pub fn set_release(release: u32) {
    SHAPE.get_or_init(|| release % 2);
}

fn shape() -> u32 {
    *SHAPE.get_or_init(|| 0)
}

/// A row, with the shape that it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    version: u32,
    shape: u32,
}

impl Row {
    /// A row of this release.
    #[must_use]
    pub fn new(version: u32) -> Self {
        Self { version, shape: shape() }
    }

    /// Its version.
    ///
    /// # Panics
    /// When another release wrote it: an entry was decoded that must not even be found.
    #[must_use]
    pub fn version(self) -> u32 {
        assert_eq!(self.shape, shape(), "a row of another release was served");
        self.version
    }
}

/// What `derive(Cacheable)` writes, but for the shape, which is a constant there.
impl Schema for Row {
    fn describe(walker: &mut Walker) {
        walker.word("Row");
        walker.number(2);
        walker.word("version");
        walker.walk::<u32>();
        walker.word("shape");
        walker.number(shape().into());
    }
}

impl Cacheable for Row {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_this_release_is_read_and_one_of_another_is_noticed() {
        assert_eq!(Row::new(7).version(), 7);
        let foreign = Row { version: 7, shape: shape() + 1 };
        assert!(std::panic::catch_unwind(|| foreign.version()).is_err());
    }
}
