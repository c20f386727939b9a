//! Which writes of this process are not settled yet: marked and not cleared. Lives around the store, so the product needs
//! no hooks. A quiet system is one in which nothing is pending any more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use cache_core::bus::{Listener, Sharers};
use cache_core::key::Namespace;
use cache_core::store::{
    Answers, BoxFuture, ClearRequest, Cleared, FillRequest, Filled, Found, GetRequest, LeaseRequest, Leased,
    MarkRequest, Marked, Store, StoreResult,
};
use cache_core::subject::{EntryKey, Subject, Token, WriterId};
use tokio::time::Instant;

/// How long a clear that was begun may take to be confirmed, once nothing is wrong any more.
const CLEAR_BOUND: Duration = Duration::from_secs(30);
/// A clear that nobody has tried for so long was given up: that of a write that was not made, after many attempts. Readers
/// heal its fence. One that was made is tried every two seconds at least, for ever.
const GIVEN_UP: Duration = Duration::from_secs(5);
/// How long to wait for marks that nobody has begun to clear. Those of a commit with an unknown outcome never are: readers
/// heal them.
const MARK_BOUND: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Marked,
    /// And when it was last tried.
    Clearing(Instant),
}

/// The writers that are not settled.
#[derive(Debug, Default)]
pub struct Pending(Mutex<HashMap<WriterId, Stage>>);

impl Pending {
    fn writers(&self) -> MutexGuard<'_, HashMap<WriterId, Stage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_marked(&self) -> bool {
        self.writers().values().any(|stage| *stage == Stage::Marked)
    }

    fn are_clearing(&self) -> bool {
        self.writers()
            .values()
            .any(|stage| matches!(stage, Stage::Clearing(last) if last.elapsed() < GIVEN_UP))
    }

    /// Waits until every clear is confirmed.
    ///
    /// # Errors
    /// A clear that is not, although it had all the time it needs.
    pub async fn settle(&self) -> Result<(), String> {
        let begin = Instant::now();
        loop {
            let passed = begin.elapsed();
            if self.are_clearing() {
                if passed > CLEAR_BOUND {
                    return Err(format!("a clear was not confirmed within {CLEAR_BOUND:?} of quiet"));
                }
            } else if !self.are_marked() || passed > MARK_BOUND {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// A store that keeps the account.
#[derive(Debug)]
pub struct Accounted<S> {
    inner: S,
    pending: Arc<Pending>,
}

impl<S> Accounted<S> {
    /// Passes everything on.
    pub fn new(inner: S, pending: Arc<Pending>) -> Self {
        Self { inner, pending }
    }
}

impl<S: Store> Store for Accounted<S> {
    fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found> {
        self.inner.get(key, tags)
    }

    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased> {
        self.inner.lease(request)
    }

    fn fill<'a>(&'a self, request: FillRequest<'a>) -> StoreResult<'a, Filled> {
        self.inner.fill(request)
    }

    fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()> {
        self.inner.release(key, token)
    }

    fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked> {
        self.pending.writers().insert(request.writer, Stage::Marked);
        self.inner.mark(request)
    }

    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
        self.pending.writers().insert(request.writer, Stage::Clearing(Instant::now()));
        Box::pin(async move {
            let cleared = self.inner.clear(request).await;
            if cleared.is_ok() {
                self.pending.writers().remove(&request.writer);
            }
            cleared
        })
    }

    fn get_many<'a>(&'a self, requests: &'a [GetRequest<'a>]) -> Answers<'a, Found> {
        self.inner.get_many(requests)
    }

    fn acknowledged<'a>(&'a self, sharers: &'a Sharers) -> BoxFuture<'a, ()> {
        self.inner.acknowledged(sharers)
    }

    fn forget<'a>(&'a self, sharers: &'a Sharers) -> BoxFuture<'a, ()> {
        self.inner.forget(sharers)
    }

    fn join(&self, namespace: &Namespace, listener: Weak<dyn Listener>) -> Result<(), String> {
        self.inner.join(namespace, listener)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rest_waits_only_for_a_while_for_marks() {
        let pending = Pending::default();
        pending.settle().await.unwrap();
        pending.writers().insert(WriterId(1), Stage::Marked);
        let begin = Instant::now();
        pending.settle().await.unwrap();
        assert!(begin.elapsed() >= MARK_BOUND, "an abandoned fence is the readers' to heal");
    }

    #[tokio::test(start_paused = true)]
    async fn rest_waits_for_clears_that_are_still_tried() {
        let pending = Arc::new(Pending::default());
        let trying = tokio::spawn({
            let pending = pending.clone();
            async move {
                loop {
                    pending.writers().insert(WriterId(1), Stage::Clearing(Instant::now()));
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        });
        tokio::task::yield_now().await;
        assert!(pending.settle().await.is_err(), "it is tried for ever and never confirmed");
        trying.abort();
        pending.settle().await.unwrap();

        pending.writers().insert(WriterId(1), Stage::Clearing(Instant::now()));
        let waiting = tokio::spawn({
            let pending = pending.clone();
            async move { pending.settle().await }
        });
        tokio::time::sleep(GIVEN_UP / 2).await;
        assert!(!waiting.is_finished());
        pending.writers().clear();
        waiting.await.unwrap().unwrap();
    }
}
