//! Steps for subjects, and what came of each. Refuses to know where a subject is: see [`super::nodes`].

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use redis::Value;

use super::link::{Link, Step};
use crate::error::StoreError;
use crate::subject::{Epoch, Subject};

/// One step that concerns one subject. Its words may name the epoch of the server that it goes to.
pub(super) struct Job<'a> {
    pub(super) subject: &'a Subject,
    pub(super) step: Box<dyn Fn(Epoch) -> Step + Send + Sync + 'a>,
    /// Where the slot is being imported: whether to go there, or to take the value for missing.
    pub(super) follows: Follows,
    /// What to do when the connection breaks while nobody knows whether the step was carried out.
    pub(super) when_lost: WhenLost,
}

/// Whether a step may be sent a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenLost {
    /// It may: carried out twice, it is as carried out once.
    Again,
    /// It may not, or its answer would be another one.
    Fail,
}

/// What to do when a server says that a value may be at the node which imports the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// Go there.
    Imports,
    /// It is missing. For reads: what lies there may have come from anywhere, and the importing node begins its new epoch
    /// only when it has the whole slot, so nothing there is known to be valid before.
    Nothing,
}

impl<'a> Job<'a> {
    pub(super) fn new(subject: &'a Subject, step: impl Fn(Epoch) -> Step + Send + Sync + 'a) -> Self {
        Self { subject, step: Box::new(step), follows: Follows::Imports, when_lost: WhenLost::Fail }
    }

    /// A step that may be carried out twice.
    pub(super) fn idempotent(subject: &'a Subject, step: impl Fn(Epoch) -> Step + Send + Sync + 'a) -> Self {
        Self { when_lost: WhenLost::Again, ..Self::new(subject, step) }
    }

    /// A read whose answer counts only where the slot belongs.
    pub(super) fn read(subject: &'a Subject, step: impl Fn(Epoch) -> Step + Send + Sync + 'a) -> Self {
        Self { follows: Follows::Nothing, ..Self::idempotent(subject, step) }
    }
}

/// What came of a step.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) value: Value,
    /// The connection that answered.
    pub(super) link: Arc<Link>,
    /// Whether it was answered in the pipeline it was first sent in, so after the steps before it and before those after it.
    pub(super) in_order: bool,
}

/// What to do where not all servers can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Send nothing: a part would be of no use.
    All,
    /// Send to those that can be reached, and then say that it was not all.
    Any,
}

/// Runs futures side by side to the end of each; none is dropped because another has failed.
pub(super) async fn all<T>(futures: Vec<impl Future<Output = T> + Send>) -> Vec<T> {
    if futures.len() == 1 {
        // The usual case needs no box.
        let mut outputs = Vec::with_capacity(1);
        for future in futures {
            outputs.push(future.await);
        }
        return outputs;
    }
    enum Run<F, T> {
        Going(Pin<Box<F>>),
        Over(T),
    }
    let mut runs: Vec<_> = futures.into_iter().map(|future| Run::Going(Box::pin(future))).collect();
    poll_fn(|cx| {
        let mut is_over = true;
        for run in &mut runs {
            if let Run::Going(future) = run {
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => *run = Run::Over(output),
                    Poll::Pending => is_over = false,
                }
            }
        }
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let output = |run| match run {
        Run::Over(output) => Some(output),
        Run::Going(_) => None,
    };
    runs.into_iter().filter_map(output).collect()
}

/// All steps on one connection.
pub(super) async fn on_one(link: Arc<Link>, jobs: &[Job<'_>]) -> Result<Vec<Done>, StoreError> {
    let steps: Vec<_> = jobs.iter().map(|job| (job.step)(link.epoch)).collect();
    let values = link.send_all(&steps).await?;
    Ok(values.into_iter().map(|value| Done { value, link: link.clone(), in_order: true }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn outputs_come_in_the_order_of_the_futures() {
        let slow = |turns: u32| async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            turns
        };
        assert_eq!(all([3, 0, 2].map(slow).into()).await, [3, 0, 2]);
        assert_eq!(all([1].map(slow).into()).await, [1]);
        assert!(all([0; 0].map(slow).into()).await.is_empty());
    }
}
