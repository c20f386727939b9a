//! Merges single calls made in the same tick into one call of a batch function. Refuses to keep values, and to put a caller into a
//! load that began before it came.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::loading::{self, Verdict};
use crate::mode::Call;
use crate::output::{Batch, BatchOutput, Item};
use crate::store::BoxFuture;

/// Keys of one load unless somebody says otherwise, as in a batch's pipelines.
const LIMIT: usize = 1000;

/// Why a merged call has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum MergeError<E> {
    /// The load failed; all callers that were merged into it share its error.
    Load(Arc<E>),
    /// The load ended without an answer: it panicked, or its runtime was shut down.
    Lost,
}

impl<E> Clone for MergeError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Load(error) => Self::Load(error.clone()),
            Self::Lost => Self::Lost,
        }
    }
}

impl<E: fmt::Display> fmt::Display for MergeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => error.fmt(f),
            Self::Lost => f.write_str(
                "a merged load ended without an answer: it panicked, or its runtime was shut down",
            ),
        }
    }
}

impl<E: StdError + 'static> StdError for MergeError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Load(error) => error.source(),
            Self::Lost => None,
        }
    }
}

type Answer<V, E> = Result<Option<V>, MergeError<E>>;
type Load<K, V, E> = dyn Fn(Vec<K>) -> BoxFuture<'static, Result<Vec<Option<V>>, E>> + Send + Sync;
type Waiting<K, V, E> = Vec<(K, oneshot::Sender<Told<V, E>>)>;

/// What a caller gets, and what is true of all that is made of it.
struct Told<V, E> {
    answer: Answer<V, E>,
    is_tainted: bool,
    is_skipped: bool,
}

/// Merges calls for single keys into calls for many. Cheap to clone; clones merge with each other.
///
/// Made for resolvers that are called one by one, as those of a GraphQL server. It keeps nothing: put it around a batch function
/// that caches (`#[cached(batch)]`), and everything that holds for that function holds here.
///
/// ```
/// # use std::collections::HashMap;
/// # use cache_core::Merging;
/// # #[derive(Clone)] struct Users;
/// # impl Users {
/// #     async fn find_many(&self, ids: &[i64]) -> Result<HashMap<i64, String>, std::fmt::Error> {
/// #         Ok(ids.iter().map(|id| (*id, format!("user {id}"))).collect())
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let users = Users;
/// let by_id = Merging::new(move |ids: Vec<i64>| {
///     let users = users.clone();
///     async move { users.find_many(&ids).await }
/// });
/// // One call of `find_many`.
/// let (ann, ben) = tokio::join!(by_id.load(1), by_id.load(2));
/// # assert_eq!((ann.unwrap().unwrap().as_str(), ben.unwrap().unwrap().as_str()), ("user 1", "user 2"));
/// # }
/// ```
pub struct Merging<K, V, E = Infallible> {
    load: Arc<Load<K, V, E>>,
    waiting: Arc<Mutex<Waiting<K, V, E>>>,
    window: Duration,
    limit: usize,
}

impl<K, V, E> Clone for Merging<K, V, E> {
    fn clone(&self) -> Self {
        let (load, waiting) = (self.load.clone(), self.waiting.clone());
        Self { load, waiting, window: self.window, limit: self.limit }
    }
}

impl<K, V, E> fmt::Debug for Merging<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merging")
            .field("window", &self.window)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<K, V, E> Merging<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Item + Clone + 'static,
    E: Send + Sync + 'static,
{
    /// Merges calls into calls of this function, which returns what a batch function may.
    pub fn new<O, M, F>(load: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        O: BatchOutput<K, M, Error = E>,
        O::Batch: Batch<K, Item = V>,
        F: Future<Output = O> + Send + 'static,
    {
        let load = move |keys: Vec<K>| -> BoxFuture<'static, Result<Vec<Option<V>>, E>> {
            let loading = load(keys.clone());
            Box::pin(async move {
                match loading.await.split()?.sort(&keys) {
                    Ok(sorted) => {
                        Ok(sorted.values.into_iter().map(|value| value.map(Item::unshare)).collect())
                    }
                    // A mismatch is an error of the function's own: split, it is nothing else.
                    Err(mismatch) => O::mismatch(mismatch).split().map(|_| Vec::new()),
                }
            })
        };
        Self { load: Arc::new(load), waiting: Arc::default(), window: Duration::ZERO, limit: LIMIT }
    }

    /// How long the first caller waits for others. By default it waits until all tasks that are ready have run once, which
    /// merges what is asked for side by side and costs no time; a millisecond merges more under load, and every call pays it.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// How many calls are merged at most, 1,000 by default; at the limit the load begins at once. Lower it to what the function
    /// can ask for in one query.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// The value of a key, from a load that begins after this call; `None` if there is none.
    ///
    /// Inside [`bypass`](crate::bypass), [`refresh`](crate::refresh) and [`peek`](crate::peek) it is merged with nobody, since the load
    /// runs in a task of its own.
    ///
    /// # Errors
    /// The load's own, shared with the other callers, or [`MergeError::Lost`].
    pub async fn load(&self, key: K) -> Result<Option<V>, MergeError<E>> {
        if Call::current().is_special() {
            let loaded = (self.load)(vec![key]).await;
            return loaded
                .map(|values| values.into_iter().next().flatten())
                .map_err(|e| MergeError::Load(Arc::new(e)));
        }
        // Dropped after the channel: a caller that goes away is not loaded for.
        let turn;
        let (tell, told) = oneshot::channel();
        let count = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((key, tell));
            waiting.len()
        };
        if count >= self.limit {
            self.begin();
        } else if count == 1 {
            // Whatever becomes of this caller, the others are not left waiting.
            turn = Turn(self);
            if self.window.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(self.window).await;
            }
            drop(turn);
        }
        let Ok(Told { answer, is_tainted, is_skipped }) = told.await else { return Err(MergeError::Lost) };
        loading::inherit(is_tainted, is_skipped);
        answer
    }
}

impl<K, V, E> Merging<K, V, E> {
    /// Begins the load of all who wait, in a task of its own: no caller's end is the others'.
    fn begin(&self)
    where
        K: Clone + Eq + Hash + Send + 'static,
        V: Clone + Send + 'static,
        E: Send + Sync + 'static,
    {
        let mut waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.retain(|(_, tell)| !tell.is_closed());
        let (false, Ok(runtime)) = (waiting.is_empty(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let load = self.load.clone();
        runtime.spawn(async move {
            let (mut keys, mut places) = (Vec::new(), HashMap::new());
            let tell: Vec<_> = waiting
                .into_iter()
                .map(|(key, tell)| {
                    let place = *places.entry(key.clone()).or_insert_with(|| {
                        keys.push(key);
                        keys.len() - 1
                    });
                    (place, tell)
                })
                .collect();
            let (answer, verdict) = loading::run(None, None, load(keys)).await;
            let (answer, Verdict { is_tainted, is_skipped, .. }) = (answer.map_err(Arc::new), verdict);
            for (place, tell) in tell {
                let answer = match &answer {
                    Ok(values) => Ok(values.get(place).cloned().flatten()),
                    Err(error) => Err(MergeError::Load(error.clone())),
                };
                // A caller that is gone needs no answer.
                let _ = tell.send(Told { answer, is_tainted, is_skipped });
            }
        });
    }
}

/// The first caller's duty to begin the load; done when dropped.
struct Turn<'a, K, V, E>(&'a Merging<K, V, E>)
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Send + Sync + 'static;

impl<K, V, E> Drop for Turn<'_, K, V, E>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
    E: Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.0.begin();
    }
}

#[cfg(test)]
mod tests;
