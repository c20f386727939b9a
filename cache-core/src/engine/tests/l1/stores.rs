//! Stores that tell too little, writes that cannot be fenced, and sizes that make no sense.

use std::sync::Weak;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::bus::Listener;
use crate::key::Namespace;
use crate::store::{
    Answers, ClearRequest, Cleared, FillRequest, Filled, Found, GetRequest, LeaseRequest, Leased,
    MarkRequest, Marked, Store, StoreResult,
};
use crate::subject::{EntryKey, Subject, Token};

/// A store that vouches, and tells nobody of anything.
#[derive(Clone, Debug)]
struct Mute(MemoryStore, Arc<AtomicBool>);

impl Store for Mute {
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

    fn get_many<'a>(&'a self, requests: &'a [GetRequest<'a>]) -> Answers<'a, Found> {
        self.0.get_many(requests)
    }

    fn join(&self, _namespace: &Namespace, listener: Weak<dyn Listener>) -> Result<(), String> {
        let Some(listener) = listener.upgrade() else { return Ok(()) };
        listener.vouches(listener.now(), Duration::MAX);
        self.1.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn describe(&self) -> String {
        "mute".into()
    }
}

async fn written_over_a_mute_store(without: Option<Rule>) -> Option<u64> {
    let world = World::new();
    let mute = Mute(world.memory.clone(), Arc::default());
    let builder = Cache::builder("t").store(mute.clone()).clock(world.clock.clone()).l1(1_000);
    let a = world.with(without.into_iter().fold(builder, Builder::without));
    assert!(mute.1.load(Ordering::SeqCst), "it was joined");
    a.near().await;
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    let meanwhile = a.near().await;
    fenced.clear().await.unwrap();
    assert_eq!(a.near().await, meanwhile);
    meanwhile
}

#[tokio::test]
async fn a_cache_hears_of_its_own_writes_whatever_its_store_says() {
    assert_eq!(written_over_a_mute_store(None).await, Some(2));
}

#[tokio::test]
async fn without_that_its_own_write_would_be_hidden() {
    assert_eq!(written_over_a_mute_store(Some(Rule::WritesTellTheL1)).await, Some(1));
}

#[tokio::test]
async fn a_write_that_could_not_be_fenced_ends_it_all_the_same() {
    let world = World::new();
    let a = world.near();
    a.near().await;
    world.store.down();
    assert!(a.mark().await.is_err());
    a.commit(2);
    assert_eq!(a.near().await, Some(2), "it may be made although it was not fenced");
}

#[tokio::test]
async fn a_store_that_cannot_vouch_refuses_an_l1() {
    #[derive(Clone, Debug)]
    struct Silent(Mute);
    impl Store for Silent {
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
        fn describe(&self) -> String {
            "a silent one".into()
        }
    }
    let silent = || Silent(Mute(MemoryStore::default(), Arc::default()));
    let error = Cache::builder("t").store(silent()).l1(10).build().unwrap_err().to_string();
    assert!(error.contains("a silent one") && error.contains("leave `.l1(…)` out"), "{error}");
    assert!(Cache::builder("t").store(silent()).build().is_ok());
    assert!(Cache::builder("t").store(silent()).l1(10).off().build().is_ok(), "an L1 of nothing");
}

#[tokio::test]
async fn sizes_of_nothing_are_refused() {
    for (l1, words) in [
        (L1::entries(0), "room for nothing"),
        (L1::bytes(0), "room for nothing"),
        (L1::bytes(1_000), "1000 bytes, less than some entries need"),
        (L1::entries(9).ttl(Duration::ZERO), "`ttl` of the L1 is zero"),
        (L1::entries(9).admit_after(0), "admits nothing"),
    ] {
        let error = Cache::builder("t").store(MemoryStore::default()).l1(l1).build().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
