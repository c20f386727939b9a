//! The two worst moments of a write, before COMMIT and after it: some writes linger there, and some kill their own process.
//! Lives around the store, so the product needs no hooks.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use cache_core::bus::{Listener, Sharers};
use cache_core::key::Namespace;
use cache_core::store::{
    Answers, BoxFuture, ClearRequest, Cleared, FillRequest, Filled, Found, GetRequest, LeaseRequest, Leased,
    MarkRequest, Marked, Shard, Store, StoreResult,
};
use cache_core::subject::{EntryKey, Subject, Token};
use rustix::process::{Signal, getpid, kill_process};

use super::log::Log;

/// Deaths before COMMIT for each one between COMMIT and clear.
const BEFORE_COMMIT: f64 = 0.25;

/// One write in so many lingers, and one in so many for ten times as long: a server that restarts needs that time.
const LINGERS: u32 = 4;
const STAYS: u32 = 40;

/// Decides who lingers and who dies.
#[derive(Debug)]
pub struct Reaper {
    log: Arc<Log>,
    chance: f64,
    longest: Duration,
    rng: Mutex<fastrand::Rng>,
}

impl Reaper {
    /// Kills this percentage of the writes between COMMIT and clear, and lets none linger longer than this.
    #[must_use]
    pub fn new(log: Arc<Log>, percent: f64, longest: Duration, seed: u64) -> Self {
        let rng = Mutex::new(fastrand::Rng::with_seed(seed));
        Self { log, chance: percent / 100.0, longest, rng }
    }

    /// A write is committed and its entries are not cleared yet.
    pub async fn after_commit(&self) {
        self.linger().await;
        self.kill(self.chance);
    }

    /// A write is all but committed.
    pub async fn before_commit(&self) {
        self.linger().await;
        self.kill(self.chance * BEFORE_COMMIT);
    }

    async fn linger(&self) {
        let pause = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            match rng.u32(..STAYS) {
                0 => self.longest.mul_f64(rng.f64() * 10.0),
                lot if lot % LINGERS == 0 => self.longest.mul_f64(rng.f64()),
                _ => Duration::ZERO,
            }
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }

    fn kill(&self, chance: f64) {
        if self.rng.lock().unwrap_or_else(PoisonError::into_inner).f64() < chance {
            self.log.flush_and(|| {
                kill_process(getpid(), Signal::KILL).expect("a process may signal itself");
                unreachable!("SIGKILL cannot be outlived");
            });
        }
    }
}

/// A store whose writers die.
#[derive(Debug)]
pub struct Deadly<S> {
    inner: S,
    reaper: Arc<Reaper>,
}

impl<S> Deadly<S> {
    /// Passes everything on, but some writers do not live to see it.
    pub fn new(inner: S, reaper: Arc<Reaper>) -> Self {
        Self { inner, reaper }
    }
}

impl<S: Store> Store for Deadly<S> {
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
        Box::pin(async move {
            let marked = self.inner.mark(request).await;
            self.reaper.before_commit().await;
            marked
        })
    }

    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
        Box::pin(async move {
            self.reaper.after_commit().await;
            self.inner.clear(request).await
        })
    }

    fn shard(&self, subject: &Subject) -> Shard {
        self.inner.shard(subject)
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
