//! The seam between a store and what a process keeps for itself (an L1): who writes is heard of, and until when it is known that
//! nothing was missed. Refuses to vouch for what it cannot know: silence is doubt.
//!
//! # The rules between the two
//! * **J1** A store tells its listeners of a mark, a clear, a pend, a settle or a clear of a namespace that goes through the same
//!   store object **before** that command returns, and of those of other processes while they are under way there.
//! * **J2** A store vouches only for what it has told: whatever was marked up to the end of a lease has been told by then, or whoever
//!   marked it waits for longer than the lease.
//! * **J3** After a doubt nothing counts that was heard before it: neither what a listener keeps, nor a lease that was asked for earlier.
//! * **J4** What a listener keeps was read after this process was known as one to be told (`shares`), and nothing was told of it or
//!   doubted since *before that read was asked for*.
//!
//! `docs/decisions/0019-l1-coherence.md` has the reasons.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::time::{Clock, StoreTime};

/// How long a store vouches at most, and so how long a writer waits at most for those who do not acknowledge what they were told.
/// One value for all that share a store, and part of what they agree on there.
pub const LEASE: Duration = Duration::from_secs(1);

/// How long what was read with `shares` may be kept at most, from before it was asked for: a store forgets a little later who shares.
pub const HOLDS: Duration = Duration::from_secs(60 * 60);

/// Those who may still hold what a write was about in their own memory, and have not said yet that they do not any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharers {
    /// Who is to acknowledge, and what.
    pub awaited: Vec<Sharer>,
    /// Whether there may be others: then only time tells.
    pub is_unknown: bool,
}

/// One of them, in a store's own numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharer {
    /// Where the acknowledgements are kept.
    pub board: Arc<str>,
    /// Which life of the board the numbers belong to.
    pub life: u64,
    /// Who.
    pub member: u64,
    /// How many leases he had asked for when he was told.
    pub beats: u64,
    /// The number of what he was told.
    pub message: u64,
}

impl Sharers {
    /// Whether there is nobody to wait for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.awaited.is_empty() && !self.is_unknown
    }

    /// Adds others. Of one who is to acknowledge two things the later one counts.
    pub fn extend(&mut self, others: Self) {
        self.is_unknown |= others.is_unknown;
        for other in others.awaited {
            let is_same = |known: &&mut Sharer| {
                known.board == other.board && known.life == other.life && known.member == other.member
            };
            match self.awaited.iter_mut().find(is_same) {
                Some(known) if known.message >= other.message => {}
                Some(known) => *known = other,
                None => self.awaited.push(other),
            }
        }
    }
}

/// A moment on a listener's own clocks, before a lease is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time since an arbitrary origin; it may stand still while the machine is suspended.
    pub(crate) monotonic: Duration,
    /// The wall clock, which goes on meanwhile.
    pub(crate) wall: StoreTime,
    /// How often the listener was told to doubt until then.
    pub(crate) doubts: u64,
}

impl Moment {
    /// Now, by a clock, for a listener that was told to doubt so often.
    #[must_use]
    pub fn new(clock: &dyn Clock, doubts: u64) -> Self {
        Self { monotonic: clock.monotonic(), wall: clock.wall(), doubts }
    }

    /// Time since the clock's origin.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.monotonic
    }

    /// How often the listener was told to doubt until then.
    #[must_use]
    pub fn doubts(&self) -> u64 {
        self.doubts
    }
}

/// Hears what is written. Cheap, never blocks, and may be called from anywhere; what it is told twice it does twice.
pub trait Listener: Send + Sync + fmt::Debug + 'static {
    /// Now. A store notes it **before** it sends what asks for a lease.
    fn now(&self) -> Moment;

    /// Writes to these subjects are under way or done: what was taken of them before must not be served any more. By
    /// [`Subject::stripe`](crate::subject::Subject::stripe), for things and tags alike.
    fn marked(&self, stripes: &[u64]);

    /// Something may have been missed: nothing that stands may be served any more, and nothing at all until the store vouches
    /// again, by a lease that it asks for from now on.
    fn doubts(&self);

    /// For this long from `since` on, whatever is marked will have been told before its writer goes on. Leases only ever extend; one
    /// that was asked for before a doubt is none.
    fn vouches(&self, since: Moment, lease: Duration);
}
