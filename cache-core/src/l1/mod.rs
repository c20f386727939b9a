//! What one process keeps for itself in front of its store: values as they are, without their bytes. Refuses to serve while it
//! cannot vouch for them: when its store does not, it has nothing.
//!
//! # Why nothing stale is served
//! An entry goes in with the generations that its subject and tags had **before** the command was sent that proved its value. A
//! mark moves those of what it names, in this process before the mark returns, in others before the writer goes on, or after their
//! lease is over ([`crate::bus`]). So an entry counts while all its generations stand and the lease runs; a value that was on its way
//! when a mark came was stamped before, and never counts. An invalidation is one addition, and needs to know nothing about what is
//! kept (volume leases: Gray & Cheriton, "Leases: an efficient fault-tolerant mechanism for distributed file cache
//! consistency", SOSP 1989).

mod admit;
mod key;
mod options;
mod stamp;
mod tier;

pub(crate) use key::{Key, Seek};
pub use options::L1;
pub(crate) use stamp::Stamp;
pub(crate) use tier::{Kept, Tier, Value};
