//! Waiting for a load in the background, this instance's or another's, for as long as the soft timeout says. Refuses to let one
//! caller wait and the others not.

use std::time::Duration;

use super::behind::{Awaited, Ending};
use super::load::Reader;
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
                if renewed.is_anothers() {
                    self.plan.state.counters.joined.add();
                }
                self.tell(|call| call.outcome = Answered::Joined);
                Some(output)
            }
            Ending::Failed => None,
            Ending::LookAgain => {
                let alive = self.look().await?;
                if !matches!(alive.standing, Standing::Current | Standing::Early) {
                    return None;
                }
                self.tell_hit(Answered::Awaited, &alive);
                Self::hand_out(alive.value)
            }
        }
    }
}
