//! The scheduler: which call is polled, which message arrives, how time passes and what goes wrong is drawn from the seed, one
//! step after the other. Refuses to let tokio choose: calls are polled here, and what the engine spawns runs until it waits.

mod choice;
mod rest;
mod tasks;
mod trouble;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cache_core::policy::Profiles;

use self::choice::Next;
use self::tasks::Task;
use crate::app::App;
use crate::check::{Promise, Violation};
use crate::faults::Fault;
use crate::plan::{Call, Plan};
use crate::rules::Mutation;
use crate::variety;
use crate::world::{OpId, World};

/// More steps than any run needs that comes to rest.
const MOST_STEPS: u64 = 50_000;
/// More time than anything waits.
const MOST_IDLE: Duration = Duration::from_secs(120);

/// Longer than anybody waits where nothing goes wrong, and shorter than anybody's patience with another's load.
const LONGEST_STALL: Duration = Duration::from_secs(1);

/// One run.
pub struct Driver {
    world: Arc<World>,
    plan: Plan,
    /// Of all instances.
    profiles: Profiles,
    mutation: Option<&'static Mutation>,
    apps: Vec<App>,
    /// The living process of each instance.
    living: Vec<Option<usize>>,
    tasks: Vec<Task>,
    calls: VecDeque<Call>,
    last: OpId,
    idle: Duration,
    /// For how long nothing has happened at all.
    stalled: Duration,
    /// Steps until something goes wrong.
    trouble_in: Option<u8>,
    /// Whose write was half-way then.
    victim: Option<usize>,
}

impl Driver {
    pub fn new(world: Arc<World>, plan: Plan, mutation: Option<&'static Mutation>) -> Self {
        let (calls, living) = (plan.calls.clone().into(), vec![None; plan.instances]);
        Self {
            world,
            profiles: variety::profiles(plan.choices[0]),
            plan,
            mutation,
            apps: Vec::new(),
            living,
            tasks: Vec::new(),
            calls,
            last: 0,
            idle: Duration::ZERO,
            stalled: Duration::ZERO,
            trouble_in: None,
            victim: None,
        }
    }

    /// Runs the plan, lets the system come to rest, and reads it once more.
    pub async fn run(mut self) -> Vec<Violation> {
        for instance in 0..self.living.len() {
            self.start_instance(instance);
        }
        let is_calm = self.plan.faults.is_empty();
        while !(self.calls.is_empty() && self.tasks.is_empty()) {
            if !self.step().await {
                return self.ends(vec![Violation::of_run(Promise::Rest)]);
            }
            if self.stalled > LONGEST_STALL && is_calm {
                return self.ends(vec![Violation::of_run(Promise::Moves)]);
            }
        }
        self.world.lock().say(|_| "no call is left; nothing goes wrong any more".into());
        self.world.lock().odds = crate::world::Odds::default();
        self.plan.faults.clear();
        self.plan.replication = 0;
        self.plan.fault_rate = 0;
        self.come_to_rest().await;
        for call in self.rest_calls() {
            for instance in 0..self.living.len() {
                let Some(process) = self.living[instance] else { continue };
                self.begin(process, call.clone(), true);
                while !self.tasks.is_empty() {
                    if !self.step().await {
                        return self.ends(vec![Violation::of_run(Promise::Rest)]);
                    }
                }
            }
        }
        let violations = crate::check::judge(&self.world.lock().facts);
        self.ends(violations)
    }

    /// One step; `false` if the run seems to have no end.
    async fn step(&mut self) -> bool {
        let (fault, time) = {
            let mut state = self.world.lock();
            state.counts.steps += 1;
            if state.counts.steps > MOST_STEPS {
                return false;
            }
            let fault = self.plan.fault_rate > 0 && state.rng.u32(..1000) < self.plan.fault_rate;
            (fault, state.rng.u32(..100) < self.plan.time_rate)
        };
        if (fault || self.is_time_for_trouble()) && self.go_wrong() == Some(Fault::Crash) {
            // The others come to look when the dead one's fences are old enough to be asked about.
            let (passes, row) = {
                let rng = &mut self.world.lock().rng;
                (rng.bool(), rng.usize(..self.plan.rows.len()))
            };
            if passes {
                self.pass(Duration::from_millis(60)).await;
                self.calls.push_front(Call::Row(row));
            }
        }
        if self.plan.replication > 0 {
            let mut state = self.world.lock();
            if state.rng.u32(..1000) < self.plan.replication {
                state.replicate();
            }
        }
        if self.plan.change_rate > 0 {
            self.change_policies();
        }
        if time {
            let by = {
                let rng = &mut self.world.lock().rng;
                match rng.u8(..25) {
                    0 => Duration::from_millis([60, 210, 1100][rng.usize(..3)]),
                    _ => Duration::from_micros(rng.u64(100..2500)),
                }
            };
            self.pass(by).await;
        }
        match self.next() {
            Next::Poll(place) => self.poll(place),
            Next::Deliver(place) => self.world.lock().deliver(place),
            Next::Start => self.start_call(),
            Next::Wait => {
                // Nothing can happen now: something waits for time to pass.
                self.idle = (self.idle * 2).clamp(Duration::from_millis(1), Duration::from_millis(250));
                let waited = self.idle;
                self.stalled += waited;
                self.pass(waited).await;
                return self.world.lock().now < MOST_IDLE;
            }
        }
        (self.idle, self.stalled) = (Duration::ZERO, Duration::ZERO);
        tokio::task::yield_now().await;
        true
    }

    /// Now and then somebody changes the configuration.
    fn change_policies(&mut self) {
        let mut state = self.world.lock();
        if state.rng.u32(..1000) >= self.plan.change_rate {
            return;
        }
        self.plan.change_rate = 0;
        self.profiles = variety::profiles(self.plan.choices[1]);
        state.choice = self.plan.choices[1];
        state.counts.changed_policies += 1;
        state.say(|_| format!("all policies change to {:?}", self.plan.choices[1]));
        drop(state);
        for app in &self.apps {
            app.cache.set_profiles(self.profiles.clone()).expect("what is drawn goes together");
        }
    }

    async fn pass(&self, by: Duration) {
        self.world.lock().now += by;
        tokio::time::advance(by).await;
        tokio::task::yield_now().await;
    }
}
