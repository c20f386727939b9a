//! What goes wrong, one fault at a time. Refuses to choose when, and never tells an instance.

use std::collections::BTreeSet;
use std::time::Duration;

use cache_core::error::StoreErrorKind;
use cache_core::subject::{Epoch, WriterId};

use crate::dataset::Victim;
use crate::timeline::plain;
use crate::wire::{Cargo, Says, SqlError};
use crate::world::{Owner, State};

/// Something that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A caller goes away.
    Cancel,
    /// An instance dies.
    Crash,
    /// One answer of the store is lost, and with it the connection's word or nothing at all.
    LoseReply,
    /// A connection to the store breaks with everything on it.
    Cut,
    /// A session of the database breaks.
    LoseSession,
    /// A message takes longer than anybody waits.
    Delay,
    /// An entry, a lease or a generation is evicted.
    Evict,
    /// A fence is evicted.
    EvictFence,
    /// Everything is deleted; the server goes on.
    Flush,
    /// The server restarts, with all, some or none of its data.
    Restart,
    /// A replica that lags takes over.
    Failover,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Cancel,
        Self::Crash,
        Self::LoseReply,
        Self::Cut,
        Self::LoseSession,
        Self::Delay,
        Self::Evict,
        Self::EvictFence,
        Self::Flush,
        Self::Restart,
        Self::Failover,
    ];
}

impl State {
    /// A fault of the store or of a connection; whose callers and instances are the driver's happen there.
    pub fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::LoseReply => self.lose_reply(),
            Fault::Cut => {
                let process = self.rng.usize(..self.processes.len());
                if self.processes[process].is_alive {
                    let instance = self.processes[process].instance;
                    self.counts.cuts += 1;
                    self.say(|_| format!("fault: the store's connection to instance {instance} breaks"));
                    self.cut(process);
                }
            }
            Fault::LoseSession => self.lose_session(),
            Fault::Delay => self.delay(),
            Fault::Evict => self.evict(),
            Fault::EvictFence => {
                let place = self.rng.usize(..16);
                let lost = self.losing(|state| state.master.evict(place, Victim::Fences));
                if let Some(subject) = lost {
                    self.counts.evicted_fences += 1;
                    self.say(|_| format!("fault: the fences of {} are evicted", plain(&subject)));
                }
            }
            Fault::Flush => {
                self.counts.flushes += 1;
                self.say(|_| "fault: FLUSHALL".into());
                self.losing(|state| state.master.flush());
            }
            Fault::Restart => self.restart(),
            Fault::Failover => {
                self.counts.failovers += 1;
                self.say(|_| "fault: failover to the replica".into());
                self.losing(|state| state.replace(state.replica.clone()));
            }
            Fault::Cancel | Fault::Crash => {}
        }
    }

    /// The replica catches up with the master.
    pub fn replicate(&mut self) {
        self.replica = self.master.clone();
        self.say(|_| "the replica catches up".into());
    }

    fn restart(&mut self) {
        self.counts.restarts += 1;
        let data = match self.rng.u8(..3) {
            0 => self.master.clone(),
            1 => self.replica.clone(),
            _ => {
                let mut empty = self.master.clone();
                empty.flush();
                empty
            }
        };
        self.say(|_| "fault: the store restarts".into());
        self.losing(|state| state.replace(data));
    }

    /// Another server, or another life of the same: a new epoch, and no connection survives.
    fn replace(&mut self, data: crate::dataset::Dataset) {
        let epoch = Epoch(self.master.epoch.0.max(self.replica.epoch.0) + 1);
        self.master = data;
        self.master.epoch = epoch;
        self.replica = self.master.clone();
        for process in 0..self.processes.len() {
            self.cut(process);
        }
    }

    /// What is on a connection is lost, or arrives although nobody will hear of it.
    fn cut(&mut self, process: usize) {
        if self.rng.u8(..4) == 0 {
            let down = Duration::from_millis(self.rng.u64(1..400));
            self.processes[process].store_down_until = self.now + down;
        }
        let mut broken = Vec::new();
        for place in (0..self.messages.len()).rev() {
            let message = &self.messages[place];
            if message.process == process && message.is_of_store() {
                broken.push(message.call);
                // An answer may have arrived just before; a request may be carried out although nobody hears of it.
                match (self.rng.bool(), matches!(message.cargo, Cargo::Answer(_))) {
                    (true, true) => self.deliver(place),
                    (false, false) => {}
                    _ => drop(self.messages.swap_remove(place)),
                }
            }
        }
        for call in broken {
            self.answer(call, Says::Store(Err(StoreErrorKind::Disconnected)));
        }
    }

    fn some_message(&mut self, is_one: impl Fn(&crate::wire::Message) -> bool) -> Option<usize> {
        let ones: Vec<_> = (0..self.messages.len()).filter(|place| is_one(&self.messages[*place])).collect();
        (!ones.is_empty()).then(|| ones[self.rng.usize(..ones.len())])
    }

    fn lose_reply(&mut self) {
        let is_reply =
            |message: &crate::wire::Message| matches!(message.cargo, Cargo::Answer(Says::Store(_)));
        let Some(place) = self.some_message(is_reply) else { return };
        let message = self.messages.swap_remove(place);
        self.counts.lost_replies += 1;
        self.say(|state| format!("fault: an answer to {} is lost", state.who(message.process, message.op)));
        if self.rng.bool() {
            self.answer(message.call, Says::Store(Err(StoreErrorKind::Disconnected)));
        }
    }

    fn lose_session(&mut self) {
        let Some(place) = self.some_message(crate::wire::Message::is_of_database) else { return };
        let message = self.messages.swap_remove(place);
        self.counts.lost_sessions += 1;
        self.say(|state| format!("fault: {} loses its session", state.who(message.process, message.op)));
        for (xid, op) in self.database.open_ones() {
            if Some(op) == message.op {
                let late = self.now + Duration::from_millis(self.rng.u64(..1500));
                self.follow(&message, late, Cargo::Abort(xid));
            }
        }
        self.answer(message.call, Says::Sql(Err(SqlError::Lost)));
    }

    fn delay(&mut self) {
        let Some(place) = self.some_message(|_| true) else { return };
        self.counts.delays += 1;
        let by = Duration::from_millis([60, 250, 1200][self.rng.usize(..3)]);
        self.messages[place].not_before = self.now + by;
        let who = self.who(self.messages[place].process, self.messages[place].op);
        self.say(|_| format!("fault: something of {who} is delayed by {by:?}"));
    }

    fn evict(&mut self) {
        let victim = [Victim::Entries, Victim::Leases, Victim::Generation][self.rng.usize(..3)];
        let place = self.rng.usize(..16);
        if let Some(subject) = self.master.evict(place, victim) {
            self.counts.evictions += 1;
            self.say(|_| format!("fault: {victim:?} of {} evicted", plain(&subject)));
        }
    }

    /// Does something to the store, and notes whose fences are gone after it.
    fn losing<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.master.fences();
        let result = act(self);
        let after = self.master.fences();
        let lost: BTreeSet<WriterId> = before.difference(&after).map(|(_, writer)| *writer).collect();
        let at = self.mark_time();
        for writer in lost {
            let ops: Vec<_> = match self.owners.get(&writer) {
                Some(Owner::Op(op)) => vec![*op],
                Some(Owner::AloneOf(process)) => {
                    let is_one = |op: &crate::world::Op| op.is_alone && op.process == *process;
                    self.ops.iter().filter(|(_, op)| is_one(op)).map(|(op, _)| *op).collect()
                }
                None => Vec::new(),
            };
            for op in ops {
                self.say(|_| format!("the fence of call {op} is lost"));
                self.facts.writes.entry(op).or_default().lost.get_or_insert(at);
            }
        }
        result
    }

    /// A process is gone: what it sent may still arrive, and its transactions end some time later.
    pub fn kill(&mut self, process: usize) {
        self.counts.crashes += 1;
        let instance = self.processes[process].instance;
        self.say(|_| format!("fault: instance {instance} dies"));
        self.processes[process].is_alive = false;
        for place in (0..self.messages.len()).rev() {
            let message = &self.messages[place];
            let of_server = matches!(message.cargo, Cargo::Show(..) | Cargo::Abort(_));
            if message.process == process && !of_server && self.rng.bool() {
                self.messages.swap_remove(place);
            }
        }
        for (xid, op) in self.database.open_ones() {
            if self.ops.get(&op).is_some_and(|op| op.process == process) {
                let not_before = self.now + Duration::from_millis(self.rng.u64(..1500));
                self.by_itself(process, op, not_before, Cargo::Abort(xid));
            }
        }
        let ops: Vec<_> =
            self.ops.iter().filter(|(_, op)| op.process == process).map(|(op, _)| *op).collect();
        for op in ops {
            let write = self.facts.writes.entry(op).or_default();
            write.forsaken |= write.cleared.is_none() && write.returned.is_none();
        }
    }
}
