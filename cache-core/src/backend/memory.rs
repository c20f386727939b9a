//! The store in one process: the embedded default, and the reference that other stores are compared with. Refuses nothing;
//! every command is one critical section, so it is the seam's contract in executable form.

mod listeners;
mod queued;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::listeners::Listeners;
use self::queued::Shown;
use crate::bus::{Listener, Sharers};
use crate::entry;
use crate::key::Namespace;
use crate::store::{
    Aside, ClearRequest, Cleared, Fence, FillRequest, Filled, Found, LeaseRequest, Leased, MarkRequest,
    Marked, Origin, PendRequest, Queued, Store, StoreResult,
};
use crate::subject::{
    EntryKey, Epoch, Generation, JournalId, Kind, Position, Subject, TagStamp, Token, WriterId,
};
use crate::time::{Clock, StoreTime, SystemClock};

/// Entries kept at most, unless the builder says otherwise: at 1 KiB each about 100 MiB.
pub const CAPACITY: usize = 100_000;

/// A store in this process. Clones share it, so several caches in one process can stand for several instances.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    capacity: usize,
    state: Mutex<State>,
    listeners: Listeners,
}

#[derive(Default)]
struct State {
    epoch: Epoch,
    entries: usize,
    generations: u64,
    subjects: HashMap<Box<str>, Slot>,
    tags: HashMap<Box<str>, TagSlot>,
    /// Of namespaces that were cleared.
    cleared: HashMap<Box<str>, Generation>,
    /// Subjects of queued writes that were settled, and when.
    settled: VecDeque<(StoreTime, Box<str>)>,
}

#[derive(Default)]
struct Slot {
    values: HashMap<u64, (Bytes, StoreTime)>,
    leases: HashMap<u64, (Token, StoreTime)>,
    fences: HashMap<WriterId, Standing>,
    /// The longest time that one of the values asks to be kept aside for.
    window: Duration,
    aside: Option<Dropped>,
    queued: Option<Shown>,
}

/// What a mark has dropped.
struct Dropped {
    values: HashMap<u64, (Bytes, StoreTime)>,
    since: StoreTime,
    until: StoreTime,
}

impl Slot {
    fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.leases.is_empty()
            && self.fences.is_empty()
            && self.aside.is_none()
            && self.queued.is_none()
    }

    /// Drops what is kept aside if it is over, or anyway; how many that were.
    fn forgets_aside(&mut self, now: Option<StoreTime>) -> usize {
        let is_over = |dropped: &mut Dropped| now.is_none_or(|now| dropped.until <= now);
        self.aside.take_if(is_over).map_or(0, |dropped| dropped.values.len())
    }
}

#[derive(Default)]
struct TagSlot {
    generation: Option<(Generation, StoreTime)>,
    fences: HashMap<WriterId, Standing>,
}

struct Standing {
    origin: Origin,
    since: StoreTime,
    solo: bool,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_clock(Arc::new(SystemClock::default()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("entries", &self.lock().entries).finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// A store whose time is this clock's; the test kit passes a stopped one.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::new(clock, CAPACITY)
    }

    /// A store that keeps at most this many entries. Past it, expired ones go first, then arbitrary ones.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        Self::new(Arc::new(SystemClock::default()), entries)
    }

    fn new(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                clock,
                capacity: capacity.max(1),
                state: Mutex::default(),
                listeners: Listeners::default(),
            }),
        }
    }

    /// How many entries are held, expired ones and those that are kept aside included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().entries
    }

    /// Whether no entry is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything, as a server does that restarts without its data: a new epoch begins.
    pub fn lose_everything(&self) {
        let mut state = self.lock();
        let epoch = Epoch(state.epoch.0 + 1);
        *state = State { epoch, ..State::default() };
        drop(state);
        self.shared.listeners.flush(None);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> StoreTime {
        self.shared.clock.wall()
    }
}

impl State {
    /// A generation that never was: a command that is carried out twice must not bring one back that old entries carry.
    fn new_generation(&mut self, seed: u64) -> Generation {
        self.generations += 1;
        Generation(xxh3_64_with_seed(&self.generations.to_le_bytes(), seed))
    }

    /// The epoch of a subject's entries: that of its namespace since it was cleared.
    fn epoch_of(&self, subject: &Subject) -> Epoch {
        let namespace = subject.name().split([':', '#']).next().unwrap_or_default();
        let turned = |generation: &Generation| xxh3_64_with_seed(&generation.0.to_le_bytes(), self.epoch.0);
        self.cleared.get(namespace).map_or(self.epoch, |generation| Epoch(turned(generation)))
    }

    fn stamp(&self, tag: &Subject, now: StoreTime) -> TagStamp {
        let kept = self.tags.get(tag.name()).and_then(|slot| slot.generation);
        TagStamp {
            epoch: self.epoch,
            generation: kept.filter(|(_, until)| *until > now).map(|(generation, _)| generation),
        }
    }

    fn stamps(&self, tags: &[Subject], now: StoreTime) -> Vec<TagStamp> {
        tags.iter().map(|tag| self.stamp(tag, now)).collect()
    }

    fn found(&self, key: &EntryKey, tags: &[Subject], now: StoreTime) -> Found {
        let slot = self.subjects.get(key.subject.name());
        let value = slot.and_then(|slot| slot.values.get(&key.field)).filter(|(_, until)| *until > now);
        Found {
            epoch: self.epoch_of(&key.subject),
            now,
            blob: value.map(|(blob, _)| blob.clone()),
            tags: self.stamps(tags, now),
            // Whoever listens is told in the same process.
            shared: true,
        }
    }

    fn drop_entries(&mut self, name: &str) {
        if let Some(slot) = self.subjects.get_mut(name) {
            self.entries -= slot.values.len();
            slot.values.clear();
            slot.window = Duration::ZERO;
            slot.leases.clear();
            if slot.is_empty() {
                self.subjects.remove(name);
            }
        }
    }

    /// Takes the entries of a subject out of reach of every read, where one of them asks to be kept.
    fn keep_aside(&mut self, name: &str, now: StoreTime) {
        let Some(slot) = self.subjects.get_mut(name).filter(|slot| !slot.window.is_zero()) else { return };
        if slot.values.is_empty() {
            return;
        }
        let before = slot.forgets_aside(None);
        let values = std::mem::take(&mut slot.values);
        self.entries -= before;
        slot.aside = Some(Dropped { values, since: now, until: now.after(slot.window) });
    }

    fn fences(&mut self, subject: &Subject) -> Option<&mut HashMap<WriterId, Standing>> {
        match subject.kind() {
            Kind::Entity => self.subjects.get_mut(subject.name()).map(|slot| &mut slot.fences),
            Kind::Tag => self.tags.get_mut(subject.name()).map(|slot| &mut slot.fences),
        }
    }

    fn standing(&mut self, subject: &Subject, finished: &[WriterId], now: StoreTime) -> Vec<Fence> {
        let Some(fences) = self.fences(subject) else { return Vec::new() };
        fences.retain(|writer, _| !finished.contains(writer));
        let fence = |(&writer, at): (&WriterId, &Standing)| Fence {
            subject: subject.clone(),
            writer,
            origin: at.origin.clone(),
            age: now.since(at.since),
        };
        fences.iter().map(fence).collect()
    }

    fn store(&mut self, key: &EntryKey, blob: Bytes, until: StoreTime, aside: Duration) {
        let slot = self.subjects.entry(key.subject.name().into()).or_default();
        slot.window = slot.window.max(aside);
        self.entries += usize::from(slot.values.insert(key.field, (blob, until)).is_none());
    }

    fn make_room(&mut self, capacity: usize, now: StoreTime) {
        if self.entries <= capacity && self.tags.len() <= capacity {
            return;
        }
        // A tenth at a time, so that the sweep's cost is spread over many fills.
        let keep = capacity - capacity / 10;
        let mut entries = self.entries;
        // What is kept aside goes before any entry.
        for now in [Some(now), None] {
            self.subjects.values_mut().for_each(|slot| {
                if entries > keep {
                    entries -= slot.forgets_aside(now);
                }
            });
        }
        for expired_only in [true, false] {
            self.subjects.retain(|_, slot| {
                if entries > keep {
                    let before = slot.values.len();
                    slot.values.retain(|_, (_, until)| expired_only && *until > now);
                    entries -= before - slot.values.len();
                }
                slot.leases.retain(|_, (_, until)| *until > now);
                !slot.is_empty()
            });
        }
        self.entries = entries;
        self.tags.retain(|_, slot| {
            !slot.fences.is_empty() || slot.generation.is_some_and(|(_, until)| until > now)
        });
        // A generation that is lost costs its entries and nothing else.
        let mut tags = self.tags.len();
        self.tags.retain(|_, slot| {
            let goes = tags > keep && slot.fences.is_empty();
            tags -= usize::from(goes);
            !goes
        });
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found> {
        let found = self.lock().found(key, tags, self.now());
        Box::pin(std::future::ready(Ok(found)))
    }

    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased> {
        Box::pin(std::future::ready(Ok(self.try_lease(&request))))
    }

    fn fill<'a>(&'a self, request: FillRequest<'a>) -> StoreResult<'a, Filled> {
        Box::pin(std::future::ready(Ok(self.try_fill(&request))))
    }

    fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()> {
        let mut state = self.lock();
        if let Some(slot) = state.subjects.get_mut(key.subject.name()) {
            slot.leases.retain(|field, (live, _)| *field != key.field || *live != token);
            if slot.is_empty() {
                state.subjects.remove(key.subject.name());
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked> {
        let marked = self.set_fences(&request);
        self.shared.listeners.tell(request.subjects);
        Box::pin(std::future::ready(Ok(marked)))
    }

    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
        let cleared = self.lift_fences(&request);
        self.shared.listeners.tell(request.subjects);
        Box::pin(std::future::ready(Ok(cleared)))
    }

    fn pend<'a>(&'a self, request: PendRequest<'a>) -> StoreResult<'a, Sharers> {
        let now = self.now();
        self.lock().pend(&request, now);
        self.shared.listeners.tell([&request.key.subject]);
        Box::pin(std::future::ready(Ok(Sharers::default())))
    }

    fn settle<'a>(
        &'a self,
        subject: &'a Subject,
        journal: JournalId,
        position: Position,
    ) -> StoreResult<'a, ()> {
        let now = self.now();
        self.lock().settle(subject, (journal, position), now);
        self.shared.listeners.tell([subject]);
        Box::pin(std::future::ready(Ok(())))
    }

    fn queued<'a>(&'a self, subject: &'a Subject) -> StoreResult<'a, Option<Queued>> {
        let queued = self.lock().queued(subject, self.now());
        Box::pin(std::future::ready(Ok(queued)))
    }

    fn aside<'a>(&'a self, key: &'a EntryKey) -> StoreResult<'a, Option<Aside>> {
        let (state, now) = (self.lock(), self.now());
        let kept = || {
            let dropped = state.subjects.get(key.subject.name())?.aside.as_ref()?;
            let (blob, _) = dropped.values.get(&key.field).filter(|_| dropped.until > now)?;
            let (epoch, since) = (state.epoch_of(&key.subject), dropped.since);
            Some(Aside { epoch, now, since, blob: blob.clone() })
        };
        Box::pin(std::future::ready(Ok(kept())))
    }

    fn clear_namespace<'a>(&'a self, namespace: &'a Namespace, seed: u64) -> StoreResult<'a, Duration> {
        let mut state = self.lock();
        let generation = state.new_generation(seed);
        state.cleared.insert(namespace.as_str().into(), generation);
        drop(state);
        self.shared.listeners.flush(Some(namespace));
        Box::pin(std::future::ready(Ok(Duration::ZERO)))
    }

    fn join(&self, namespace: &Namespace, listener: Weak<dyn Listener>) -> Result<(), String> {
        self.shared.listeners.join(namespace, listener);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory of this process".into()
    }
}

impl MemoryStore {
    fn try_lease(&self, request: &LeaseRequest<'_>) -> Leased {
        let (mut state, now) = (self.lock(), self.now());
        if let Some(queued) = state.queued(&request.key.subject, now) {
            return Leased::Queued(queued);
        }
        let mut fences = state.standing(&request.key.subject, request.finished, now);
        for tag in request.tags {
            let generation =
                state.stamp(tag, now).generation.unwrap_or_else(|| state.new_generation(request.seed));
            let slot = state.tags.entry(tag.name().into()).or_default();
            let until =
                slot.generation.map_or(StoreTime(0), |(_, until)| until).max(now.after(request.tag_ttl));
            slot.generation = Some((generation, until));
            fences.extend(state.standing(tag, request.finished, now));
        }
        if !fences.is_empty() {
            return Leased::Fenced(fences);
        }
        let found = state.found(request.key, request.tags, now);
        let current = found.blob.as_deref().and_then(|blob| blob.get(entry::EPOCH))
            == Some(&found.epoch.0.to_le_bytes());
        let is_meant =
            request.over.is_none_or(|over| found.blob.as_deref().and_then(entry::mark_of) == Some(over));
        if current && !(request.force && is_meant) {
            return Leased::Present(found);
        }
        let slot = state.subjects.entry(request.key.subject.name().into()).or_default();
        if slot.leases.get(&request.key.field).is_some_and(|(_, until)| *until > now) {
            return Leased::Busy;
        }
        slot.leases.insert(request.key.field, (request.token, now.after(request.duration)));
        Leased::Granted { epoch: found.epoch, now, tags: found.tags, shared: true }
    }

    fn try_fill(&self, request: &FillRequest<'_>) -> Filled {
        let (mut state, now) = (self.lock(), self.now());
        let stored = state.subjects.get_mut(request.key.subject.name()).is_some_and(|slot| {
            let live = slot.leases.get(&request.key.field).is_some_and(|&(token, _)| token == request.token);
            if live {
                slot.leases.remove(&request.key.field);
            }
            live && slot.fences.is_empty()
        });
        if stored {
            state.store(request.key, request.blob.clone(), now.after(request.ttl), request.aside);
            state.make_room(self.shared.capacity, now);
        }
        Filled { epoch: state.epoch_of(&request.key.subject), stored, tags: state.stamps(request.tags, now) }
    }

    fn set_fences(&self, request: &MarkRequest<'_>) -> Marked {
        let (mut state, now) = (self.lock(), self.now());
        for subject in request.subjects {
            let fences = match subject.kind() {
                Kind::Entity => {
                    state.keep_aside(subject.name(), now);
                    state.drop_entries(subject.name());
                    &mut state.subjects.entry(subject.name().into()).or_default().fences
                }
                Kind::Tag => {
                    let generation = state.new_generation(request.seed);
                    let slot = state.tags.entry(subject.name().into()).or_default();
                    slot.generation = Some((generation, now.after(request.tag_ttl)));
                    &mut slot.fences
                }
            };
            for (writer, standing) in fences.iter_mut() {
                standing.solo &= *writer == request.writer;
            }
            let solo = fences.is_empty();
            let fence = Standing { origin: request.origin.clone(), since: now, solo };
            fences.entry(request.writer).or_insert(fence);
        }
        let epoch = |subject: &Subject| match subject.kind() {
            Kind::Entity => state.epoch_of(subject),
            Kind::Tag => state.epoch,
        };
        let epochs = request.subjects.iter().map(epoch).collect();
        let is_queued = |place: &usize| {
            let subject = &request.subjects[*place];
            subject.kind() == Kind::Entity && state.queued(subject, now).is_some()
        };
        let queued = (0..request.subjects.len()).filter(is_queued).collect();
        Marked { epochs, now, queued, sharers: Sharers::default() }
    }

    fn lift_fences(&self, request: &ClearRequest<'_>) -> Cleared {
        let (mut state, now) = (self.lock(), self.now());
        let (mut installed, mut intact) = (0, true);
        for subject in request.subjects {
            if subject.kind() == Kind::Tag {
                let generation = (state.new_generation(request.seed), now.after(request.tag_ttl));
                state.tags.entry(subject.name().into()).or_default().generation = Some(generation);
            }
            let lifted = state.fences(subject).and_then(|fences| fences.remove(&request.writer));
            intact &= lifted.is_some();
            let alone = lifted.is_some_and(|fence| fence.solo) && !state.was_queued(subject);
            let others = state.fences(subject).is_some_and(|fences| !fences.is_empty());
            if subject.kind() == Kind::Entity {
                state.drop_entries(subject.name());
            }
            for put in request.puts.iter().filter(|put| put.key.subject == *subject) {
                if alone && !others && put.epoch == state.epoch_of(subject) {
                    state.store(&put.key, put.blob.clone(), now.after(put.ttl), put.aside);
                    installed += 1;
                }
            }
        }
        state.make_room(self.shared.capacity, now);
        Cleared { intact, installed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_keeps_every_promise_of_a_store() {
        let report = crate::testkit::conformance::run(&MemoryStore::default()).await;
        assert!(report.is_clean(), "{report}");
        assert!(crate::testkit::conformance::keeps_aside(&MemoryStore::default()).await);
    }

    fn key(name: u32) -> EntryKey {
        let namespace = crate::key::Namespace::new("t").unwrap();
        EntryKey { subject: namespace.subject(Kind::Entity, |text| text.part(&name)), field: 1 }
    }

    async fn fill(store: &MemoryStore, name: u32) -> bool {
        fill_for(store, name, Duration::ZERO).await
    }

    async fn fill_for(store: &MemoryStore, name: u32, aside: Duration) -> bool {
        let (key, token, minute) = (key(name), Token(u64::from(name)), std::time::Duration::from_secs(60));
        let request = LeaseRequest {
            key: &key,
            tags: &[],
            token,
            duration: minute,
            force: true,
            over: None,
            finished: &[],
            seed: 0,
            tag_ttl: minute,
            shares: false,
        };
        let _ = store.lease(request).await.unwrap();
        let blob = Bytes::from_static(b"value");
        store
            .fill(FillRequest { key: &key, tags: &[], token, blob: &blob, ttl: minute, aside })
            .await
            .unwrap()
            .stored
    }

    #[tokio::test]
    async fn what_is_kept_aside_makes_room_before_any_entry_does() {
        let store = MemoryStore::with_capacity(100);
        let minute = Duration::from_secs(60);
        for name in 0..50 {
            assert!(fill_for(&store, name, minute).await);
            let subjects = [key(name).subject];
            let origin = Origin::none();
            let mark = MarkRequest {
                writer: WriterId(1),
                origin: &origin,
                subjects: &subjects,
                seed: 0,
                tag_ttl: minute,
            };
            store.mark(mark).await.unwrap();
        }
        assert_eq!(store.len(), 50, "they count");
        assert!(store.aside(&key(0)).await.unwrap().is_some());
        for name in 1000..1085 {
            assert!(fill(&store, name).await);
        }
        assert!(store.len() <= 100, "{}", store.len());
        for name in 1000..1085 {
            assert!(store.get(&key(name), &[]).await.unwrap().blob.is_some(), "{name}");
        }
    }

    #[tokio::test]
    async fn past_its_capacity_it_evicts_entries_and_never_a_fence() {
        let store = MemoryStore::with_capacity(100);
        let fenced = key(0);
        let subjects = [fenced.subject.clone()];
        let minute = std::time::Duration::from_secs(60);
        let mark = MarkRequest {
            writer: WriterId(1),
            origin: &Origin::none(),
            subjects: &subjects,
            seed: 0,
            tag_ttl: minute,
        };
        store.mark(mark).await.unwrap();
        for name in 1..=1000 {
            assert!(fill(&store, name).await);
            assert!(store.len() <= 100, "{}", store.len());
        }
        assert!(store.len() >= 80, "it keeps what it has room for: {}", store.len());
        assert!(!fill(&store, 0).await, "the fence still stands");
    }
}
