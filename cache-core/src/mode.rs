//! What one call asks of the cache. Refuses to be inherited: a spawned task starts with nothing, and so does a loader, since
//! what it stores is for everybody.

mod explain;
mod memo;
mod peek;

use std::future::Future;

pub use explain::{Bypassed, Explained, Explanation, Miss, NotStored, Outcome, Stored, explain};
pub(crate) use explain::{Note, Notes};
pub use memo::memo;
pub(crate) use memo::{Key as MemoKey, Memo, written};
pub(crate) use peek::{Peek, refuse_load};
pub use peek::{Peeked, peek};

/// How much of the cache a call uses. Where several apply to a call, the one that uses less of it wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Entries answer; loads are shared and stored. What a call does unless it says otherwise.
    #[default]
    Cached,
    /// As `Cached`; where a write has just invalidated what would have answered, that still does: see [`bounded`].
    Bounded,
    /// Loads although an entry stands, and stores what it loaded: see [`refresh`].
    Refresh,
    /// Asks the source of truth and leaves the cache as it is: see [`bypass`].
    Bypass,
}

/// All that the running call asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) mode: Mode,
    pub(crate) notes: Option<Notes>,
    pub(crate) memo: Option<Memo>,
    /// A memory that must hear of what is written here, though it does not answer here.
    pub(crate) hears: Option<Memo>,
    pub(crate) peek: Option<Peek>,
    /// Whether it is the body of a write that installs nothing, whatever it calls.
    pub(crate) writes_around: bool,
}

tokio::task_local! {
    static CALL: Call;
}

impl Call {
    /// What the running task asks for.
    pub(crate) fn current() -> Self {
        CALL.try_with(Clone::clone).unwrap_or_default()
    }

    /// Whether it asks for something that a task of another caller would not do.
    pub(crate) fn is_special(&self) -> bool {
        self.mode != Mode::Cached || self.peek.is_some()
    }

    /// What is asked for where neither its memory nor anything else of it holds; the memory still hears of writes.
    pub(crate) fn apart(&self) -> Self {
        Self { hears: self.memo.clone().or_else(|| self.hears.clone()), ..Self::default() }
    }

    /// Runs a future whose cached functions are asked for this.
    pub(crate) fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CALL.scope(self, future)
    }
}

/// Whether nothing is asked of the calls of the running task that an L1 would have to know of.
pub(crate) fn is_plain() -> bool {
    let plain = |call: &Call| {
        call.mode <= Mode::Bounded && call.notes.is_none() && call.memo.is_none() && call.peek.is_none()
    };
    CALL.try_with(plain).unwrap_or(true)
}

/// Runs the body of a write that installs nothing, whatever it calls.
pub(crate) async fn around<F: Future>(body: F) -> F::Output {
    Call { writes_around: true, ..Call::current() }.scope(body).await
}

/// Whether the running task is in such a body.
pub(crate) fn writes_around() -> bool {
    CALL.try_with(|call| call.writes_around).unwrap_or(false)
}

/// Runs a future whose cached functions ask the source of truth and leave the cache as it is. That includes those that
/// their bodies call: nothing of it is stored.
///
/// Only this task: what the future spawns is not covered.
///
/// ```
/// # struct Users; impl Users { async fn find(&self, _: i64) {} }
/// # async fn f(users: Users) {
/// let from_the_database = cache_core::bypass(users.find(42)).await;
/// # }
/// ```
pub async fn bypass<F: Future>(future: F) -> F::Output {
    let call = Call::current();
    Call { mode: call.mode.max(Mode::Bypass), ..call }.scope(future).await
}

/// Runs a future whose cached functions may be answered by a value that a covered write has invalidated, at most as long ago as the
/// function's option `bounded` says. For reads that must not wait for a load after a write, and may be that old.
///
/// A value that stands answers as ever. Without one, what the write has dropped answers at once, and is loaded anew behind the
/// caller's back; where nothing is left of it, and for a function without the option, it is an ordinary call. What a loader makes of such
/// a value is not stored. What the loaders call in turn is not bounded. Only this task: what the future spawns is not covered.
///
/// ```
/// # struct Users; impl Users { async fn find(&self, _: i64) {} }
/// # async fn f(users: Users) {
/// let at_most_a_little_old = cache_core::bounded(users.find(42)).await;
/// # }
/// ```
pub async fn bounded<F: Future>(future: F) -> F::Output {
    let call = Call::current();
    Call { mode: call.mode.max(Mode::Bounded), ..call }.scope(future).await
}

/// Runs a future whose cached functions load although an entry stands, and store what they loaded. For changes that no
/// covered write told the cache of.
///
/// The value was loaded after the call began. Meanwhile everybody else is served the entry that stands; a write that comes
/// in between has the last word. If the loader fails, its error is returned and the entry stays. What the loaders call in
/// turn is not refreshed. Only this task: what the future spawns is not covered.
///
/// ```
/// # struct Users; impl Users { async fn find(&self, _: i64) {} }
/// # async fn f(users: Users) {
/// let as_it_is_now = cache_core::refresh(users.find(42)).await;
/// # }
/// ```
pub async fn refresh<F: Future>(future: F) -> F::Output {
    let call = Call::current();
    Call { mode: call.mode.max(Mode::Refresh), ..call }.scope(future).await
}
