//! Fills entries before anybody asks for them. Refuses to hand out values, and to store anything that a reader could not: all of it
//! are ordinary reads.

mod gate;
mod hot;
mod progress;
mod run;

use std::future::Future;

pub use gate::{Cold, Gate, GateSet, Readiness, SetState};
pub use hot::{HotSet, HotSetBuilder};
pub use progress::Progress;
pub use run::Warming;

use crate::cache::Cache;
use crate::mode::{Explanation, NotStored, Outcome, Stored, explain};

/// What became of a call that was made to warm its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Warmed {
    /// An entry stood, or somebody else's load brought one.
    Present,
    /// It was loaded and stored.
    Filled,
    /// It was loaded and not stored: a write is in flight, or came in between. The next reader fills it.
    Fenced,
    /// It was not stored for another reason: the store is away, the value is too large, the cache is bypassed or off.
    Unstored,
    /// The loader returned its error.
    Failed,
}

impl Warmed {
    fn of(call: &Explanation) -> Self {
        match (call.outcome, call.stored) {
            (Outcome::Failed | Outcome::Unfinished, _) => Self::Failed,
            (Outcome::Loaded, Some(Stored::For(_))) => Self::Filled,
            (Outcome::Loaded, Some(Stored::Not(NotStored::Fenced | NotStored::Refused))) => Self::Fenced,
            (Outcome::Loaded | Outcome::Bypassed(_) | Outcome::Bounded, _) => Self::Unstored,
            _ => Self::Present,
        }
    }
}

/// Makes cached calls for the sake of their entries: runs the future, drops what it returns, and tells what became of the
/// coldest call in it; `Unstored` if it made none. What loaders call on their way is filled too, and not told of.
///
/// ```
/// # struct Users; impl Users { async fn find(&self, _: i64) {} }
/// # async fn f(users: Users) {
/// let warmed = cache_core::warmed(users.find(42)).await;
/// # }
/// ```
pub async fn warmed<F: Future>(calls: F) -> Warmed {
    let (_, explained) = explain(calls).await;
    explained.calls().iter().map(Warmed::of).max().unwrap_or(Warmed::Unstored)
}

impl Cache {
    /// Runs calls from a stream, at most so many at once: those of generated functions such as `users.warm_find(42)`, or
    /// [`warmed`] around others. Nothing happens until [`Warming::run`].
    pub fn warm<S>(&self, calls: S, concurrency: usize) -> Warming<'_, S> {
        Warming::new(self, calls, concurrency)
    }

    /// A named set of entries that one instance reloads on schedule.
    pub fn hot_set(&self, name: &str) -> HotSetBuilder {
        HotSetBuilder::new(self, name)
    }

    /// A gate that opens when its sets are warm.
    #[must_use]
    pub fn gate(&self) -> Gate {
        Gate::new(self.is_off())
    }
}
