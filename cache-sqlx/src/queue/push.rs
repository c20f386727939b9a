//! Writes on their way into the journal and before readers: what came while one command was under way goes with the next, whoever it is
//! from. Refuses to let a caller who goes away take others with him.

use std::mem::take;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cache_core::journal::Position;
use cache_core::store::PendRequest;
use cache_core::subject::EntryKey;
use tokio::sync::oneshot;

use super::error::QueueError;
use super::{Shared, payload};

/// Writes of one command at most.
const AT_ONCE: usize = 500;

type Answer = oneshot::Sender<Result<(), QueueError>>;

/// What callers have handed in.
#[derive(Default)]
pub(super) struct Pushes(Mutex<State>);

#[derive(Default)]
struct State {
    /// Key, payload, and who waits.
    waiting: Vec<((String, Bytes), Answer)>,
    is_running: bool,
}

impl Pushes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write that the journal has, and that readers are not shown yet.
struct Entered {
    key: EntryKey,
    position: Position,
    payload: Bytes,
    answer: Answer,
}

impl Shared {
    /// Queues a write and shows it to the readers of its key. Once polled it goes on without its caller.
    pub(super) async fn push_shown(self: &Arc<Self>, key: String, payload: Bytes) -> Result<(), QueueError> {
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut state = self.pushes.state();
            state.waiting.push(((key, payload), answer));
            !std::mem::replace(&mut state.is_running, true)
        };
        if is_first {
            tokio::spawn(Run(self.clone()).run());
        }
        answered.await.unwrap_or_else(|_| Err(QueueError::unknown("its runtime was shut down")))
    }
}

/// The task that carries writes on until there are none.
struct Run(Arc<Shared>);

impl Drop for Run {
    /// Nothing is left, unless it was cut short: then those who wait are told.
    fn drop(&mut self) {
        let mut state = self.0.pushes.state();
        if state.is_running {
            state.is_running = false;
            state.waiting.clear();
        }
    }
}

impl Run {
    async fn run(self) {
        let mut entered = Vec::new();
        while let Some(batch) = self.next(entered.is_empty()) {
            // What was just made durable is shown while the next is made durable.
            (entered, ()) = tokio::join!(self.enter(batch), self.show(take(&mut entered)));
        }
    }

    /// What is to be made durable next. `None` ends the run: there is nothing, and what came before is done.
    fn next(&self, is_done: bool) -> Option<Vec<((String, Bytes), Answer)>> {
        let mut state = self.0.pushes.state();
        if state.waiting.is_empty() && is_done {
            state.is_running = false;
            return None;
        }
        let count = state.waiting.len().min(AT_ONCE);
        Some(state.waiting.drain(..count).collect())
    }

    /// Appends writes; gives those that readers are to be shown, and answers the others.
    async fn enter(&self, batch: Vec<((String, Bytes), Answer)>) -> Vec<Entered> {
        let Shared { journal, applied, .. } = &*self.0;
        if batch.is_empty() {
            return Vec::new();
        }
        let (records, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let before = *applied.borrow();
        let positions = journal.append_many(&records).await;
        let mut entered = Vec::with_capacity(records.len());
        for (((key, payload), answer), position) in records.into_iter().zip(answers).zip(positions) {
            let outcome = position.map_err(QueueError::from).and_then(|position| {
                self.0.is_new(position, before)?;
                Ok((position, payload::shown(&payload)))
            });
            match outcome {
                Ok((position, Some((field, payload)))) => {
                    let key = EntryKey { subject: self.0.place().subject(&key), field };
                    entered.push(Entered { key, position, payload, answer });
                }
                // Who has gone away need not hear it.
                Ok((_, None)) => drop(answer.send(Ok(()))),
                Err(error) => drop(answer.send(Err(error))),
            }
        }
        entered
    }

    async fn show(&self, entered: Vec<Entered>) {
        let Shared { cache, journal, .. } = &*self.0;
        let journal = journal.id();
        let mut writes = Vec::with_capacity(entered.len());
        for Entered { key, position, payload, .. } in &entered {
            writes.push(PendRequest { key, journal, position: *position, payload });
        }
        let shown = cache.pend(&writes).await;
        for (Entered { answer, .. }, shown) in entered.into_iter().zip(shown) {
            drop(answer.send(shown.map_err(QueueError::unshown)));
        }
    }
}
