//! Commands to the store under a deadline and the breaker. Refuses to tell a late answer from none.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use crate::breaker::Touched;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Store;

impl Core {
    /// Asks the store on the read path: at once refused while a breaker of the shards is open, given up at the read deadline.
    pub(super) async fn ask<T>(
        &self,
        touched: &Touched,
        command: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if !self.breakers.allow(touched, self.clock.monotonic()) {
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "it failed several times in a row and rests",
            ));
        }
        let answer = within(self.settings.read_deadline, command).await;
        match &answer {
            // A server that says no is there: only what it was asked for is wrong.
            Err(error) if error.kind() != StoreErrorKind::Rejected => {
                self.breakers.failed(touched, self.clock.monotonic())
            }
            _ => self.breakers.succeeded(touched),
        }
        answer
    }

    /// The store, unless the cache is off.
    pub(super) fn store(&self) -> Option<&Arc<dyn Store>> {
        self.store.as_ref()
    }
}

/// Gives a command up after a while; it may still be carried out.
pub(super) async fn within<T>(
    deadline: Duration,
    command: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(deadline, command).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::new(StoreErrorKind::TimedOut, format!("no answer within {deadline:?}"))),
    }
}
