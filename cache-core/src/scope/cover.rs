//! What one fence covers for many transactions. Refuses to be lifted while one of them commits under it.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use crate::subject::Subject;

/// Subjects that are fenced until [`close`](Self::close): transactions need not fence them again. Clones are the same cover.
#[derive(Clone, Debug)]
pub struct Cover {
    subjects: Arc<HashSet<Subject>>,
    stands: Arc<RwLock<bool>>,
}

/// Keeps a cover from being closed.
#[derive(Debug)]
pub(crate) struct Held {
    subjects: Arc<HashSet<Subject>>,
    _guard: OwnedRwLockReadGuard<bool>,
}

impl Held {
    pub(super) fn covers(&self, subject: &Subject) -> bool {
        self.subjects.contains(subject)
    }
}

impl Cover {
    /// A cover of what is fenced now.
    #[must_use]
    pub fn new(subjects: &[Subject]) -> Self {
        Self { subjects: Arc::new(subjects.iter().cloned().collect()), stands: Arc::new(RwLock::new(true)) }
    }

    /// Waits for the transactions that commit under it, and ends it: later ones fence for themselves. Call it before the fence
    /// is lifted.
    pub async fn close(&self) {
        *self.stands.write().await = false;
    }

    pub(super) fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.subjects.iter()
    }

    /// Keeps it from being closed; `None` if it is.
    pub(super) async fn hold(&self) -> Option<Held> {
        let guard = self.stands.clone().read_owned().await;
        (*guard).then(|| Held { subjects: self.subjects.clone(), _guard: guard })
    }
}
