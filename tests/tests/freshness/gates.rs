//! Places where a script stops whoever comes by. Refuses to guess: an order of events is forced, never slept for.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// A place in a repository or in a naive cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// The loader has read the row and has not returned it yet.
    Loaded,
    /// A naive write has invalidated for the first time, and has not changed the row yet.
    Invalidated,
    /// A naive write has changed the row, and has not invalidated for the last time.
    Committed,
}

/// One passer-by who was told to wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    reached: Notify,
    released: Notify,
}

impl Held {
    /// Waits until somebody stands there.
    pub(crate) async fn reached(&self) {
        self.0.reached.notified().await;
    }

    /// Lets him go on.
    pub(crate) fn release(&self) {
        self.0.released.notify_one();
    }
}

/// The gates of one instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates(Arc<Mutex<Vec<(Point, Held)>>>);

impl Gates {
    /// The next one who comes to this point waits there.
    pub(crate) fn hold(&self, point: Point) -> Held {
        let held = Held::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((point, held.clone()));
        held
    }

    pub(crate) async fn pass(&self, point: Point) {
        let held = {
            let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let at = closed.iter().position(|(closed, _)| *closed == point);
            at.map(|at| closed.remove(at).1)
        };
        if let Some(Held(gate)) = held {
            gate.reached.notify_one();
            gate.released.notified().await;
        }
    }
}
