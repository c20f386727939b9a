//! Takes single rules out of the engine, so that a test can show what each of them is for.

use crate::cache::Builder;

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// A flight is sealed before its fill goes out, and a value is handed only to callers for whom it was provably current.
    SealedFlights,
    /// A write returns only when the store confirmed its clear.
    ConfirmedClear,
}

impl Builder {
    /// Builds a cache that breaks a rule. For controls: a scripted interleaving must fail with it.
    pub fn without(mut self, rule: Rule) -> Self {
        match rule {
            Rule::SealedFlights => self.settings.faults.joins_anytime = true,
            Rule::ConfirmedClear => self.settings.faults.clears_unconfirmed = true,
        }
        self
    }
}
