//! The four promises and what becomes of them. Refuses to know how they are checked.

use std::fmt;

/// What a protocol may promise, named as everywhere in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// No read that begins after a write returned is older.
    A,
    /// No read that begins after a write became visible is older.
    B,
    /// Reads are monotonic.
    C,
    /// Nothing stays stale once the system is quiet.
    D,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// The letter.
    #[must_use]
    pub fn letter(self) -> &'static str {
        ["A", "B", "C", "D"][self as usize]
    }

    /// What a counterexample shows.
    #[must_use]
    pub fn broken(self) -> &'static str {
        match self {
            Self::A => "a read that began after a write had returned got an older value",
            Self::B => "a read that began after a write was visible got an older value",
            Self::C => "a read got an older value than one that had ended before it began",
            Self::D => "everything has ended, and an old value is still served",
        }
    }
}

/// Which promises hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdicts([bool; 4]);

impl Verdicts {
    /// All hold.
    pub const FRESH: Self = Self([true; 4]);
    /// None holds.
    pub const NAUGHT: Self = Self([false; 4]);

    /// All hold but these.
    #[must_use]
    pub fn without(broken: impl IntoIterator<Item = Promise>) -> Self {
        let mut holds = [true; 4];
        for promise in broken {
            holds[promise as usize] = false;
        }
        Self(holds)
    }

    /// Whether this one holds.
    #[must_use]
    pub fn holds(self, promise: Promise) -> bool {
        self.0[promise as usize]
    }
}

impl fmt::Display for Verdicts {
    /// `A ok, B FAIL, C FAIL, D ok`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Promise::ALL.map(|promise| {
            format!("{} {}", promise.letter(), if self.holds(promise) { "ok" } else { "FAIL" })
        });
        f.pad(&words.join(", "))
    }
}
