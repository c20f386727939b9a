//! Instances of an application, each with a small L1 of the test's own over a connection of its own, and the row they all read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use cache_core::backend::redis::RedisStore;
use cache_core::bus::{Listener, Moment};
use cache_core::key::Namespace;
use cache_core::policy::OnUnfenced;
use cache_core::scope::{AfterQueued, Writes};
use cache_core::store::{FillRequest, Found, GetRequest, LeaseRequest, Leased, Origin, Store};
use cache_core::subject::{EntryKey, Kind, Subject, Token};
use cache_core::testkit::conformance::blob;
use cache_core::time::{Clock, SystemClock};
use cache_core::{Builder, Cache, Fenced};

use super::comes_true;

const TTL: Duration = Duration::from_secs(600);

/// What a process keeps for itself: the rules of `cache_core::bus` in a hundred lines, and a record of what it was told.
#[derive(Debug, Default)]
pub(crate) struct Near {
    clock: SystemClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<String, (i64, Generation)>,
    marks: HashMap<u64, u64>,
    doubts: u64,
    until: Duration,
}

/// How often a subject was marked, and everything was doubted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u64, u64);

impl Near {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn generation(&self, subject: &Subject) -> Generation {
        let state = self.state();
        Generation(state.marks.get(&subject.stripe()).copied().unwrap_or_default(), state.doubts)
    }

    pub(crate) fn marks_of(&self, subject: &Subject) -> u64 {
        self.generation(subject).0
    }

    pub(crate) fn keeps(&self, subject: &Subject, value: i64, since: Generation) {
        self.state().entries.insert(subject.name().into(), (value, since));
    }

    pub(crate) fn serves(&self, subject: &Subject) -> Option<i64> {
        let now = self.generation(subject);
        let state = self.state();
        let (value, since) = state.entries.get(subject.name()).copied()?;
        (since == now && self.clock.monotonic() < state.until).then_some(value)
    }

    pub(crate) fn is_vouched_for(&self) -> bool {
        self.clock.monotonic() < self.state().until
    }

    pub(crate) fn doubts_so_far(&self) -> u64 {
        self.state().doubts
    }
}

impl Listener for Near {
    fn now(&self) -> Moment {
        Moment::new(&self.clock, self.state().doubts)
    }

    fn marked(&self, stripes: &[u64]) {
        let mut state = self.state();
        stripes.iter().for_each(|stripe| *state.marks.entry(*stripe).or_default() += 1);
    }

    fn doubts(&self) {
        let mut state = self.state();
        state.doubts += 1;
        state.until = Duration::ZERO;
    }

    fn vouches(&self, since: Moment, lease: Duration) {
        let mut state = self.state();
        if since.doubts() == state.doubts {
            state.until = state.until.max(since.monotonic() + lease);
        }
    }
}

/// The row that everybody reads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row(Arc<AtomicI64>);

impl Row {
    pub(crate) fn value(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// One process.
pub(crate) struct Instance {
    pub(crate) store: RedisStore,
    pub(crate) near: Arc<Near>,
    pub(crate) cache: Cache,
    pub(crate) row: Row,
    pub(crate) namespace: Namespace,
}

impl Instance {
    pub(crate) async fn new(url: &str, namespace: &str, row: &Row) -> Self {
        Self::build(url, namespace, row, |builder| builder).await
    }

    pub(crate) async fn build(
        url: &str,
        namespace: &str,
        row: &Row,
        change: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let store = super::store(url).await;
        let namespace_of = Namespace::new(namespace).unwrap();
        let near = Arc::new(Near::default());
        let listener: Arc<dyn Listener> = near.clone();
        store.join(&namespace_of, Arc::downgrade(&listener)).unwrap();
        let limit = Duration::from_secs(30);
        let builder = Cache::builder(namespace).store(store.clone()).mark_deadline(limit).clear_wait(limit);
        let cache = change(builder).build().unwrap();
        let instance = Self { store, near, cache, row: row.clone(), namespace: namespace_of };
        assert!(comes_true(async || instance.near.is_vouched_for()).await, "nobody vouches");
        instance
    }

    pub(crate) fn subject(&self, name: &str) -> Subject {
        self.namespace.subject(Kind::Entity, |text| text.literal(name))
    }

    fn key(&self, name: &str) -> EntryKey {
        EntryKey { subject: self.subject(name), field: 1 }
    }

    /// What the store has, for keeping.
    pub(crate) async fn found(&self, name: &str) -> Found {
        let key = self.key(name);
        let request = GetRequest { key: &key, tags: &[], shares: true };
        self.store.get_many(&[request]).await.pop().unwrap().unwrap()
    }

    /// A read: from its own memory, from the store, or from the row.
    pub(crate) async fn read(&self, name: &str) -> i64 {
        let key = self.key(name);
        if let Some(value) = self.near.serves(&key.subject) {
            return value;
        }
        let since = self.near.generation(&key.subject);
        let found = self.found(name).await;
        if let Some(value) = value_in(&found) {
            if found.shared {
                self.near.keeps(&key.subject, value, since);
            }
            return value;
        }
        let token = Token(since.0 ^ fastrand::u64(..));
        let request = LeaseRequest {
            key: &key,
            tags: &[],
            token,
            duration: Duration::from_secs(5),
            force: false,
            over: None,
            finished: &[],
            seed: fastrand::u64(..),
            tag_ttl: TTL,
            shares: true,
        };
        let leased = self.store.lease(request).await.unwrap();
        let value = self.row.value();
        if let Leased::Granted { epoch, shared, .. } = leased {
            let blob: Bytes = blob(epoch, &value.to_string());
            let fill =
                FillRequest { key: &key, tags: &[], token, blob: &blob, ttl: TTL, aside: Duration::ZERO };
            if self.store.fill(fill).await.unwrap().stored && shared {
                self.near.keeps(&key.subject, value, since);
            }
        }
        value
    }

    /// Reads until it is served from the instance's own memory.
    pub(crate) async fn holds(&self, name: &str) {
        let subject = self.subject(name);
        let served = async || {
            self.read(name).await;
            self.near.serves(&subject).is_some()
        };
        assert!(comes_true(served).await, "it is not kept");
    }

    pub(crate) async fn fences(&self, name: &str) -> Fenced {
        let writes = Writes {
            subjects: vec![self.subject(name)],
            puts: Vec::new(),
            settled: AfterQueued::default(),
            on_unfenced: OnUnfenced::Reject,
        };
        self.cache.fence(writes, Origin::none()).await.unwrap()
    }

    /// A write: it has returned when this has.
    pub(crate) async fn writes(&self, name: &str) -> i64 {
        let fenced = self.fences(name).await;
        let value = self.row.0.fetch_add(1, Ordering::SeqCst) + 1;
        fenced.clear().await.unwrap();
        value
    }
}

fn value_in(found: &Found) -> Option<i64> {
    let blob = found.blob.as_ref()?;
    if blob.get(cache_core::entry::EPOCH)? != found.epoch.0.to_le_bytes() {
        return None;
    }
    let text = std::str::from_utf8(blob.get(cache_core::entry::CHECKSUM.end..)?).ok()?;
    text.parse().ok()
}
