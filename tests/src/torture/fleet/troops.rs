//! What a nemesis may do to the processes of a run.

use std::sync::Arc;

use rustix::process::Signal;

use super::{Phase, Shared, Stage};

/// The processes of a run, to be signalled and replaced.
#[derive(Clone, Debug)]
pub struct Troops {
    shared: Arc<Shared>,
}

impl Troops {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// How many instances there are.
    #[must_use]
    pub fn count(&self) -> u8 {
        u8::try_from(self.shared.state().members.len()).unwrap_or(u8::MAX)
    }

    /// Sends a signal. Tells whether it hit a process that was reading and writing.
    pub fn signal(&self, number: u8, signal: Signal) -> bool {
        let mut state = self.shared.state();
        let member = &state.members[usize::from(number)];
        let (sent, stage) = (member.signal(signal), member.stage);
        state.census.kills += u64::from(sent && signal == Signal::KILL);
        sent && state.phase == Phase::Traffic && stage == Stage::Working
    }

    /// Lets everybody go on who was stopped.
    pub fn resume_all(&self) {
        for member in &self.shared.state().members {
            member.signal(Signal::CONT);
        }
    }

    /// The release that an instance runs, or will after its replacement.
    #[must_use]
    pub fn release(&self, number: u8) -> u32 {
        self.shared.state().members[usize::from(number)].release
    }

    /// Lets an instance end in order and be started again as the next release. Tells whether it was at work.
    pub fn replace(&self, number: u8) -> bool {
        let mut state = self.shared.state();
        let is_traffic = state.phase == Phase::Traffic;
        let member = &mut state.members[usize::from(number)];
        if !is_traffic || member.stage != Stage::Working {
            return false;
        }
        member.release += 1;
        member.stage = Stage::Leaving;
        member.tell("leave");
        true
    }
}
