//! The seam between a store and what a process keeps for itself (an L1): who writes is heard of, and until when it is known that
//! nothing was missed. Refuses to vouch for what it cannot know: silence is doubt.
//!
//! # The rules between the two
//! * **J1** A store tells its listeners of a mark, a clear, a pend, a settle or a clear of a namespace that goes through the same
//!   store object **before** that command returns, and of those of other processes while they are under way there.
//! * **J2** A store vouches only for what it has told: whatever was marked up to the end of a lease has been told by then, or whoever
//!   marked it waits for longer than the lease.
//! * **J3** After a doubt nothing counts that was heard before it: neither what a listener keeps, nor a lease that was asked for earlier.

use std::fmt;
use std::time::Duration;

use crate::time::StoreTime;

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
