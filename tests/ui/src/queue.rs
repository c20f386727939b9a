//! A queue without a journal: it remembers what it was given.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::journal::WriteBehind;
use cache_core::site::QueueSite;
use cache_core::store::BoxFuture;

/// A write with its template and key.
type Write<V> = (&'static str, String, V);

/// Writes in the order they came.
#[derive(Clone, Debug)]
pub struct Queue<V>(Arc<Mutex<Vec<Write<V>>>>, usize);

/// The queue takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("full")
    }
}

impl std::error::Error for Full {}

impl<V: Clone> Queue<V> {
    /// A queue that takes so many.
    #[must_use]
    pub fn of(size: usize) -> Self {
        Self(Arc::default(), size)
    }

    /// What it was given.
    #[must_use]
    pub fn writes(&self) -> Vec<Write<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<V: Clone + Send + 'static> WriteBehind<V> for Queue<V> {
    type Error = Full;

    fn write_behind<'a>(
        &'a self,
        site: &'static QueueSite,
        key: String,
        value: &V,
    ) -> BoxFuture<'a, Result<(), Full>> {
        let write = (site.template, key, value.clone());
        Box::pin(async move {
            super::ledger::give_way().await;
            let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if writes.len() >= self.1 {
                return Err(Full);
            }
            writes.push(write);
            Ok(())
        })
    }
}
