//! One run over a stream of calls. Refuses to spawn: the calls run on the task of whoever runs it, and end with it.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use tokio::time::{Interval, MissedTickBehavior};

use super::progress::{Progress, Tally};
use super::{GateSet, Warmed};
use crate::cache::Cache;
use crate::mode::refresh;

type Listener<'c> = Box<dyn FnMut(&Progress) + Send + 'c>;

/// Calls that are about to be made; see [`Cache::warm`].
#[must_use = "nothing is warmed until `run`"]
pub struct Warming<'c, S> {
    cache: &'c Cache,
    calls: S,
    concurrency: usize,
    rate: Option<u32>,
    total: Option<u64>,
    from: u64,
    reloading: bool,
    listener: Option<Listener<'c>>,
    set: Option<GateSet>,
}

impl<S> fmt::Debug for Warming<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warming")
            .field("concurrency", &self.concurrency)
            .field("rate", &self.rate)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl<'c, S> Warming<'c, S> {
    pub(super) fn new(cache: &'c Cache, calls: S, concurrency: usize) -> Self {
        Self {
            cache,
            calls,
            concurrency: concurrency.max(1),
            rate: None,
            total: None,
            from: 0,
            reloading: false,
            listener: None,
            set: None,
        }
    }

    /// Calls begun a second at most, at least one. No limit by default: `concurrency` is one.
    pub fn rate(self, calls_per_second: u32) -> Self {
        Self { rate: Some(calls_per_second.max(1)), ..self }
    }

    /// How many calls there are, for [`Progress::total_hint`], if the stream does not know.
    pub fn total(self, calls: u64) -> Self {
        Self { total: Some(calls), ..self }
    }

    /// Skips calls that an earlier run of the same stream has done: its [`Progress::position`].
    pub fn from(self, position: u64) -> Self {
        Self { from: position, ..self }
    }

    /// Loads entries that stand, too.
    pub fn reloading(self) -> Self {
        Self { reloading: true, ..self }
    }

    /// Is told after each call.
    pub fn on_progress(self, listener: impl FnMut(&Progress) + Send + 'c) -> Self {
        Self { listener: Some(Box::new(listener)), ..self }
    }

    /// Opens a set of a gate at the end, if it is warm then.
    pub fn opens(self, set: GateSet) -> Self {
        Self { set: Some(set), ..self }
    }

    /// Makes the calls. Dropped, it stops: calls that run are dropped, and no lease is left behind.
    ///
    /// With the cache off, nothing runs.
    pub async fn run(self) -> Progress
    where
        S: Stream,
        S::Item: Future<Output = Warmed>,
    {
        let known = match self.calls.size_hint() {
            (least, Some(most)) if least == most => u64::try_from(most).ok(),
            _ => None,
        };
        let mut tally = Tally::new(self.from, self.total.or(known));
        if self.cache.is_off() {
            return tally.progress();
        }
        if let Some(set) = &self.set {
            set.runs(tally.progress());
        }
        let reloading = self.reloading;
        let run = self.drive(&mut tally);
        if reloading {
            refresh(run).await
        } else {
            run.await
        };
        tally.progress()
    }

    /// Keeps as many calls running as may be, until the stream and all calls have ended.
    async fn drive(mut self, tally: &mut Tally)
    where
        S: Stream,
        S::Item: Future<Output = Warmed>,
    {
        let mut pace = Pace::new(self.rate);
        let (mut place, mut stream_ended) = (self.from, false);
        let skipped = usize::try_from(self.from).unwrap_or(usize::MAX);
        let mut calls = pin!(self.calls.skip(skipped));
        let mut running = FuturesUnordered::new();
        loop {
            let room = !stream_ended && running.len() < self.concurrency;
            let is_due = pace.is_due();
            tokio::select! {
                biased;
                Some((place, warmed)) = running.next() => {
                    let progress = tally.add(place, warmed);
                    if let Some(listener) = &mut self.listener {
                        listener(&progress);
                    }
                    if let Some(set) = &self.set {
                        set.runs(progress);
                    }
                }
                () = pace.tick(), if room && !is_due => {}
                call = calls.next(), if room && is_due => match call {
                    Some(call) => {
                        running.push(Placed { place, call: Box::pin(call) });
                        place += 1;
                        pace.spend();
                    }
                    None => stream_ended = true,
                },
                else => break,
            }
        }
        if let Some(set) = self.set.take() {
            set.ends(tally.progress());
        }
    }
}

/// A call that knows its place in the stream. A type of its own: inside a combinator's closure the compiler loses sight of what may be
/// sent to another thread.
struct Placed<F> {
    place: u64,
    call: Pin<Box<F>>,
}

impl<F: Future<Output = Warmed>> Future for Placed<F> {
    type Output = (u64, Warmed);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let place = self.place;
        self.call.as_mut().poll(context).map(|warmed| (place, warmed))
    }
}

/// Between two allowances at the least: timers are no finer than a millisecond.
const ALLOWANCE: Duration = Duration::from_millis(10);

/// Lets calls begin, and not too many a second.
struct Pace {
    interval: Option<Interval>,
    /// Calls a tick allows.
    share: f64,
    credit: f64,
}

impl Pace {
    fn new(rate: Option<u32>) -> Self {
        let Some(rate) = rate else { return Self { interval: None, share: 0.0, credit: 0.0 } };
        let period = (Duration::from_secs(1) / rate).max(ALLOWANCE);
        let mut interval = tokio::time::interval(period);
        // What was missed while calls were slow is not made up for: the limit is there for the database.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { interval: Some(interval), share: f64::from(rate) * period.as_secs_f64(), credit: 0.0 }
    }

    /// Whether a call may begin now.
    fn is_due(&self) -> bool {
        self.interval.is_none() || self.credit >= 1.0
    }

    async fn tick(&mut self) {
        if let Some(interval) = &mut self.interval {
            interval.tick().await;
            self.credit = self.credit.min(1.0) + self.share;
        }
    }

    /// One begins.
    fn spend(&mut self) {
        self.credit -= 1.0;
    }
}
