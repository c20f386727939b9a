//! What an instance does all day: its readers, its writers, and the last reads of the quiet system.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::{Answer, Instance, cancel::Patience};
use crate::{
    time::now,
    torture::{
        event::{Event, Kind},
        fresh::Way,
        options::Options,
    },
};

/// After a call that failed: errors must not crowd out everything else.
/// What a reader does besides reading, where reads alone would take all of the processor.
const BETWEEN: Duration = Duration::from_millis(1);
const AFTER_ERROR: Duration = Duration::from_millis(2);

/// One read and one write in so many are dropped, where the nemesis says so.
const READS: u32 = 8;
const WRITES: u32 = 3;

/// How long a read of the quiet system may meet errors: connections that a restart broke are found one by one.
const REST_BOUND: Duration = Duration::from_secs(20);

impl Instance {
    pub(super) fn work(self: Arc<Self>, tasks: &mut JoinSet<()>) {
        let Options { readers, writers, .. } = self.assignment.options;
        for task in 0..u64::from(readers) {
            let rng = fastrand::Rng::with_seed(self.assignment.seed(task));
            tasks.spawn(self.clone().read_on(self.assignment.entries_of(task), rng));
        }
        for task in 0..u64::from(writers) {
            let seed = self.assignment.seed(u64::from(u32::MAX) + task);
            tasks.spawn(self.clone().write_on(fastrand::Rng::with_seed(seed)));
        }
    }

    /// Lets its tasks end, and then what the cache does for them in the background.
    pub(super) async fn come_to_rest(&self, tasks: &mut JoinSet<()>) -> Result<(), String> {
        self.stopped.store(true, Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|error| error.to_string())?;
        }
        self.pending.settle().await
    }

    fn patience(&self, of: u32, rng: &mut fastrand::Rng) -> Patience {
        match self.assignment.options.nemesis().within.cancels {
            true => Patience::of_one_in(of, rng),
            false => Patience::Endless,
        }
    }

    async fn read_on(self: Arc<Self>, entries: Vec<(u16, bool)>, mut rng: fastrand::Rng) {
        let options = &self.assignment.options;
        while !self.stopped.load(Relaxed) {
            let (key, tagged) = entries[rng.usize(..entries.len())];
            let pause = options.pause.mul_f64(rng.f64());
            let patience = self.patience(READS, &mut rng);
            let begin = now();
            let answer = patience.with(self.read(key, tagged, pause)).await;
            let end = now();
            if options.l1 > 0 {
                // A hit in the L1 awaits nothing: nobody else would have a turn.
                tokio::time::sleep(BETWEEN).await;
            }
            match answer {
                Some(Ok(Answer { version, loaded })) => {
                    let kind = match (tagged, loaded) {
                        (false, false) => Kind::Hit,
                        (false, true) => Kind::Miss,
                        (true, false) => Kind::TagHit,
                        (true, true) => Kind::TagMiss,
                    };
                    self.log(Event { begin, end, version, key, instance: 0, kind });
                }
                Some(Err(error)) => {
                    self.failed(&self.read_errors, error.to_string());
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                None => {
                    self.cancelled.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// A write that fails or is dropped is no event: it may have been made, and it has not returned.
    async fn write_on(self: Arc<Self>, mut rng: fastrand::Rng) {
        let options = &self.assignment.options;
        while !self.stopped.load(Relaxed) {
            tokio::time::sleep(options.write_pause.mul_f64(rng.f64())).await;
            let key = rng.u16(..options.keys);
            let way = [Way::Within, Way::Begin, Way::Through][rng.usize(..3)];
            let patience = self.patience(WRITES, &mut rng);
            let begin = now();
            match patience.with(self.write(key, way)).await {
                Some(Ok(version)) => {
                    self.log(Event { begin, end: now(), version, key, instance: 0, kind: Kind::Write });
                }
                Some(Err(error)) => self.failed(&self.write_errors, error),
                None => {
                    self.cancelled.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// Reads every key once more, twice: what the first reading filled must be right as well.
    pub(super) async fn rest(&self) -> Result<(), String> {
        let deadline = Instant::now() + REST_BOUND;
        for _ in 0..2 {
            for (key, tagged) in self.assignment.entries() {
                let (begin, answer) = loop {
                    let begin = now();
                    match self.read(key, tagged, Duration::ZERO).await {
                        Ok(answer) => break (begin, answer),
                        Err(error) if Instant::now() >= deadline => return Err(error.to_string()),
                        Err(_) => tokio::time::sleep(AFTER_ERROR).await,
                    }
                };
                let (end, version) = (now(), answer.version);
                self.log(Event { begin, end, version, key, instance: 0, kind: Kind::Rest });
            }
        }
        Ok(())
    }

    fn log(&self, event: Event) {
        self.log.add(Event { instance: self.assignment.number, ..event });
    }
}
