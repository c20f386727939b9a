//! The calls that run: started on an instance, polled here and nowhere else. Refuses to poll what nobody has woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use cache_core::Cache;
use cache_core::rng::SystemRng;

use super::Driver;
use crate::app::App;
use crate::calls;
use crate::client::{Db, SimHealer};
use crate::plan::Call;
use crate::rules::Broken;
use crate::store::SimStore;
use crate::world::{Acting, Op, OpId, Watch};

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A call that runs.
pub(super) struct Task {
    pub(super) op: OpId,
    pub(super) process: usize,
    pub(super) call: Call,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    ready: Arc<Flag>,
}

impl Task {
    /// Whether something has happened that it waited for.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.0.load(Ordering::Relaxed)
    }
}

impl Driver {
    pub(super) fn start_instance(&mut self, instance: usize) {
        let (process, seed) = {
            let mut state = self.world.lock();
            let process = state.start(instance + 1);
            state.say(|_| format!("instance {} starts", instance + 1));
            (process, state.rng.u64(..))
        };
        let db = Db { world: self.world.clone(), process };
        // Half of the processes have an L1.
        let has_l1 = seed % 2 == 0;
        let mut builder = Cache::builder("sim")
            .store(SimStore { world: self.world.clone(), process })
            .profiles(self.profiles.clone())
            .clock(Arc::new(Watch(self.world.clone())))
            .rng(Arc::new(SystemRng::seeded(seed)));
        for broken in self.mutation.map_or(&[][..], |mutation| mutation.broken) {
            if let Broken::Engine(rule) = broken {
                builder = builder.without(*rule);
            }
        }
        if has_l1 {
            builder = builder.l1(1_000);
        }
        let cache = builder.build().expect("the simulated application has no mistake");
        cache.heal_with(Arc::new(SimHealer(db.clone())));
        self.apps.push(App { cache, db, count: self.plan.rows.len() });
        self.living[instance] = Some(process);
    }

    pub(super) fn poll(&mut self, place: usize) {
        let task = &mut self.tasks[place];
        task.ready.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(task.ready.clone());
        if task.future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending {
            return;
        }
        let Task { op, call, .. } = self.tasks.remove(place);
        if self.plan.probes {
            self.probe(op, &call);
        }
    }

    /// What ended is followed by a look at it, often enough to meet what it should not have left behind.
    pub(super) fn probe(&mut self, op: OpId, call: &Call) {
        let mut state = self.world.lock();
        let returned = state.facts.writes.get(&op).is_some_and(|write| write.returned.is_some());
        let rng = &mut state.rng;
        let written = if returned { call.written() } else { Vec::new() };
        if written.is_empty() || self.calls.len() >= 40 {
            return;
        }
        let row = written[rng.usize(..written.len())];
        // As somebody in this run reads it.
        let known = self.plan.calls.iter().flat_map(Call::reads).filter(|call| call.looks_at(row));
        let known: Vec<_> = known.cloned().collect();
        let probe = if known.is_empty() { Call::Row(row) } else { known[rng.usize(..known.len())].clone() };
        self.calls.push_front(probe);
    }

    pub(super) fn start_call(&mut self) {
        let Some(call) = self.calls.pop_front() else { return };
        let (mut instance, revives) = {
            let rng = &mut self.world.lock().rng;
            (rng.usize(..self.living.len()), rng.bool())
        };
        if self.living[instance].is_none() {
            match self.living.iter().position(Option::is_some) {
                Some(other) if !revives => instance = other,
                _ => self.start_instance(instance),
            }
        }
        let process = self.living[instance].expect("it was just started");
        self.begin(process, call, false);
    }

    pub(super) fn begin(&mut self, process: usize, call: Call, at_rest: bool) {
        self.last += 1;
        let op = self.last;
        {
            let mut state = self.world.lock();
            let weight = [1, 4, 8, 40][state.rng.usize(..4)];
            let is_alone = matches!(call, Call::Alone(_));
            state.ops.insert(op, Op { process, weight, is_alone });
        }
        let future = calls::make(self.apps[process].clone(), op, call.clone(), at_rest);
        let future = Acting { world: self.world.clone(), op, future: Box::pin(future) };
        let ready = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(Task { op, process, call, future: Box::pin(future), ready });
    }
}
