//! Drops futures before they are done. Refuses to choose by itself: how long one may live is decided before it begins.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

/// How long a future may live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// To its end.
    Endless,
    /// So many polls: it is dropped at one of its awaits, when that has something to tell.
    Polls(u32),
    /// So long: it is dropped in the middle of one of its awaits.
    Time(Duration),
}

impl Patience {
    /// Cuts one future in `of` short.
    pub(super) fn of_one_in(of: u32, rng: &mut fastrand::Rng) -> Self {
        match rng.u32(..of) {
            0 if rng.bool() => Self::Polls(rng.u32(0..=8)),
            0 => Self::Time(Duration::from_millis(rng.u64(0..=6))),
            _ => Self::Endless,
        }
    }

    /// Runs a future as long as this says; `None` if it was dropped before it was done.
    pub(super) async fn with<F: Future>(self, future: F) -> Option<F::Output> {
        match self {
            Self::Endless => Some(future.await),
            Self::Polls(left) => Counted { future: pin!(future), left }.await,
            Self::Time(time) => tokio::time::timeout(time, future).await.ok(),
        }
    }
}

struct Counted<'f, F> {
    future: Pin<&'f mut F>,
    left: u32,
}

impl<F: Future> Future for Counted<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
        self.left = left;
        self.future.as_mut().poll(context).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn three_awaits() -> &'static str {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        "done"
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_is_dropped_when_patience_ends_and_not_before() {
        assert_eq!(Patience::Endless.with(three_awaits()).await, Some("done"));
        assert_eq!(Patience::Polls(4).with(three_awaits()).await, Some("done"));
        assert_eq!(Patience::Polls(3).with(three_awaits()).await, None);
        assert_eq!(Patience::Polls(0).with(three_awaits()).await, None);
        let long = Duration::from_millis(5);
        assert_eq!(Patience::Time(long).with(tokio::time::sleep(2 * long)).await, None);
        assert_eq!(Patience::Time(2 * long).with(tokio::time::sleep(long)).await, Some(()));
    }

    #[test]
    fn one_in_so_many_is_cut_short() {
        let mut rng = fastrand::Rng::with_seed(1);
        let cut = (0..8_000).filter(|_| Patience::of_one_in(8, &mut rng) != Patience::Endless).count();
        assert!((800..1_200).contains(&cut), "{cut}");
    }
}
