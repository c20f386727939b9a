//! The scheduler: which call is polled, which message arrives, how time passes and what goes wrong is drawn from the seed, one
//! step after the other. Refuses to let tokio choose: calls are polled here, and what the engine spawns runs until it waits.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use cache_core::Cache;
use cache_core::rng::SystemRng;

use crate::app::App;
use crate::calls;
use crate::check::{Promise, Violation};
use crate::client::{Db, SimHealer};
use crate::faults::Fault;
use crate::plan::{Call, Plan};
use crate::rules::{Broken, Mutation};
use crate::store::SimStore;
use crate::world::{Acting, Op, OpId, Watch, World};

/// More steps than any run needs that comes to rest.
const MOST_STEPS: u64 = 50_000;
/// More time than anything waits.
const MOST_IDLE: Duration = Duration::from_secs(120);
/// How long a quiet system is left alone before it is read: longer than any retry pauses.
const QUIET: Duration = Duration::from_secs(6);
/// The same, when fences of dead writers without a transaction are to be lifted.
const LONG_QUIET: Duration = Duration::from_secs(75);

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    op: OpId,
    process: usize,
    call: Call,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    ready: Arc<Flag>,
}

/// One run.
pub struct Driver {
    world: Arc<World>,
    plan: Plan,
    mutation: Option<&'static Mutation>,
    apps: Vec<App>,
    /// The living process of each instance.
    living: Vec<Option<usize>>,
    tasks: Vec<Task>,
    calls: VecDeque<Call>,
    last: OpId,
    idle: Duration,
    /// Steps until something goes wrong.
    trouble_in: Option<u8>,
    /// Whose write was half-way then.
    victim: Option<usize>,
}

enum Next {
    Poll(usize),
    Deliver(usize),
    Start,
    Wait,
}

impl Driver {
    pub fn new(world: Arc<World>, plan: Plan, mutation: Option<&'static Mutation>) -> Self {
        let (calls, living) = (plan.calls.clone().into(), vec![None; plan.instances]);
        Self {
            world,
            plan,
            mutation,
            apps: Vec::new(),
            living,
            tasks: Vec::new(),
            calls,
            last: 0,
            idle: Duration::ZERO,
            trouble_in: None,
            victim: None,
        }
    }

    /// Runs the plan, lets the system come to rest, and reads it once more.
    pub async fn run(mut self) -> Vec<Violation> {
        for instance in 0..self.living.len() {
            self.start_instance(instance);
        }
        while !(self.calls.is_empty() && self.tasks.is_empty()) {
            if !self.step().await {
                return self.ends(vec![Violation::of_run(Promise::Rest)]);
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

    fn ends(&self, violations: Vec<Violation>) -> Vec<Violation> {
        let mut state = self.world.lock();
        for app in &self.apps {
            let (reads, writes) = (app.cache.stats().total(), app.cache.stats().writes());
            let counts = &mut state.counts;
            counts.hits += reads.hits;
            counts.negative_hits += reads.negative_hits;
            counts.loads += reads.loads;
            counts.joins += reads.joined;
            counts.refreshes += reads.refreshes;
            counts.fills += reads.fills;
            counts.refused_fills += reads.fills_refused;
            counts.fence_bypasses += reads.fence_bypasses;
            counts.healed_fences += reads.fences_healed;
            counts.degraded_reads += reads.degraded;
            counts.waits_in_vain += reads.lease_waits_exceeded;
            counts.unfenced += writes.refused;
            counts.unclear += writes.unconfirmed;
        }
        let lost: Vec<_> =
            state.facts.writes.values().filter(|write| write.lost.is_some()).copied().collect();
        state.counts.lost_fences += lost.len() as u64;
        state.counts.forsaken_writes += lost.iter().filter(|write| write.forsaken).count() as u64;
        violations
    }

    fn start_instance(&mut self, instance: usize) {
        let (process, seed) = {
            let mut state = self.world.lock();
            let process = state.start(instance + 1);
            state.say(|_| format!("instance {} starts", instance + 1));
            (process, state.rng.u64(..))
        };
        let db = Db { world: self.world.clone(), process };
        let mut builder = Cache::builder("sim")
            .store(SimStore { world: self.world.clone(), process })
            .clock(Arc::new(Watch(self.world.clone())))
            .rng(Arc::new(SystemRng::seeded(seed)));
        for broken in self.mutation.map_or(&[][..], |mutation| mutation.broken) {
            if let Broken::Engine(rule) = broken {
                builder = builder.without(*rule);
            }
        }
        let cache = builder.build().expect("the simulated application has no mistake");
        cache.heal_with(Arc::new(SimHealer(db.clone())));
        self.apps.push(App { cache, db, rows: self.plan.rows.len() });
        self.living[instance] = Some(process);
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
                self.pass(waited).await;
                return self.world.lock().now < MOST_IDLE;
            }
        }
        self.idle = Duration::ZERO;
        tokio::task::yield_now().await;
        true
    }

    /// Some of what goes wrong does so soon after a write was fenced, became visible or returned.
    fn is_time_for_trouble(&mut self) -> bool {
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

    async fn pass(&self, by: Duration) {
        self.world.lock().now += by;
        tokio::time::advance(by).await;
        tokio::task::yield_now().await;
    }

    fn next(&mut self) -> Next {
        const POLL: u32 = 8;
        const START: u32 = 5;
        let mut state = self.world.lock();
        let is_ready = |task: &Task| task.ready.0.load(Ordering::Relaxed);
        let may_start = !self.calls.is_empty() && self.tasks.len() < self.plan.width;
        let mut total = if may_start { START } else { 0 };
        total += POLL * u32::try_from(self.tasks.iter().filter(|task| is_ready(task)).count()).unwrap_or(0);
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
            if is_ready(task) && falls(POLL) {
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

    fn poll(&mut self, place: usize) {
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
    fn probe(&mut self, op: OpId, call: &Call) {
        let mut state = self.world.lock();
        let returned = state.facts.writes.get(&op).is_some_and(|write| write.returned.is_some());
        let rng = &mut state.rng;
        let probe = match call {
            Call::Bump { rows, .. } if returned => Some(rows[rng.usize(..rows.len())]),
            Call::Install(row) | Call::Alone(row) if returned => Some(*row),
            _ => None,
        };
        let Some(row) = probe.filter(|_| self.calls.len() < 40) else { return };
        // As somebody in this run reads it.
        let wanted = |call: &&Call| match call {
            Call::Row(id) | Call::Early(id) | Call::Card(id) => *id == row,
            other => other.is_read(),
        };
        let known: Vec<_> = self.plan.calls.iter().filter(wanted).cloned().collect();
        let probe = if known.is_empty() { Call::Row(row) } else { known[rng.usize(..known.len())].clone() };
        self.calls.push_front(probe);
    }

    fn start_call(&mut self) {
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

    fn begin(&mut self, process: usize, call: Call, at_rest: bool) {
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

    fn go_wrong(&mut self) -> Option<Fault> {
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
    fn drop_task(&self, task: Task) {
        self.world.lock().acting = Some(task.op);
        drop(task);
        self.world.lock().acting = None;
    }

    /// Everything arrives and every retry ends.
    async fn come_to_rest(&mut self) {
        let until = {
            let mut state = self.world.lock();
            let quiet = if state.rng.u8(..8) == 0 { LONG_QUIET } else { QUIET };
            state.now + quiet
        };
        loop {
            let next = {
                let mut state = self.world.lock();
                let due: Vec<_> = (0..state.messages.len())
                    .filter(|place| state.is_deliverable(&state.messages[*place]))
                    .collect();
                if due.is_empty() { None } else { Some(due[state.rng.usize(..due.len())]) }
            };
            match next {
                Some(place) => {
                    self.world.lock().deliver(place);
                    tokio::task::yield_now().await;
                }
                None if self.world.lock().now >= until => break,
                None => self.pass(Duration::from_millis(200)).await,
            }
        }
        if self.living.iter().all(Option::is_none) {
            self.start_instance(0);
        }
    }

    /// Every read that the run made, and every row.
    fn rest_calls(&self) -> Vec<Call> {
        let mut calls: Vec<Call> = (0..self.plan.rows.len()).map(Call::Row).collect();
        for call in self.plan.calls.iter().filter(|call| call.is_read()) {
            if !calls.contains(call) {
                calls.push(call.clone());
            }
        }
        calls
    }
}
