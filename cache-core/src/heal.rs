//! The seam to whoever knows whether a writer is finished (a database, asked by transaction id). Refuses to guess: what is
//! not known to be finished stays fenced.

use std::fmt;

use crate::store::{BoxFuture, Fence, Origin};
use crate::subject::WriterId;

/// Tells which writers are finished, committed or not, so that a reader may lift the fences of those that died.
pub trait Healer: Send + Sync + fmt::Debug + 'static {
    /// Identity, so that one database registers once: two healers of one name are the same.
    fn name(&self) -> &str;

    /// Whether it can still ask; one that cannot is replaced by the next of its name.
    fn is_alive(&self) -> bool {
        true
    }

    /// Whether this healer understands where the fence came from.
    fn knows(&self, fence: &Fence) -> bool;

    /// The writers among `fences` whose transaction has ended and whose effect, if any, is visible to a read that begins
    /// now. An error, a foreign database or a standby is an empty answer. Asked at most once in 50 ms for one writer.
    fn finished<'a>(&'a self, fences: &'a [Fence]) -> BoxFuture<'a, Vec<WriterId>>;

    /// A writer of this process has committed, and its fences are confirmed to be gone: what was kept so that readers could ask
    /// about it is needed no more. Called for every healer, whether it knows the origin or not; it must not block.
    fn cleared(&self, _origin: &Origin) {}
}
