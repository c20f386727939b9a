//! Drains a journal into the database for as long as the queue lives. Refuses to give up: what the database refuses for now is tried
//! again, what it refuses for good is put aside, and everything behind it goes on.

use std::sync::Arc;
use std::time::Duration;

use cache_core::Cacheable;
use cache_core::journal::Position;
use tokio::sync::watch;

use super::step::{Owed, Place, Step, Trouble};
use super::{Flush, Shared};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// How soon one looks whether another instance, which has the queue, is still there.
const ELSEWHERE: Duration = Duration::from_millis(200);

pub(super) struct Flusher<F> {
    pub(super) shared: Arc<Shared>,
    pub(super) flush: F,
    pub(super) ends: watch::Receiver<bool>,
    /// How many records the next batch takes; fewer while one of them is refused.
    pub(super) size: usize,
    pub(super) refused: u32,
    pub(super) pause: Duration,
    /// What this one has applied and not settled yet.
    pub(super) owed: Owed,
}

impl<F> Flusher<F> {
    pub(super) async fn run<V: Cacheable>(mut self)
    where
        F: Flush<V>,
    {
        let mut ends = self.ends.clone();
        tokio::select! {
            biased;
            // Where it is dropped the transaction is rolled back, or was made: the position says which.
            _ = ends.wait_for(|ends| *ends) => {}
            () = async { loop { self.once::<V>().await } } => {}
        }
    }

    async fn once<V: Cacheable>(&mut self)
    where
        F: Flush<V>,
    {
        let shared = self.shared.clone();
        let place = shared.place();
        let outcome = place.flush(&self.flush, self.size, &self.owed).await;
        if !matches!(outcome, Ok(Step::Applied { .. })) {
            // What the flush before has applied is settled together with the next, if there is one.
            self.settles(&place).await;
        }
        match outcome {
            Ok(Step::Applied { records, writes, last, subjects }) => {
                shared.counters.applied(records, writes);
                self.went_well();
                let before = std::mem::replace(&mut self.owed, Owed { subjects, applied: last });
                self.trims(before.applied).await;
                if records < self.size {
                    self.settles(&place).await;
                    self.gathers(last).await;
                }
            }
            Ok(Step::Nothing(applied)) => {
                self.went_well();
                // What another instance applied may still stand in the journal.
                self.trims(applied).await;
                self.gathers(applied).await;
            }
            Ok(Step::Elsewhere) => tokio::time::sleep(ELSEWHERE).await,
            Err(Trouble::Poison { records, .. }) if records > 1 => {
                // One of them is the reason: halves find it.
                self.size = (records / 2).max(1);
                shared.counters.retries.add();
            }
            Err(Trouble::Poison { after, attempts, reason, .. }) => {
                self.refused += 1;
                shared.counters.retries.add();
                if self.refused < attempts {
                    return self.rests(&reason).await;
                }
                match place.bury(after, &reason).await {
                    Ok(Step::Applied { last, subjects, .. }) => {
                        shared.counters.dead.add();
                        self.went_well();
                        self.owed = Owed { subjects, applied: last };
                        self.settles(&place).await;
                    }
                    Ok(_) => {}
                    Err(Trouble::Away(why) | Trouble::Poison { reason: why, .. }) => self.rests(&why).await,
                }
            }
            Err(Trouble::Away(why)) => {
                shared.counters.retries.add();
                self.rests(&why).await;
            }
        }
    }

    /// Tells the store what the database has, until it has heard. Nothing is trimmed before, so that whoever takes over can.
    async fn settles(&mut self, place: &Place<'_>) {
        if self.owed.subjects.is_empty() && *self.shared.applied.borrow() >= self.owed.applied {
            return;
        }
        while let Err(Trouble::Away(why) | Trouble::Poison { reason: why, .. }) =
            place.settle(&self.owed.subjects, self.owed.applied).await
        {
            self.rests(&why).await;
        }
        self.pause = FIRST_PAUSE;
        self.owed.subjects.clear();
        self.trims(self.owed.applied).await;
    }

    fn went_well(&mut self) {
        self.refused = 0;
        self.pause = FIRST_PAUSE;
        self.size = (self.size * 2).min(self.shared.batch);
    }

    async fn trims(&self, applied: Position) {
        self.shared.applied.send_if_modified(|last| {
            let is_later = applied > *last;
            *last = applied.max(*last);
            is_later
        });
        if let Err(error) = self.shared.journal.trim(applied).await {
            // The next flush trims further.
            tracing::warn!(%error, queue = %self.shared.name, "what is applied could not be trimmed");
        }
    }

    /// Waits for a record, and lets the next batch become worth a transaction.
    async fn gathers(&self, applied: Position) {
        let journal = &self.shared.journal;
        loop {
            journal.grown(applied).await;
            match journal.read(applied, 1).await {
                Ok(records) if records.is_empty() => {
                    tokio::time::sleep(self.shared.linger.max(Duration::from_millis(1))).await;
                    // Another instance has applied and trimmed what is waited for here: the database says how far.
                    if *self.shared.wanted.borrow() > applied {
                        return;
                    }
                }
                // What is wrong with it is told where it is flushed.
                Ok(_) | Err(_) => return tokio::time::sleep(self.shared.linger).await,
            }
        }
    }

    async fn rests(&mut self, why: &str) {
        if self.pause == FIRST_PAUSE {
            tracing::warn!(queue = %self.shared.name, why, "queued writes are not flushed yet; trying on");
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LAST_PAUSE);
    }
}

impl<F> Flusher<F> {
    pub(super) fn new(shared: Arc<Shared>, flush: F, ends: watch::Receiver<bool>) -> Self {
        let size = shared.batch;
        Self { shared, flush, ends, size, refused: 0, pause: FIRST_PAUSE, owed: Owed::default() }
    }
}
