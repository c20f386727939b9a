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

/// Key and payload.
type Record = (String, Bytes);
type Answer = oneshot::Sender<Result<(), QueueError>>;

/// What callers have handed in.
#[derive(Default)]
pub(super) struct Pushes(Mutex<State>);

#[derive(Default)]
struct State {
    /// With who waits.
    waiting: Vec<(Record, Answer)>,
    is_running: bool,
}

impl Pushes {
    /// Adds a write; where nobody carries them on, the turn to do it.
    fn add(pushes: &Arc<Self>, record: Record, answer: Answer) -> Option<Turn> {
        let mut state = pushes.state();
        state.waiting.push((record, answer));
        let is_first = !std::mem::replace(&mut state.is_running, true);
        is_first.then(|| Turn { pushes: pushes.clone(), is_over: false })
    }

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
        if let Some(turn) = Pushes::add(&self.pushes, (key, payload), answer) {
            tokio::spawn(Run(self.clone()).run(turn));
        }
        answered.await.unwrap_or_else(|_| Err(QueueError::unknown("its runtime was shut down")))
    }
}

/// The turn of the one who carries writes on. Dropped before it is over, it was cut short: those who wait are told.
struct Turn {
    pushes: Arc<Pushes>,
    is_over: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        // After its end the state is that of the next turn.
        if !self.is_over {
            let mut state = self.pushes.state();
            state.is_running = false;
            state.waiting.clear();
        }
    }
}

impl Turn {
    /// What is to be made durable next. `None` ends the turn: there is nothing, and what came before is done.
    fn next(&mut self, is_done: bool) -> Option<Vec<(Record, Answer)>> {
        let mut state = self.pushes.state();
        if state.waiting.is_empty() && is_done {
            state.is_running = false;
            self.is_over = true;
            return None;
        }
        let count = state.waiting.len().min(AT_ONCE);
        Some(state.waiting.drain(..count).collect())
    }
}

/// The task that carries writes on until there are none.
struct Run(Arc<Shared>);

impl Run {
    async fn run(self, mut turn: Turn) {
        let mut entered = Vec::new();
        while let Some(batch) = turn.next(entered.is_empty()) {
            // What was just made durable is shown while the next is made durable.
            (entered, ()) = tokio::join!(self.enter(batch), self.show(take(&mut entered)));
        }
    }

    /// Appends writes; gives those that readers are to be shown, and answers the others.
    async fn enter(&self, batch: Vec<(Record, Answer)>) -> Vec<Entered> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn add(pushes: &Arc<Pushes>) -> (Option<Turn>, oneshot::Receiver<Result<(), QueueError>>) {
        let (answer, answered) = oneshot::channel();
        (Pushes::add(pushes, ("user:1".to_owned(), Bytes::new()), answer), answered)
    }

    #[test]
    fn a_turn_that_is_over_does_not_end_the_next_one() {
        let pushes = Arc::<Pushes>::default();
        let (turn, _first) = add(&pushes);
        let mut turn = turn.expect("nobody carries them on");
        assert!(add(&pushes).0.is_none(), "somebody does");
        assert_eq!(turn.next(true).map(|batch| batch.len()), Some(2));
        assert!(turn.next(true).is_none());
        // Another thread, before the task of the first turn is gone.
        let (next, mut answered) = add(&pushes);
        let mut next = next.expect("the first turn is over");
        drop(turn);
        assert!(answered.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        assert!(add(&pushes).0.is_none(), "the second one goes on");
        assert_eq!(next.next(true).map(|batch| batch.len()), Some(2));
    }

    #[test]
    fn a_turn_that_is_cut_short_tells_those_who_wait_and_leaves_the_next_to_come() {
        let pushes = Arc::<Pushes>::default();
        let (turn, mut answered) = add(&pushes);
        drop(turn);
        assert!(answered.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        assert!(add(&pushes).0.is_some());
    }
}
