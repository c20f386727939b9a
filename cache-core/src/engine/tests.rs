use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::policy::Policy;
use crate::scope::Writes;
use crate::site::{Location, ReadSite};
use crate::store::Origin;
use crate::subject::Kind;
use crate::{__private as private, Cache, MemoryStore};

static USER: ReadSite = ReadSite {
    at: Location { function: "users::find", file: "users.rs", line: 1 },
    template: "user:<id>",
    tags: &[],
    value: "String",
    version: 0,
    policy: Policy::ttl(Duration::from_secs(60)),
};

fn cache(store: &MemoryStore) -> Cache {
    Cache::builder("t").store(store.clone()).build().unwrap()
}

async fn find(cache: &Cache, id: i64, row: &AtomicU64) -> Option<u64> {
    let key = |text: &mut private::Text| {
        text.literal("user:");
        text.part(&id);
    };
    private::read(cache, &USER, key, |_| {}, || async { Some(row.load(Ordering::SeqCst)) }).await
}

async fn write(cache: &Cache, id: i64, row: &AtomicU64, value: u64) {
    let recording = cache.recording();
    recording.touch(Kind::Entity, |text| {
        text.literal("user:");
        text.part(&id);
    });
    let writes: Writes = recording.finish().unwrap();
    let fenced = cache.fence(writes, Origin::none()).await.unwrap();
    row.store(value, Ordering::SeqCst);
    fenced.clear().await.unwrap();
}

#[tokio::test]
async fn a_second_read_is_a_hit_and_a_read_after_a_write_is_fresh() {
    let store = MemoryStore::default();
    let (a, b) = (cache(&store), cache(&store));
    let row = AtomicU64::new(1);
    assert_eq!(find(&a, 7, &row).await, Some(1));
    assert_eq!(find(&b, 7, &row).await, Some(1));
    assert_eq!((a.stats().of("user:<id>").loads, b.stats().total().hits), (1, 1));
    write(&a, 7, &row, 2).await;
    assert_eq!(find(&b, 7, &row).await, Some(2));
    assert_eq!(find(&a, 7, &row).await, Some(2));
    assert_eq!(a.stats().total().loads + b.stats().total().loads, 2);
}

#[tokio::test]
async fn many_cold_callers_make_one_load() {
    let cache = Arc::new(cache(&MemoryStore::default()));
    let (loads, gate) = (Arc::new(AtomicU64::new(0)), Arc::new(tokio::sync::Notify::new()));
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, loads, gate) = (cache.clone(), loads.clone(), gate.clone());
            tokio::spawn(async move {
                let load = || async {
                    loads.fetch_add(1, Ordering::SeqCst);
                    gate.notified().await;
                    "v".to_owned()
                };
                private::read(&cache, &USER, |text| text.literal("user:1"), |_| {}, load).await
            })
        })
        .collect();
    while cache.stats().total().misses < 1000 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "v");
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    assert_eq!(cache.stats().total().joined, 999);
}
