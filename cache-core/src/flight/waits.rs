//! Who waits for whose load in this process. Refuses to let a wait close a circle: a load that waits for itself, directly or
//! over others, would wait until somebody loses patience.
//!
//! A load waits for another one while a cached function that its body called leads it or has joined it, and a load that asks
//! for a lease waits for the loads of its own cache that may hold it. Calls outside of any load are waited for by nobody and
//! are not in here.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::site::Location;
use crate::subject::EntryKey;

/// One load of this process, of whatever cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LoadId(u64);

impl LoadId {
    /// One that no other load has.
    pub(crate) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs a body as this load's.
    pub(crate) fn body<F: Future>(self, body: F) -> impl Future<Output = F::Output> {
        INSIDE.scope(self, body)
    }
}

tokio::task_local! {
    static INSIDE: LoadId;
}

/// The load whose body the running call is in.
pub(crate) fn enclosing() -> Option<LoadId> {
    INSIDE.try_with(|load| *load).ok()
}

/// What a load is called in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) template: &'static str,
    pub(crate) at: Location,
}

/// All loads of the process: a circle may lead through several caches.
static WAITS: LazyLock<Mutex<Waits>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Waits {
    loads: HashMap<LoadId, Running>,
    /// By cache and entry: leases that another cache of the process asked for end with somebody's patience, as those of other
    /// processes do.
    by_entry: HashMap<(Owner, EntryKey), Vec<LoadId>>,
    /// Whom each load waits for, as often as it does.
    edges: HashMap<LoadId, Vec<LoadId>>,
    /// Pairs of functions that were told of.
    told: HashSet<(&'static str, u32, &'static str, u32)>,
}

struct Running {
    name: Name,
    owner: Owner,
    entry: EntryKey,
}

/// A cache, by the address of what its handles share; compared while one of its loads runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner(usize);

impl Owner {
    /// The cache that all these handles share.
    pub(crate) fn of<T>(shared: &Arc<T>) -> Self {
        Self(Arc::as_ptr(shared).addr())
    }
}

fn waits() -> MutexGuard<'static, Waits> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waits {
    /// Whether `from` waits for `to`, directly or over others.
    fn reaches(&self, from: LoadId, to: LoadId) -> bool {
        let (mut seen, mut open) = (HashSet::new(), vec![from]);
        while let Some(load) = open.pop() {
            if load == to {
                return true;
            }
            if seen.insert(load) {
                open.extend(self.edges.get(&load).into_iter().flatten());
            }
        }
        false
    }

    fn add(&mut self, waiting: LoadId, on: LoadId) -> Wait {
        self.edges.entry(waiting).or_default().push(on);
        Wait { waiting, on }
    }
}

/// A load from before its lease is asked for until its value is stored.
#[derive(Debug)]
pub(crate) struct Load {
    id: LoadId,
    owner: Owner,
    /// The batch that it is one key's part of.
    batch: Option<LoadId>,
}

impl Load {
    /// A load begins.
    pub(crate) fn begins(id: LoadId, name: Name, owner: Owner, entry: &EntryKey) -> Self {
        let mut waits = waits();
        waits.loads.insert(id, Running { name, owner, entry: entry.clone() });
        waits.by_entry.entry((owner, entry.clone())).or_default().push(id);
        Self { id, owner, batch: None }
    }

    pub(crate) fn id(&self) -> LoadId {
        self.id
    }

    /// Runs its body; cached functions in it know that they are.
    pub(crate) fn body<F: Future>(&self, body: F) -> impl Future<Output = F::Output> {
        self.id.body(body)
    }

    /// Waits for the lease of its entry, which other loads of its cache may hold.
    pub(crate) fn waits_for_lease(&self, entry: &EntryKey) -> Result<Vec<Wait>, Circle> {
        let mut waits = waits();
        let others = waits.by_entry.get(&(self.owner, entry.clone())).map(Vec::as_slice).unwrap_or_default();
        let others: Vec<LoadId> = others.iter().copied().filter(|other| *other != self.id).collect();
        let waiting = self.batch.unwrap_or(self.id);
        match others.iter().find(|other| waits.reaches(**other, waiting)) {
            Some(other) => Err(Circle(*other)),
            None => Ok(others.into_iter().map(|other| waits.add(waiting, other)).collect()),
        }
    }

    /// It is one key's part of a batch, and ends with it.
    pub(crate) fn part_of(mut self, batch: LoadId) -> Self {
        waits().edges.entry(self.id).or_default().push(batch);
        self.batch = Some(batch);
        self
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let mut waits = waits();
        waits.edges.remove(&self.id);
        let Some(Running { owner, entry, .. }) = waits.loads.remove(&self.id) else { return };
        let entry = (owner, entry);
        if let Some(loads) = waits.by_entry.get_mut(&entry) {
            loads.retain(|load| *load != self.id);
            if loads.is_empty() {
                waits.by_entry.remove(&entry);
            }
        }
    }
}

/// One load waits for another until this is dropped.
#[derive(Debug)]
pub(crate) struct Wait {
    waiting: LoadId,
    on: LoadId,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = waits();
        let Some(on) = waits.edges.get_mut(&self.waiting) else { return };
        if let Some(at) = on.iter().position(|load| *load == self.on) {
            on.swap_remove(at);
        }
        if on.is_empty() {
            waits.edges.remove(&self.waiting);
        }
    }
}

/// Waiting for this load would be waiting for oneself.
#[derive(Debug)]
pub(crate) struct Circle(LoadId);

/// The load that encloses the running call waits for another one; nothing where none encloses it.
pub(crate) fn wait(on: LoadId) -> Result<Option<Wait>, Circle> {
    let Some(waiting) = enclosing() else { return Ok(None) };
    let mut waits = waits();
    if waits.reaches(on, waiting) { Err(Circle(on)) } else { Ok(Some(waits.add(waiting, on))) }
}

impl Circle {
    /// Tells the log, once for each pair of functions.
    pub(crate) fn tell(&self, asks: Name) {
        let mut waits = waits();
        let Some(Running { name: runs, entry, .. }) = waits.loads.get(&self.0) else { return };
        let (runs, key) = (*runs, entry.subject.clone());
        if !waits.told.insert((asks.at.file, asks.at.line, runs.at.file, runs.at.line)) {
            return;
        }
        drop(waits);
        tracing::warn!(
            template = asks.template,
            asks = %asks.at,
            loads = %runs.at,
            %key,
            "a cached function is called for a key whose load waits for this very call: it is loaded at once, past the cache; \
             let the loader call the uncached function, or give the two calls different keys"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Namespace;
    use crate::subject::Kind;

    #[test]
    fn a_lease_is_waited_for_where_a_load_of_the_same_cache_may_hold_it() {
        let name = Name { template: "row:<id>", at: Location { function: "row", file: "row.rs", line: 1 } };
        let subject = Namespace::new("waits").unwrap().subject(Kind::Entity, |text| text.literal("row:1"));
        let entry = EntryKey { subject, field: 1 };
        let (one, other) = (Arc::new(1), Arc::new(1));
        let begins = |cache| Load::begins(LoadId::new(), name, Owner::of(cache), &entry);
        let (asks, same, foreign) = (begins(&one), begins(&one), begins(&other));
        let waits_for = |waits: &[Wait]| waits.iter().map(|wait| wait.on).collect::<Vec<_>>();
        assert_eq!(waits_for(&asks.waits_for_lease(&entry).unwrap()), [same.id()]);
        assert_eq!(waits_for(&foreign.waits_for_lease(&entry).unwrap()), []);
    }
}
