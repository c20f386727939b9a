//! Waiting for a load in the background, this instance's or another's, for as long as the soft timeout says. Refuses to let one
//! caller wait and the others not.

use std::time::Duration;

use super::behind::{Awaited, Ending};
use super::load::{FIRST_PAUSE, LAST_PAUSE, Reader};
use crate::loading;
use crate::mode::Outcome as Answered;
use crate::output::Output;
use crate::stampede::Standing;

impl<O: Output> Reader<'_, O> {
    /// Waits for a load; `None` if there is nothing, or nothing in time.
    pub(super) async fn within_soft(&self, soft: Duration, renewed: Option<Awaited>) -> Option<O> {
        match tokio::time::timeout(soft, self.awaits(renewed?)).await {
            Ok(output) => output,
            Err(_) => {
                self.plan.state.counters.soft_timeouts.add();
                None
            }
        }
    }

    async fn awaits(&self, mut renewed: Awaited) -> Option<O> {
        match renewed.ending().await {
            Ending::Value { value, is_tainted, is_skipped } => {
                let output = Self::typed(value).and_then(Self::hand_out)?;
                loading::inherit(is_tainted, is_skipped);
                if renewed.is_another_s() {
                    self.plan.state.counters.joined.add();
                }
                self.tell(|call| call.outcome = Answered::Joined);
                Some(output)
            }
            Ending::Failed => None,
            Ending::LookAgain => self.look_until_renewed().await,
        }
    }

    /// Looks until another caller's or another instance's value is there; `None` if none is to be expected.
    async fn look_until_renewed(&self) -> Option<O> {
        let mut pause = FIRST_PAUSE;
        loop {
            // The store failed, a write came in between, or a loader failed here.
            let alive = self.look().await?;
            match alive.standing {
                Standing::Current | Standing::Early => {
                    self.tell_hit(Answered::Awaited, &alive);
                    return Self::hand_out(alive.value);
                }
                _ if self.is_resting() => return None,
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
        }
    }
}
