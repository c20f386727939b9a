//! The stores that ship with the crate keep the seam's promises.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use cache_core::backend::redis::RedisStore;
use cache_core::key::Namespace;
use cache_core::store::{
    Aside, ClearRequest, Cleared, FillRequest, Filled, Found, LeaseRequest, Leased, MarkRequest, Marked,
    Origin, Put, Store, StoreResult,
};
use cache_core::subject::{EntryKey, Subject, Token};
use cache_core::testkit::conformance;
use cache_core::{MemoryStore, StoreError, entry};

#[tokio::test]
async fn memory_keeps_every_promise() {
    let store = MemoryStore::default();
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");
    assert!(conformance::keeps_aside(&store).await && conformance::shows_queued(&store).await);
}

/// Two handles of one store, as two instances have them.
#[tokio::test]
async fn memory_and_redis_tell_who_listens() {
    let memory = MemoryStore::default();
    let report = conformance::tells_listeners(&memory, &memory.clone()).await;
    assert!(report.is_clean(), "{report}");
    let url = cache_test_support::redis_url().unwrap();
    let (one, other) = (RedisStore::connect(&url).await.unwrap(), RedisStore::connect(&url).await.unwrap());
    let report = conformance::tells_listeners(&one, &other).await;
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn redis_keeps_every_promise() {
    let store = RedisStore::connect(&cache_test_support::redis_url().unwrap()).await.unwrap();
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");
    assert!(conformance::keeps_aside(&store).await && conformance::shows_queued(&store).await);
}

#[tokio::test]
async fn redis_cluster_keeps_every_promise() {
    let cluster = cache_test_support::Cluster::start().unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let report = conformance::tells_listeners(&store, &store.clone()).await;
    assert_eq!(report.broken().count(), 4, "there is no L1 over a cluster yet");
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");
    assert!(conformance::keeps_aside(&store).await && conformance::shows_queued(&store).await);
}

/// How a store may go wrong about what marks drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    ServesItAsAnEntry,
    KeepsUnasked,
    AnswersWithWhatStands,
    TellsNoTime,
    KeepsAtClear,
    KeepsForEver,
    ForgetsTheLonger,
    ForgetsPuts,
    KeepsTheFirst,
    IsOfEveryEpoch,
}

use Wrong::*;

/// With the fact that has to notice it.
const WRONGS: [(Wrong, &str); 10] = [
    (ServesItAsAnEntry, "what_is_kept_aside_is_no_entry"),
    (KeepsUnasked, "nothing_is_kept_aside_unasked"),
    (AnswersWithWhatStands, "nothing_is_kept_aside_unasked"),
    (TellsNoTime, "a_mark_that_finds_nothing_makes_what_is_kept_no_younger"),
    (KeepsAtClear, "a_clear_keeps_nothing_aside"),
    (KeepsForEver, "what_is_kept_aside_goes_when_its_window_is_over"),
    (ForgetsTheLonger, "the_longest_window_of_a_subject_counts"),
    (ForgetsPuts, "a_put_asks_to_be_kept_aside_like_a_fill"),
    (KeepsTheFirst, "what_is_dropped_later_takes_the_place_of_what_was_dropped_before"),
    (IsOfEveryEpoch, "a_clear_of_the_namespace_makes_what_is_kept_worthless"),
];

/// A store that keeps every promise but one.
#[derive(Debug)]
struct Breaks {
    inner: MemoryStore,
    wrong: Wrong,
    first: Mutex<HashMap<EntryKey, Aside>>,
}

impl Breaks {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    async fn kept(&self, key: &EntryKey) -> Result<Option<Aside>, StoreError> {
        let found = self.inner.get(key, &[]).await?;
        let stands = found.blob.clone().filter(|_| self.is(AnswersWithWhatStands));
        if let Some(blob) = stands {
            return Ok(Some(Aside { epoch: found.epoch, now: found.now, since: found.now, blob }));
        }
        let Some(mut kept) = self.inner.aside(key).await? else { return Ok(None) };
        match self.wrong {
            TellsNoTime => kept.since = kept.now,
            KeepsTheFirst => kept = self.first.lock().unwrap().entry(key.clone()).or_insert(kept).clone(),
            IsOfEveryEpoch => {
                let mut bytes = kept.blob.to_vec();
                bytes[entry::EPOCH].copy_from_slice(&kept.epoch.0.to_le_bytes());
                kept.blob = bytes.into();
            }
            _ => {}
        }
        Ok(Some(kept))
    }
}

impl Store for Breaks {
    fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found> {
        Box::pin(async move {
            let mut found = self.inner.get(key, tags).await?;
            if self.is(ServesItAsAnEntry) && found.blob.is_none() {
                found.blob = self.inner.aside(key).await?.map(|kept| kept.blob);
            }
            Ok(found)
        })
    }

    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased> {
        self.inner.lease(request)
    }

    fn fill<'a>(&'a self, mut request: FillRequest<'a>) -> StoreResult<'a, Filled> {
        request.aside = match self.wrong {
            KeepsUnasked => request.aside.max(Duration::from_secs(60)),
            KeepsForEver => request.aside * 100_000,
            ForgetsTheLonger => request.aside.min(Duration::from_millis(60)),
            _ => request.aside,
        };
        self.inner.fill(request)
    }

    fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()> {
        self.inner.release(key, token)
    }

    fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked> {
        self.inner.mark(request)
    }

    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
        Box::pin(async move {
            let ClearRequest { writer, subjects, seed, tag_ttl, .. } = request;
            let puts: Vec<Put> =
                request.puts.iter().map(|put| Put { aside: Duration::ZERO, ..put.clone() }).collect();
            let request =
                if self.is(ForgetsPuts) { ClearRequest { puts: &puts, ..request } } else { request };
            if self.is(KeepsAtClear) {
                // Drops entries as a mark does.
                let origin = Origin::none();
                let mark = MarkRequest { writer, origin: &origin, subjects, seed, tag_ttl };
                self.inner.mark(mark).await?;
            }
            self.inner.clear(request).await
        })
    }

    fn aside<'a>(&'a self, key: &'a EntryKey) -> StoreResult<'a, Option<Aside>> {
        Box::pin(self.kept(key))
    }

    fn clear_namespace<'a>(&'a self, namespace: &'a Namespace, seed: u64) -> StoreResult<'a, Duration> {
        self.inner.clear_namespace(namespace, seed)
    }

    fn describe(&self) -> String {
        format!("memory that {:?}", self.wrong)
    }
}

/// Each fact notices what it is for. (Whoever keeps for ever is waited for ten seconds.)
#[tokio::test]
async fn the_suite_notices_a_store_that_goes_wrong_about_what_marks_drop() {
    for (wrong, fact) in WRONGS {
        let store = Breaks { inner: MemoryStore::default(), wrong, first: Mutex::default() };
        let fact = conformance::FACTS.iter().find(|known| known.name == fact).unwrap();
        assert!(fact.check(&store).await.is_err(), "{wrong:?} goes unnoticed by {fact:?}");
        fact.check(&store.inner).await.unwrap();
    }
}

/// A store of others that was written before there was such a thing.
#[tokio::test]
async fn a_store_that_keeps_nothing_is_as_good() {
    #[derive(Debug)]
    struct Plain(MemoryStore);

    impl Store for Plain {
        fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found> {
            self.0.get(key, tags)
        }

        fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased> {
            self.0.lease(request)
        }

        fn fill<'a>(&'a self, request: FillRequest<'a>) -> StoreResult<'a, Filled> {
            self.0.fill(request)
        }

        fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()> {
            self.0.release(key, token)
        }

        fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked> {
            self.0.mark(request)
        }

        fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
            self.0.clear(request)
        }

        fn clear_namespace<'a>(&'a self, namespace: &'a Namespace, seed: u64) -> StoreResult<'a, Duration> {
            self.0.clear_namespace(namespace, seed)
        }

        fn describe(&self) -> String {
            self.0.describe()
        }
    }

    let store = Plain(MemoryStore::default());
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");
    assert!(!conformance::keeps_aside(&store).await && !conformance::shows_queued(&store).await);
}
