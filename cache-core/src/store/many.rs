//! Many commands side by side, for stores that have no pipeline. Refuses to drop one because another has failed.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use super::{Answers, StoreResult};

/// Asks for each request by itself, all at once: what a store's commands for many entries do unless it knows better.
pub fn side_by_side<'a, R, T: Send + 'a>(
    requests: &'a [R],
    ask: impl Fn(&'a R) -> StoreResult<'a, T>,
) -> Answers<'a, T> {
    Box::pin(all(requests.iter().map(ask).collect()))
}

enum Run<F, T> {
    Going(F),
    Over(T),
}

/// Runs futures side by side to the end of each; their outputs in order.
pub(crate) async fn all<'a, T: 'a>(futures: Vec<Pin<Box<dyn Future<Output = T> + Send + 'a>>>) -> Vec<T> {
    let mut runs: Vec<_> = futures.into_iter().map(Run::Going).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{StoreError, StoreErrorKind};

    #[tokio::test]
    async fn answers_come_in_order_and_one_failure_is_one() {
        let slow = |turns: &u32| -> StoreResult<'_, u32> {
            let turns = *turns;
            Box::pin(async move {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                if turns == 0 { Err(StoreError::new(StoreErrorKind::Rejected, "none")) } else { Ok(turns) }
            })
        };
        let answers = side_by_side(&[3, 0, 2], slow).await;
        assert!(matches!(answers[..], [Ok(3), Err(_), Ok(2)]), "{answers:?}");
        assert!(side_by_side(&[0; 0], slow).await.is_empty());
    }
}
