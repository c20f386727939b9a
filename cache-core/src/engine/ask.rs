//! Commands to the store under a deadline and the breaker. Refuses to tell a late answer from none.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::trust::DISTRUSTED;
use crate::breaker::Touched;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::Store;

/// Entries of a pipeline that take no longer than a command.
const A_COMMAND: usize = 250;

/// A timer that goes off this much too late is one of a process that did not run.
const PAUSED: Duration = Duration::from_millis(5);

impl Core {
    /// Asks the store on the read path: at once refused while a breaker of the shards is open, given up at the read deadline.
    pub(super) async fn ask<T>(
        &self,
        touched: &Touched,
        command: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.trusts()?;
        if !self.breakers.allow(touched, self.clock.monotonic()) {
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "it failed several times in a row and rests",
            ));
        }
        let answer = match self.answer(self.settings.read_deadline, command).await {
            Some(answer) => answer,
            None => Err(late(self.settings.read_deadline)),
        };
        match &answer {
            // A server that says no is there: only what it was asked for is wrong.
            Err(error) if error.kind() != StoreErrorKind::Rejected => {
                self.doubts(error);
                self.breakers.failed(touched, self.clock.monotonic())
            }
            _ => self.breakers.succeeded(touched),
        }
        answer
    }

    /// As [`ask`](Self::ask), for many entries in one round trip. A pipeline takes longer than a command: it has the deadline of
    /// one for each 250 entries that were begun.
    pub(super) async fn ask_many<T>(
        &self,
        touched: &Touched,
        entries: usize,
        command: impl Future<Output = Vec<Result<T, StoreError>>>,
    ) -> Vec<Result<T, StoreError>> {
        let failed = |kind, why: &str| (0..entries).map(|_| Err(StoreError::new(kind, why))).collect();
        if self.trusts().is_err() {
            return failed(StoreErrorKind::Unavailable, DISTRUSTED);
        }
        if !self.breakers.allow(touched, self.clock.monotonic()) {
            return failed(StoreErrorKind::Unavailable, "it failed several times in a row and rests");
        }
        let patience = u32::try_from(entries.div_ceil(A_COMMAND)).unwrap_or(u32::MAX).max(1);
        let deadline = self.settings.read_deadline.saturating_mul(patience);
        let Some(answers) = self.answer(deadline, command).await else {
            self.breakers.failed(touched, self.clock.monotonic());
            return failed(StoreErrorKind::TimedOut, "no answer in time");
        };
        let is_silent = |answer: &Result<T, StoreError>| matches!(answer, Err(error) if error.kind() != StoreErrorKind::Rejected);
        if answers.iter().any(is_silent) {
            answers.iter().filter_map(|answer| answer.as_ref().err()).for_each(|error| self.doubts(error));
            self.breakers.failed(touched, self.clock.monotonic());
        } else {
            self.breakers.succeeded(touched);
        }
        answers
    }

    /// Waits for an answer until the deadline. The time of a process that did not run is not the store's: the answer may be there
    /// and not read, so it has the deadline once more.
    async fn answer<T>(&self, deadline: Duration, command: impl Future<Output = T>) -> Option<T> {
        let (mut command, since) = (pin!(command), self.clock.monotonic());
        if let Ok(answer) = tokio::time::timeout(deadline, &mut command).await {
            return Some(answer);
        }
        let took = self.clock.monotonic().saturating_sub(since);
        if took < deadline.saturating_add(PAUSED) {
            return None;
        }
        tokio::time::timeout(deadline, command).await.ok()
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
        Err(_) => Err(late(deadline)),
    }
}

fn late(deadline: Duration) -> StoreError {
    StoreError::new(StoreErrorKind::TimedOut, format!("no answer within {deadline:?}"))
}
