//! A store under trial: the commands with everything filled in that a fact does not talk about. Decides nothing.

use std::time::Duration;

use bytes::Bytes;

use crate::entry;
use crate::key::Namespace;
use crate::rng::{Rng, SystemRng};
use crate::store::{
    Aside, ClearRequest, Cleared, Fence, FillRequest, Filled, Found, LeaseRequest, Leased, MarkRequest,
    Marked, Origin, Put, Store, StoreResult,
};
use crate::subject::{EntryKey, Epoch, Kind, Subject, TagStamp, Token, WriterId};
use crate::time::StoreTime;

const LONG: Duration = Duration::from_secs(600);

/// A store and a namespace that nobody else uses.
#[derive(Debug)]
pub struct Trial<'a> {
    /// The store, for commands the helpers do not cover.
    pub store: &'a dyn Store,
    pub(super) namespace: Namespace,
    rng: SystemRng,
}

/// A lease that was granted.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The entry it is for.
    pub key: EntryKey,
    /// The tags it was asked with.
    pub tags: Vec<Subject>,
    /// The token it was asked with.
    pub token: Token,
    /// The epoch it was granted in.
    pub epoch: Epoch,
    /// The store's clock at that moment.
    pub now: StoreTime,
    /// The stamps of the tags.
    pub stamps: Vec<TagStamp>,
}

/// A write in flight.
#[derive(Clone, Debug)]
pub struct Write {
    /// Who writes.
    pub writer: WriterId,
    /// What was marked.
    pub subjects: Vec<Subject>,
    /// What the store answered.
    pub marked: Marked,
}

impl Write {
    /// The epoch the first subject was marked in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.marked.epochs[0]
    }

    /// The epoch a subject was marked in; that of the first one for a stranger.
    #[must_use]
    pub fn epoch_of(&self, subject: &Subject) -> Epoch {
        let at = self.subjects.iter().position(|marked| marked == subject);
        self.marked.epochs[at.unwrap_or_default()]
    }
}

impl<'a> Trial<'a> {
    /// A trial of this store in a new random namespace.
    #[must_use]
    pub fn new(store: &'a dyn Store) -> Self {
        let rng = SystemRng::default();
        let name = format!("conformance-{:016x}", rng.bits());
        let namespace = Namespace::new(&name).expect("the name is short and plain");
        Self { store, namespace, rng }
    }

    /// The same namespace through another handle.
    #[must_use]
    pub fn through(&self, store: &'a dyn Store) -> Self {
        Self { store, namespace: self.namespace.clone(), rng: SystemRng::default() }
    }

    /// The entity of this name, which may hold any characters.
    #[must_use]
    pub fn subject(&self, name: &str) -> Subject {
        self.namespace.subject(Kind::Entity, |text| text.escaped(name))
    }

    /// The tag of this name, which may hold any characters.
    #[must_use]
    pub fn tag(&self, name: &str) -> Subject {
        self.namespace.subject(Kind::Tag, |text| text.escaped(name))
    }

    /// An entry under the entity of this name.
    #[must_use]
    pub fn entry(&self, name: &str) -> EntryKey {
        EntryKey { subject: self.subject(name), field: 0x1e57_ab1e }
    }

    /// A random number.
    pub fn random(&self) -> u64 {
        self.rng.bits()
    }

    /// A token nobody has.
    pub fn token(&self) -> Token {
        Token(self.rng.bits())
    }

    /// A writer nobody knows.
    pub fn writer(&self) -> WriterId {
        WriterId(u128::from(self.rng.bits()) << 64 | u128::from(self.rng.bits()))
    }

    /// A request with defaults: a fresh token, ten minutes, not forced, nobody finished.
    pub fn request<'r>(&self, key: &'r EntryKey, tags: &'r [Subject]) -> LeaseRequest<'r> {
        let (token, seed) = (self.token(), self.rng.bits());
        LeaseRequest {
            key,
            tags,
            token,
            duration: LONG,
            force: false,
            over: None,
            finished: &[],
            seed,
            tag_ttl: LONG,
            shares: false,
        }
    }

    /// Reads an entry.
    pub async fn get(&self, key: &EntryKey, tags: &[Subject]) -> Found {
        answered("get", self.store.get(key, tags)).await
    }

    /// The stored bytes.
    pub async fn blob(&self, key: &EntryKey) -> Option<Bytes> {
        self.get(key, &[]).await.blob
    }

    /// What is kept aside of an entry.
    pub async fn aside(&self, key: &EntryKey) -> Option<Aside> {
        answered("aside", self.store.aside(key)).await
    }

    /// Asks for a lease.
    pub async fn lease(&self, request: LeaseRequest<'_>) -> Leased {
        answered("lease", self.store.lease(request)).await
    }

    /// A lease without tags that must be granted.
    pub async fn granted(&self, key: &EntryKey) -> Lease {
        self.granted_for(self.request(key, &[])).await
    }

    /// A lease that must be granted.
    pub async fn granted_for(&self, request: LeaseRequest<'_>) -> Lease {
        match self.lease(request).await {
            Leased::Granted { epoch, now, tags: stamps, .. } => {
                let (key, tags, token) = (request.key.clone(), request.tags.to_vec(), request.token);
                Lease { key, tags, token, epoch, now, stamps }
            }
            other => panic!("lease answered {other:?} instead of granting"),
        }
    }

    /// A lease without tags that must be fenced, and by whom.
    pub async fn fenced(&self, key: &EntryKey) -> Vec<Fence> {
        self.fenced_for(self.request(key, &[])).await
    }

    /// A lease that must be fenced, and by whom.
    pub async fn fenced_for(&self, request: LeaseRequest<'_>) -> Vec<Fence> {
        match self.lease(request).await {
            Leased::Fenced(fences) => fences,
            other => panic!("lease answered {other:?} although a fence stands"),
        }
    }

    /// Fills with a value in the epoch of the lease; whether it was stored.
    pub async fn fill(&self, lease: &Lease, value: &str) -> bool {
        self.fill_blob(lease, &blob(lease.epoch, value), LONG).await.stored
    }

    /// Fills with these bytes.
    pub async fn fill_blob(&self, lease: &Lease, blob: &Bytes, ttl: Duration) -> Filled {
        self.fill_with(lease, blob, ttl, Duration::ZERO).await
    }

    /// Fills with these bytes, to be kept aside for so long.
    pub async fn fill_with(&self, lease: &Lease, blob: &Bytes, ttl: Duration, aside: Duration) -> Filled {
        let (tags, token) = (&lease.tags[..], lease.token);
        let request = FillRequest { key: &lease.key, tags, token, blob, ttl, aside };
        answered("fill", self.store.fill(request)).await
    }

    /// An entry that stands, with the bytes it holds.
    pub async fn filled(&self, key: &EntryKey, value: &str) -> Bytes {
        let lease = self.granted(key).await;
        assert!(self.fill(&lease, value).await, "a fill with the live token and without a fence is stored");
        blob(lease.epoch, value)
    }

    /// Gives a lease back.
    pub async fn release(&self, key: &EntryKey, token: Token) {
        answered("release", self.store.release(key, token)).await;
    }

    /// Marks as a new writer.
    pub async fn mark(&self, subjects: &[&Subject]) -> Write {
        self.mark_as(self.writer(), &Origin::none(), subjects).await
    }

    /// Marks as this writer.
    pub async fn mark_as(&self, writer: WriterId, origin: &Origin, subjects: &[&Subject]) -> Write {
        let subjects: Vec<_> = subjects.iter().map(|&subject| subject.clone()).collect();
        let seed = self.rng.bits();
        let request = MarkRequest { writer, origin, subjects: &subjects, seed, tag_ttl: LONG };
        let marked = answered("mark", self.store.mark(request)).await;
        assert_eq!(marked.epochs.len(), subjects.len(), "mark tells one epoch a subject");
        Write { writer, subjects, marked }
    }

    /// Clears what a write marked.
    pub async fn clear(&self, write: &Write) {
        assert_eq!(self.clear_with(write, &[]).await, 0, "nothing was put");
    }

    /// Clears what a write marked and installs values; how many were.
    pub async fn clear_with(&self, write: &Write, puts: &[Put]) -> usize {
        self.cleared(write, puts).await.installed
    }

    /// Clears what a write marked and installs values.
    pub async fn cleared(&self, write: &Write, puts: &[Put]) -> Cleared {
        let (writer, subjects) = (write.writer, &write.subjects);
        let request = ClearRequest { writer, subjects, puts, seed: self.rng.bits(), tag_ttl: LONG };
        answered("clear", self.store.clear(request)).await
    }

    /// A write from beginning to end.
    pub async fn invalidate(&self, subject: &Subject) {
        let write = self.mark(&[subject]).await;
        self.clear(&write).await;
    }

    /// Clears the namespace and waits as long as the store says.
    pub async fn clear_namespace(&self) {
        let wait = answered("clear_namespace", self.store.clear_namespace(&self.namespace, 7)).await;
        tokio::time::sleep(wait).await;
    }

    /// A put of this value under an entry of the write.
    pub fn put(&self, write: &Write, key: &EntryKey, value: &str) -> Put {
        let epoch = write.epoch_of(&key.subject);
        Put { key: key.clone(), blob: blob(epoch, value), ttl: LONG, aside: Duration::ZERO, epoch }
    }

    /// The generation of a tag as a reader sees it.
    pub async fn generation(&self, tag: &Subject) -> TagStamp {
        let tags = [tag.clone()];
        let found = self.get(&self.entry("no such entry"), &tags).await;
        assert_eq!(found.tags.len(), 1, "get tells one stamp a tag");
        found.tags[0]
    }

    /// Lets the store's clock reach `time`.
    pub async fn clock_reaches(&self, time: StoreTime) {
        let key = self.entry("clock");
        let reached = self.comes_true(async || self.get(&key, &[]).await.now > time).await;
        assert!(reached, "the store's clock stands still");
    }

    /// Asks again and again, ten seconds at least; whether the condition came true.
    pub async fn comes_true(&self, condition: impl AsyncFn() -> bool) -> bool {
        for _ in 0..5_000 {
            if condition().await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        false
    }
}

async fn answered<T>(command: &str, answer: StoreResult<'_, T>) -> T {
    answer.await.unwrap_or_else(|error| panic!("{command} failed: {error}"))
}

/// Bytes with an epoch where stores look for it, and the value behind.
pub fn blob(epoch: Epoch, value: &str) -> Bytes {
    let mut bytes = vec![1; entry::CHECKSUM.end];
    bytes[entry::EPOCH].copy_from_slice(&epoch.0.to_le_bytes());
    bytes[entry::CHECKSUM].copy_from_slice(&xxhash_rust::xxh3::xxh3_64(value.as_bytes()).to_le_bytes());
    bytes.extend_from_slice(value.as_bytes());
    bytes.into()
}
