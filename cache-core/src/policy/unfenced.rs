//! What becomes of a covered write whose subjects cannot be fenced, and which writes leave a row in the outbox. Values only.

/// What becomes of a covered write while the store cannot be reached. Of several that one transaction makes, the strictest counts:
/// reject, then outbox, then proceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnUnfenced {
    /// It is made. Readers that reach the store are served older values until their entries expire, unless the store is back within
    /// seconds. For subjects whose every reader has the option `bounded`: any other is a mistake at `build`.
    Proceed,
    /// It is made, and what it changes is left in the outbox, in its own transaction. Readers on other instances that reach the
    /// store are served older values until a relay has reached it; the instance that made the write is not.
    Outbox,
    /// It is not made. The default: a change that nobody could be told of might stay hidden behind old entries.
    #[default]
    Reject,
}

impl OnUnfenced {
    /// The word that attributes know it by.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Proceed => "proceed",
            Self::Outbox => "outbox",
            Self::Reject => "reject",
        }
    }
}

/// Which writes leave what they change in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outbox {
    /// Those that could not be fenced and say [`OnUnfenced::Outbox`].
    Unfenced,
    /// All that a transaction covers: a fence that is lost together with its writer leaves nothing stale either. Costs a row that is
    /// inserted and deleted, and no round trip.
    Always,
}
