//! What comes next, drawn by weight among all that can. Refuses to favour order: what was sent first is not likelier.

use super::Driver;

/// The next thing to happen.
pub(super) enum Next {
    Poll(usize),
    Deliver(usize),
    Start,
    Wait,
}

impl Driver {
    pub(super) fn next(&mut self) -> Next {
        const POLL: u32 = 8;
        const START: u32 = 5;
        let mut state = self.world.lock();
        let may_start = !self.calls.is_empty() && self.tasks.len() < self.plan.width;
        let mut total = if may_start { START } else { 0 };
        total += POLL * u32::try_from(self.tasks.iter().filter(|task| task.is_ready()).count()).unwrap_or(0);
        for message in &state.messages {
            total += if state.is_deliverable(message) { message.weight } else { 0 };
        }
        if total == 0 {
            return Next::Wait;
        }
        let mut dice = state.rng.u32(..total);
        let mut falls = |weight: u32| {
            let hit = dice < weight;
            dice = dice.saturating_sub(weight);
            hit
        };
        if may_start && falls(START) {
            return Next::Start;
        }
        for (place, task) in self.tasks.iter().enumerate() {
            if task.is_ready() && falls(POLL) {
                return Next::Poll(place);
            }
        }
        for (place, message) in state.messages.iter().enumerate() {
            if state.is_deliverable(message) && falls(message.weight) {
                return Next::Deliver(place);
            }
        }
        Next::Wait
    }
}
