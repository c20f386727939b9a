//! When something goes wrong, and for whom. Refuses to spare the moment when it hurts most.

use super::Driver;
use super::tasks::Task;
use crate::faults::Fault;
use crate::plan::Call;

impl Driver {
    /// Some of what goes wrong does so soon after a write was fenced, became visible or returned.
    pub(super) fn is_time_for_trouble(&mut self) -> bool {
        if self.plan.faults.is_empty() {
            return false;
        }
        let mut state = self.world.lock();
        if let Some(process) = state.ripe.take()
            && state.rng.u8(..self.plan.trouble) == 0
        {
            self.trouble_in = Some(state.rng.u8(1..16));
            self.victim = Some(process);
        }
        self.trouble_in = self.trouble_in.map(|steps| steps - 1);
        let now = self.trouble_in == Some(0);
        if now {
            self.trouble_in = None;
        }
        now
    }

    pub(super) fn go_wrong(&mut self) -> Option<Fault> {
        let fault = {
            let rng = &mut self.world.lock().rng;
            self.plan.faults[rng.usize(..self.plan.faults.len())]
        };
        match fault {
            Fault::Cancel => {
                if self.tasks.is_empty() {
                    return None;
                }
                let place = self.world.lock().rng.usize(..self.tasks.len());
                let task = self.tasks.remove(place);
                {
                    let mut state = self.world.lock();
                    state.counts.cancelled += 1;
                    state.say(|state| format!("fault: {} goes away", state.who(task.process, Some(task.op))));
                    if matches!(task.call, Call::Alone(_)) {
                        state.facts.writes.entry(task.op).or_default().forsaken = true;
                    }
                }
                self.drop_task(task);
            }
            Fault::Crash => {
                let victim = self
                    .victim
                    .take()
                    .and_then(|victim| self.living.iter().position(|process| *process == Some(victim)));
                let place = victim.unwrap_or_else(|| self.world.lock().rng.usize(..self.living.len()));
                let process = self.living[place].take()?;
                self.world.lock().kill(process);
                let (dead, tasks) = std::mem::take(&mut self.tasks)
                    .into_iter()
                    .partition::<Vec<_>, _>(|task| task.process == process);
                self.tasks = tasks;
                dead.into_iter().for_each(|task| self.drop_task(task));
            }
            other => {
                let mut state = self.world.lock();
                state.suffer(other);
            }
        }
        Some(fault)
    }

    /// What a future sends when it is dropped is sent on behalf of its call.
    pub(super) fn drop_task(&self, task: Task) {
        self.world.lock().acting = Some(task.op);
        drop(task);
        self.world.lock().acting = None;
    }
}
