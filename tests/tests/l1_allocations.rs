//! What a hit in the L1 allocates: nothing. In a program of its own, whose allocator counts.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use cache_core::{Cache, Cacheable, MemoryStore, cached};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, Cacheable)]
struct User {
    id: i64,
    name: String,
    mail: String,
    score: u64,
}

#[derive(Clone)]
struct Users {
    cache: Cache,
    tenant: String,
}

impl Users {
    fn new(builder: cache_core::Builder) -> Self {
        let cache = builder.store(MemoryStore::default()).build().unwrap();
        Self { cache, tenant: "tenant".into() }
    }

    #[cached(key = "user:<id>", ttl = "1h")]
    async fn find(&self, id: i64) -> Option<Arc<User>> {
        Some(Arc::new(User { id, name: "Ada".into(), mail: "ada@example.org".into(), score: 7 }))
    }

    #[cached(key = "<self.tenant>:by:<mail>:<page>", ttl = "1h", tags = ["users:<self.tenant>"])]
    async fn by_mail(&self, mail: &str, page: u32) -> Result<Arc<User>, std::io::Error> {
        Ok(Arc::new(User { id: 1, name: "Ada".into(), mail: mail.into(), score: page.into() }))
    }

    #[cached(key = "ahead:<id>", ttl = "1h", refresh_ahead = "99%")]
    async fn ahead(&self, id: i64) -> Arc<User> {
        Arc::new(User { id, name: "Ada".into(), mail: String::new(), score: 7 })
    }
}

/// A hit is there at the first look: nothing is awaited.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

#[tokio::test]
async fn a_hit_allocates_nothing_and_waits_for_nothing() {
    let users = Users::new(Cache::builder("t").l1(1_000));
    for id in 0..10 {
        users.find(id).await;
        users.ahead(id).await;
    }
    users.by_mail("ada@example.org", 3).await.unwrap();
    let hits = || users.cache.stats().l1().hits;
    let before = hits();
    let counted = measure(|| {
        for id in 0..10 {
            assert!(at_once(users.find(id)).is_some());
            assert_eq!(at_once(users.ahead(id)).id, id);
            assert_eq!(at_once(users.by_mail("ada@example.org", 3)).unwrap().score, 3);
        }
    });
    assert_eq!(hits() - before, 30, "each was a hit");
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
}

#[tokio::test]
async fn without_an_l1_the_same_reads_do_allocate() {
    let users = Users::new(Cache::builder("t"));
    users.find(1).await;
    assert!(measure(|| drop(at_once(users.find(1)))).count_total > 0, "the counter counts");
}
