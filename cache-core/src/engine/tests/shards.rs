//! A store of several shards, one of which is gone or silent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::*;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::{
    ClearRequest, Cleared, FillRequest, Filled, Found, LeaseRequest, Leased, MarkRequest, Marked, Shard,
    Store, StoreResult,
};
use crate::subject::{EntryKey, Subject, Token};

/// How a shard fails.
#[derive(Clone, Copy, Debug)]
enum Ill {
    Gone,
    Silent,
}

/// The memory store as if `row:<n>` lay on shard n and the tag `rows` on shard 9.
#[derive(Clone, Debug)]
struct Sharded {
    memory: MemoryStore,
    ill: Arc<Mutex<HashMap<Shard, Ill>>>,
    reads: Arc<Mutex<HashMap<Shard, u64>>>,
}

const TAG: Shard = Shard(9);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sharded {
    fn falls_ill(&self, shard: Shard, how: Ill) {
        lock(&self.ill).insert(shard, how);
    }

    fn recovers(&self) {
        lock(&self.ill).clear();
    }

    /// How many reads were sent for entries on this shard.
    fn reads(&self, shard: Shard) -> u64 {
        lock(&self.reads).get(&shard).copied().unwrap_or_default()
    }

    async fn reach(&self, subjects: impl Iterator<Item = &Subject>) -> Result<(), StoreError> {
        let ill = subjects.filter_map(|subject| lock(&self.ill).get(&self.shard(subject)).copied()).next();
        match ill {
            None => Ok(()),
            Some(Ill::Gone) => Err(StoreError::new(StoreErrorKind::Unavailable, "the node is gone")),
            Some(Ill::Silent) => std::future::pending().await,
        }
    }
}

impl Store for Sharded {
    fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found> {
        Box::pin(async move {
            *lock(&self.reads).entry(self.shard(&key.subject)).or_default() += 1;
            self.reach(std::iter::once(&key.subject).chain(tags)).await?;
            self.memory.get(key, tags).await
        })
    }

    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased> {
        Box::pin(async move {
            self.reach(std::iter::once(&request.key.subject).chain(request.tags)).await?;
            self.memory.lease(request).await
        })
    }

    fn fill<'a>(&'a self, request: FillRequest<'a>) -> StoreResult<'a, Filled> {
        Box::pin(async move {
            self.reach(std::iter::once(&request.key.subject).chain(request.tags)).await?;
            self.memory.fill(request).await
        })
    }

    fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()> {
        Box::pin(async move {
            self.reach(std::iter::once(&key.subject)).await?;
            self.memory.release(key, token).await
        })
    }

    fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked> {
        Box::pin(async move {
            self.reach(request.subjects.iter()).await?;
            self.memory.mark(request).await
        })
    }

    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
        Box::pin(async move {
            self.reach(request.subjects.iter()).await?;
            self.memory.clear(request).await
        })
    }

    fn shard(&self, subject: &Subject) -> Shard {
        match subject.kind() {
            Kind::Tag => TAG,
            Kind::Entity => {
                Shard(subject.name().rsplit(':').next().and_then(|id| id.parse().ok()).unwrap_or(0))
            }
        }
    }

    fn describe(&self) -> String {
        "shards in memory".into()
    }
}

/// One instance on such a store. Its clock stands still unless a test moves it, so breakers stay open.
struct Reader {
    cache: Cache,
    store: Sharded,
    clock: Arc<StoppedClock>,
}

impl Reader {
    fn new() -> Self {
        let clock = Arc::new(StoppedClock::default());
        let memory = MemoryStore::with_clock(clock.clone());
        let store = Sharded { memory, ill: Arc::default(), reads: Arc::default() };
        let cache = Cache::builder("t").store(store.clone()).clock(clock.clone()).build().unwrap();
        Self { cache, store, clock }
    }

    async fn row(&self, id: u64) {
        let key = |text: &mut private::Text| {
            text.literal("row:");
            text.part(&id);
        };
        assert_eq!(private::read(&self.cache, &ROW, key, |_| {}, async || Some(id)).await, Some(id));
    }

    /// A list on shard 0 under the tag on shard 9.
    async fn list(&self) {
        let tags = |tags: &mut private::Tags| tags.tag(|text| text.literal("rows"));
        assert_eq!(
            private::read(&self.cache, &TAGGED, |text| text.literal("rows"), tags, async || 1).await,
            1
        );
    }

    fn hits(&self) -> u64 {
        self.cache.stats().total().hits
    }

    fn degraded(&self) -> u64 {
        self.cache.stats().total().degraded
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_ill_degrades_its_keys_only() {
    for how in [Ill::Gone, Ill::Silent] {
        let reader = Reader::new();
        reader.row(1).await;
        reader.row(2).await;
        reader.store.falls_ill(Shard(2), how);
        for _ in 0..20 {
            reader.row(1).await;
            reader.row(2).await;
        }
        assert_eq!(reader.hits(), 20, "{how:?}: the keys of the other shard");
        assert_eq!(reader.degraded(), 20, "{how:?}: its own");
        assert!(reader.store.reads(Shard(2)) <= 4, "{how:?}: it rests, and nobody waits for it");
        reader.store.recovers();
        reader.clock.advance(Duration::from_millis(250));
        reader.row(2).await;
        assert_eq!(reader.hits(), 21, "{how:?}: it is tried again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tags_shard_that_is_ill_does_not_rest_the_entrys_shard() {
    for how in [Ill::Gone, Ill::Silent] {
        let reader = Reader::new();
        reader.row(0).await;
        reader.list().await;
        reader.store.falls_ill(TAG, how);
        for _ in 0..20 {
            reader.list().await;
        }
        assert_eq!(reader.degraded(), 20, "{how:?}: the tag cannot be compared");
        let listed = reader.store.reads(Shard(0));
        assert!(listed <= 5, "{how:?}: what failed together rests together, after {listed} reads");
        reader.row(0).await;
        assert_eq!(reader.hits(), 1, "{how:?}: the entry's shard is well");
        reader.store.recovers();
        reader.clock.advance(Duration::from_millis(250));
        reader.list().await;
        assert_eq!(reader.hits(), 2, "{how:?}: it is tried again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_known_to_be_ill_is_not_asked_for_its_tags() {
    let reader = Reader::new();
    reader.list().await;
    reader.row(9).await;
    reader.store.falls_ill(TAG, Ill::Silent);
    for _ in 0..3 {
        reader.row(9).await;
    }
    let listed = reader.store.reads(Shard(0));
    reader.list().await;
    assert_eq!(reader.store.reads(Shard(0)), listed, "the read was refused before it was sent");
}

impl Reader {
    async fn rows(&self, ids: &[u64]) {
        let key = |text: &mut private::Text, id: &u64| {
            text.literal("row:");
            text.part(id);
        };
        let lookup = private::BatchLookup::new(&self.cache, &ROW, ids.to_vec(), 1000, key, |_, _| {});
        let load = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, id)).collect::<HashMap<_, _>>();
        assert_eq!(lookup.read(load).await.len(), ids.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_ill_degrades_its_keys_of_a_batch_only() {
    for how in [Ill::Gone, Ill::Silent] {
        let reader = Reader::new();
        reader.rows(&[1, 2, 3]).await;
        reader.store.falls_ill(Shard(2), how);
        for _ in 0..20 {
            reader.rows(&[1, 2, 3]).await;
        }
        assert_eq!((reader.hits(), reader.degraded()), (40, 20), "{how:?}");
        assert!(reader.store.reads(Shard(2)) <= 4, "{how:?}: it rests, and no batch waits for it");
        reader.store.recovers();
        reader.clock.advance(Duration::from_millis(250));
        reader.rows(&[1, 2, 3]).await;
        assert_eq!(reader.hits(), 43, "{how:?}: it is tried again");
    }
}
