//! Reloads a named set of entries on schedule, one instance at a time. Refuses to run without a handle that somebody holds.

use std::future::Future;
use std::time::Duration;

use futures_util::Stream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{GateSet, Progress, Warmed, Warming};
use crate::cache::Cache;
use crate::engine::Turn;
use crate::error::BuildError;

/// A hot set in the making; see [`Cache::hot_set`].
#[derive(Debug)]
#[must_use = "nothing is reloaded until `refresh`"]
pub struct HotSetBuilder {
    cache: Cache,
    name: String,
    every: Duration,
    concurrency: usize,
    rate: Option<u32>,
    set: Option<GateSet>,
}

impl HotSetBuilder {
    pub(super) fn new(cache: &Cache, name: &str) -> Self {
        let every = Duration::from_secs(60);
        Self { cache: cache.clone(), name: name.into(), every, concurrency: 8, rate: None, set: None }
    }

    /// The period, 60 s by default, the same in all instances; below the ttl of the set's entries.
    pub fn every(self, period: Duration) -> Self {
        Self { every: period, ..self }
    }

    /// Calls at once, 8 by default; below the connections that readers leave over in the pool.
    pub fn concurrency(self, calls: usize) -> Self {
        Self { concurrency: calls, ..self }
    }

    /// Calls begun a second at most, at least one. No limit by default.
    pub fn rate(self, calls_per_second: u32) -> Self {
        Self { rate: Some(calls_per_second), ..self }
    }

    /// Opens a set of a gate after the first round, here or elsewhere, that left it warm.
    pub fn opens(self, set: GateSet) -> Self {
        Self { set: Some(set), ..self }
    }

    /// Begins, with the first round at once. `calls` makes the stream of each round, as [`Cache::warm`] takes it.
    ///
    /// # Errors
    /// A period of zero, or no tokio runtime to run on.
    pub fn refresh<M, S>(self, calls: M) -> Result<HotSet, BuildError>
    where
        M: FnMut() -> S + Send + 'static,
        S: Stream + Send + 'static,
        S::Item: Future<Output = Warmed> + Send + 'static,
    {
        let name = &self.name;
        let mistake = |text: String| BuildError::new(vec![text]);
        if self.every < Duration::from_millis(1) {
            return Err(mistake(format!(
                "the hot set `{name}` has a period of {:?}: write for example `.every(Duration::from_secs(60))`",
                self.every
            )));
        }
        let runtime = Handle::try_current().map_err(|_| {
            mistake(format!(
                "the hot set `{name}` begins outside of a tokio runtime: call `refresh` in async code"
            ))
        })?;
        let (status, seen) = watch::channel(Status::default());
        let task = (!self.cache.is_off()).then(|| runtime.spawn(self.keep(calls, status)));
        Ok(HotSet { task, status: seen })
    }

    async fn keep<M, S>(mut self, mut calls: M, status: watch::Sender<Status>)
    where
        M: FnMut() -> S,
        S: Stream,
        S::Item: Future<Output = Warmed>,
    {
        let mut interval = tokio::time::interval(self.every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            match self.cache.0.turn(&self.name, self.every).await {
                Turn::Mine(turn) => {
                    let mut warming = Warming::new(&self.cache, calls(), self.concurrency).reloading();
                    if let Some(rate) = self.rate {
                        warming = warming.rate(rate);
                    }
                    let progress = warming.run().await;
                    turn.ends().await;
                    if progress.is_warm() {
                        self.set.take().into_iter().for_each(GateSet::open);
                    }
                    status.send_modify(|status| {
                        status.rounds += 1;
                        status.last = Some(progress);
                    });
                }
                Turn::Done => {
                    self.set.take().into_iter().for_each(GateSet::open);
                    status.send_modify(|status| status.looks += 1);
                }
                Turn::Unknown => status.send_modify(|status| status.looks += 1),
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Status {
    rounds: u64,
    /// Periods in which it was not this instance's turn, or nobody knew whose.
    looks: u64,
    last: Option<Progress>,
}

/// A hot set that is kept warm. Dropped, it stops here; other instances go on.
#[derive(Debug)]
#[must_use = "a hot set stops when its handle is dropped"]
pub struct HotSet {
    /// `None`: the cache is off.
    task: Option<JoinHandle<()>>,
    status: watch::Receiver<Status>,
}

impl HotSet {
    /// Rounds that ended in this instance.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.status.borrow().rounds
    }

    /// Periods in which this instance did nothing: another one had its turn, or the store was away.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.status.borrow().looks
    }

    /// What became of the last round in this instance.
    #[must_use]
    pub fn last(&self) -> Option<Progress> {
        self.status.borrow().last
    }

    /// Waits for the next round of this instance to end; `None` if there will be none, because the cache is off or the
    /// function that makes its calls panicked.
    pub async fn next_round(&self) -> Option<Progress> {
        let mut status = self.status.clone();
        let before = status.borrow_and_update().rounds;
        status.wait_for(|status| status.rounds > before).await.ok().and_then(|status| status.last)
    }
}

impl Drop for HotSet {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
