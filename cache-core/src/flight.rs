//! One running load and its waiters. Refuses to decide who may take the result ([`crate::freshness`] does) and to hold
//! anything of the caller's: no loader, no error, nothing borrowed.

mod waits;

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub(crate) use waits::{Circle, Load, LoadId, Name, Owner, Wait, enclosing, wait};

use crate::freshness::{Arrival, Proof, Stage};
use crate::subject::{EntryKey, Subject};

/// Loads of one key that may run in one process at once: one flight, and callers who waited too long for it.
pub(crate) const MAX_LOADS: usize = 3;

/// A shared value of a type that only the callers know; `None` says "there is none".
pub(crate) type Shared = Option<Arc<dyn Any + Send + Sync>>;

/// How a flight ended.
#[derive(Clone)]
pub(crate) enum Ending {
    /// With a value, what it rests on, and whether its loader said that it is not to be kept.
    Landed { value: Shared, proof: Proof, is_skipped: bool },
    /// Its leader failed, or left before the end. How many did so in a row.
    Lost(u32),
}

struct Progress {
    stage: Stage,
    asked: u64,
    ending: Option<Ending>,
}

/// What a flight is for: an entry, read as one type and under the same tags. Under others, what a fill proves says nothing about
/// the writes that matter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) entry: EntryKey,
    pub(crate) tags: Vec<Subject>,
    pub(crate) value: TypeId,
    /// Whether the callers can be told that there is none.
    pub(crate) negative: bool,
    /// Whether the callers asked for a load, whatever stands.
    pub(crate) refresh: bool,
}

struct Flight {
    load: LoadId,
    progress: watch::Sender<Progress>,
    lost_before: u32,
    /// Permits for loads beside the flight's own.
    beside: Arc<Semaphore>,
}

impl Flight {
    fn new(lost_before: u32, beside: Arc<Semaphore>) -> Arc<Self> {
        let progress = watch::Sender::new(Progress { stage: Stage::Pending, asked: 0, ending: None });
        Arc::new(Self { load: LoadId::new(), progress, lost_before, beside })
    }
}

/// The flights of one process.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Key, Arc<Flight>>>);

/// A caller's part in a flight.
pub(crate) enum Role {
    /// It loads, and the others wait for it.
    Lead(Leader),
    /// It waits.
    Wait(Waiter),
}

impl Flights {
    fn map(&self) -> MutexGuard<'_, HashMap<Key, Arc<Flight>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the running flight for this key, or starts one. `lost` is how many flights in a row this caller saw end
    /// without a result.
    pub(crate) fn enter(self: &Arc<Self>, key: &Key, lost: u32) -> Role {
        match self.map().entry(key.clone()) {
            Entry::Occupied(running) => {
                let flight = running.get();
                let events = flight.progress.subscribe();
                let arrival = {
                    let progress = events.borrow();
                    Arrival { stage: progress.stage, asked: progress.asked }
                };
                Role::Wait(Waiter {
                    events,
                    arrival,
                    flights: self.clone(),
                    key: key.clone(),
                    flight: flight.clone(),
                })
            }
            Entry::Vacant(free) => {
                let flight = Flight::new(lost, Arc::new(Semaphore::new(MAX_LOADS - 1)));
                free.insert(flight.clone());
                Role::Lead(Leader {
                    flights: self.clone(),
                    key: key.clone(),
                    flight,
                    landed: false,
                    _place: None,
                })
            }
        }
    }
}

/// The caller that loads. Dropped before it landed, it sets its waiters free.
pub(crate) struct Leader {
    flights: Arc<Flights>,
    key: Key,
    flight: Arc<Flight>,
    landed: bool,
    /// Held by one that flies beside a flight that takes too long.
    _place: Option<OwnedSemaphorePermit>,
}

impl Leader {
    /// Its load.
    pub(crate) fn load(&self) -> LoadId {
        self.flight.load
    }

    /// About to send a command that may answer with an entry; gives its number. Whoever arrives from now on may not take
    /// what it answers.
    pub(crate) fn asks(&self) -> u64 {
        let mut number = 0;
        self.flight.progress.send_modify(|progress| {
            progress.asked += 1;
            number = progress.asked;
        });
        number
    }

    /// About to poll the loader for the first time, or (`Sealed`) about to send the fill.
    pub(crate) fn reaches(&self, stage: Stage) {
        self.flight.progress.send_modify(|progress| progress.stage = stage);
    }

    /// The end, with a value.
    pub(crate) fn lands(mut self, value: Shared, proof: Proof) {
        self.landed = true;
        self.end(Ending::Landed { value, proof, is_skipped: false });
    }

    /// The end, with a value that nobody is to keep, nor what is made of it.
    pub(crate) fn lands_skipped(mut self, value: Shared, proof: Proof) {
        self.landed = true;
        self.end(Ending::Landed { value, proof, is_skipped: true });
    }

    fn end(&self, ending: Ending) {
        // Out of the map first: who comes now starts the next flight, whatever the waiters of this one do.
        let mut flights = self.flights.map();
        if flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            flights.remove(&self.key);
        }
        drop(flights);
        // Nobody can come any more, so nobody waiting means that the value is the leader's alone.
        if self.flight.progress.receiver_count() > 0 {
            self.flight.progress.send_modify(|progress| progress.ending = Some(ending));
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.landed {
            self.end(Ending::Lost(self.flight.lost_before + 1));
        }
    }
}

/// A caller that waits.
pub(crate) struct Waiter {
    events: watch::Receiver<Progress>,
    arrival: Arrival,
    flights: Arc<Flights>,
    key: Key,
    flight: Arc<Flight>,
}

/// What becomes of a waiter that lost patience.
pub(crate) enum Next {
    /// It leads the next flight.
    Lead(Leader),
    /// Somebody else does already.
    Enter,
    /// There are enough flights of this key.
    Full,
}

impl Waiter {
    /// The load it waits for.
    pub(crate) fn load(&self) -> LoadId {
        self.flight.load
    }

    /// When it came.
    pub(crate) fn arrival(&self) -> Arrival {
        self.arrival
    }

    /// Permits to load without waiting any longer.
    pub(crate) fn beside(&self) -> Arc<Semaphore> {
        self.flight.beside.clone()
    }

    /// Starts the next flight although this one has not ended. Whoever comes from now on goes to the new one.
    pub(crate) fn overtake(&self) -> Next {
        let mut flights = self.flights.map();
        let Some(running) = flights.get_mut(&self.key).filter(|running| Arc::ptr_eq(running, &self.flight))
        else {
            return Next::Enter;
        };
        let Ok(place) = self.flight.beside.clone().try_acquire_owned() else { return Next::Full };
        let flight = Flight::new(0, self.flight.beside.clone());
        *running = flight.clone();
        let (flights, key) = (self.flights.clone(), self.key.clone());
        Next::Lead(Leader { flights, key, flight, landed: false, _place: Some(place) })
    }

    /// The flight's end.
    pub(crate) async fn ending(&mut self) -> Ending {
        match self.events.wait_for(|progress| progress.ending.is_some()).await {
            Ok(progress) => progress.ending.clone().unwrap_or(Ending::Lost(1)),
            Err(_) => Ending::Lost(1),
        }
    }
}
