//! A set of writers, as bits. Refuses more than [`WRITERS`].

use super::WRITERS;

/// A set of writers, such as those whose fences stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Set(u8);

impl Set {
    /// Adds a writer.
    pub fn insert(&mut self, writer: usize) {
        self.0 |= 1 << writer;
    }

    /// Takes a writer out.
    pub fn remove(&mut self, writer: usize) {
        self.0 &= !(1 << writer);
    }

    /// Whether the writer is in it.
    #[must_use]
    pub fn has(self, writer: usize) -> bool {
        self.0 & 1 << writer != 0
    }

    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The writer of the smallest number.
    #[must_use]
    pub fn first(self) -> Option<usize> {
        (0..WRITERS).find(|writer| self.has(*writer))
    }

    /// Those that are in both.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn swapped(self) -> Self {
        Self(self.0 >> 1 & 1 | (self.0 & 1) << 1)
    }
}
