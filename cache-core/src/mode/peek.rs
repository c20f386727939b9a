//! Looks at entries without loading. Refuses to go past the first cached function that has none: the future ends there.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use super::Call;

/// What [`peek`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peeked<T> {
    /// What the future returned.
    pub value: T,
    /// How long ago the entry was made, on the store's clock; the oldest one's where several answered.
    pub age: Duration,
    /// How long it will be served; the shortest where several answered.
    pub left: Duration,
}

/// Runs a future whose cached functions are answered by entries that stand, or not at all. `None` if one of them has none
/// that may be served, if the store does not answer, inside a transaction, with a cache that is off, and if the future called
/// no cached function.
///
/// Never loads, never fills, waits for nobody's load, and counts neither as a hit nor as a miss. At the first cached function
/// without an entry the future is dropped; what it did up to there it has done. Only this task: what the future spawns reads as
/// usual.
///
/// ```
/// # struct Users; impl Users { async fn find(&self, _: i64) {} }
/// # async fn f(users: Users) {
/// if let Some(peeked) = cache_core::peek(users.find(42)).await {
///     println!("{:?} old, {:?} to live", peeked.age, peeked.left);
/// }
/// # }
/// ```
pub async fn peek<F: Future>(future: F) -> Option<Peeked<F::Output>> {
    let seen = Peek::default();
    // Neither told of nor remembered: it is no read.
    let current = Call::current();
    let call = Call { mode: current.mode, peek: Some(seen.clone()), ..current.apart() };
    let mut future = pin!(call.scope(future));
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        match (polled, seen.state()) {
            (_, State::Stopped) | (Poll::Ready(_), State::Untouched) => Poll::Ready(None),
            (Poll::Ready(value), State::Seen { age, left }) => Poll::Ready(Some(Peeked { value, age, left })),
            (Poll::Pending, _) => Poll::Pending,
        }
    })
    .await
}

/// Stops a call that is about to run its loader inside [`peek`]; anywhere else it returns at once.
pub(crate) async fn refuse_load() {
    if let Some(peek) = Call::current().peek {
        peek.stop::<()>().await;
    }
}

/// What the cached functions inside one `peek` have found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peek(Arc<Mutex<State>>);

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Untouched,
    Seen {
        age: Duration,
        left: Duration,
    },
    Stopped,
}

impl Peek {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> State {
        *self.lock()
    }

    /// An entry answers.
    pub(crate) fn saw(&self, age: Duration, left: Duration) {
        let mut state = self.lock();
        *state = match *state {
            State::Untouched => State::Seen { age, left },
            State::Seen { age: a, left: l } => State::Seen { age: a.max(age), left: l.min(left) },
            State::Stopped => State::Stopped,
        };
    }

    /// No entry does. Never returns: `peek` drops the call where it stands.
    pub(crate) async fn stop<T>(&self) -> T {
        *self.lock() = State::Stopped;
        std::future::pending().await
    }
}
