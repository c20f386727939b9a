//! Numbers that are merged where they wait and written to the database now and then: views, last seen. Refuses to promise what
//! [`crate::journal`] does: a store that loses its data loses what waits.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::StoreError;
use crate::rng::{Rng, SystemRng};
use crate::store::StoreResult;

/// What two numbers of one key come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Merge {
    /// Their sum: how often.
    Add,
    /// The greater one: when last.
    Max,
}

/// Numbers that were taken to be written, and have to be reported done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Tells this batch from all others. A database that remembers it writes it once.
    pub id: u128,
    /// The numbers, one a key.
    pub numbers: Vec<(String, i64)>,
}

/// Where numbers wait.
pub trait Tally: Send + Sync + fmt::Debug + 'static {
    /// Merges a number into what waits for this key.
    fn merge<'a>(&'a self, key: &'a str, number: i64) -> StoreResult<'a, ()>;

    /// Takes numbers of about `limit` keys; until they are reported done, the same again. `None` if nothing waits.
    fn take(&self, limit: usize) -> StoreResult<'_, Option<Taken>>;

    /// This batch is in the database for good.
    fn done(&self, id: u128) -> StoreResult<'_, ()>;

    /// What waits for a key, taken or not; 0 where nothing does.
    fn waiting<'a>(&'a self, key: &'a str) -> StoreResult<'a, i64>;

    /// How numbers are merged.
    fn merges(&self) -> Merge;

    /// One line that names it, without secrets.
    fn describe(&self) -> String;
}

impl<T: Tally + ?Sized> Tally for Arc<T> {
    fn merge<'a>(&'a self, key: &'a str, number: i64) -> StoreResult<'a, ()> {
        (**self).merge(key, number)
    }

    fn take(&self, limit: usize) -> StoreResult<'_, Option<Taken>> {
        (**self).take(limit)
    }

    fn done(&self, id: u128) -> StoreResult<'_, ()> {
        (**self).done(id)
    }

    fn waiting<'a>(&'a self, key: &'a str) -> StoreResult<'a, i64> {
        (**self).waiting(key)
    }

    fn merges(&self) -> Merge {
        (**self).merges()
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

impl Merge {
    /// What waits, merged with what is taken.
    #[must_use]
    pub fn of(self, one: Option<i64>, other: Option<i64>) -> i64 {
        match (one, other) {
            (Some(one), Some(other)) if self == Self::Add => one.saturating_add(other),
            (Some(one), Some(other)) => one.max(other),
            (one, other) => one.or(other).unwrap_or(0),
        }
    }
}

/// Numbers in the memory of this process, which go with it. For one process, and for tests.
#[derive(Debug)]
pub struct MemoryTally {
    merge: Merge,
    rng: SystemRng,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: BTreeMap<String, i64>,
    taken: Option<(u128, HashMap<String, i64>)>,
}

impl MemoryTally {
    /// An empty one.
    #[must_use]
    pub fn new(merge: Merge) -> Self {
        Self { merge, rng: SystemRng::default(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> StoreResult<'a, T> {
    Box::pin(std::future::ready(Ok::<_, StoreError>(value)))
}

impl Tally for MemoryTally {
    fn merge<'a>(&'a self, key: &'a str, number: i64) -> StoreResult<'a, ()> {
        let mut state = self.lock();
        let before = state.waiting.get(key).copied();
        state.waiting.insert(key.to_owned(), self.merge.of(before, Some(number)));
        ready(())
    }

    fn take(&self, limit: usize) -> StoreResult<'_, Option<Taken>> {
        let mut state = self.lock();
        if state.taken.is_none() && !state.waiting.is_empty() {
            let mut numbers = HashMap::new();
            while numbers.len() < limit.max(1)
                && let Some((key, number)) = state.waiting.pop_first()
            {
                numbers.insert(key, number);
            }
            let id = u128::from(self.rng.bits()) << 64 | u128::from(self.rng.bits());
            state.taken = Some((id, numbers));
        }
        let pairs =
            |numbers: &HashMap<String, i64>| numbers.iter().map(|(key, n)| (key.clone(), *n)).collect();
        ready(state.taken.as_ref().map(|(id, numbers)| Taken { id: *id, numbers: pairs(numbers) }))
    }

    fn done(&self, id: u128) -> StoreResult<'_, ()> {
        let mut state = self.lock();
        state.taken.take_if(|(taken, _)| *taken == id);
        ready(())
    }

    fn waiting<'a>(&'a self, key: &'a str) -> StoreResult<'a, i64> {
        let state = self.lock();
        let taken = state.taken.as_ref().and_then(|(_, numbers)| numbers.get(key).copied());
        ready(self.merge.of(state.waiting.get(key).copied(), taken))
    }

    fn merges(&self) -> Merge {
        self.merge
    }

    fn describe(&self) -> String {
        "numbers in this process".to_owned()
    }
}
