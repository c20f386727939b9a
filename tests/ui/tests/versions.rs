//! `version_of` and `bumps`: a tag that is shown to others.

use std::sync::atomic::{AtomicU32, Ordering};

use cache_core::{Cache, MemoryStore, WriteError, cached, invalidates};

struct Shop {
    cache: Cache,
    loads: AtomicU32,
}

impl Shop {
    #[cached(key = "page:<shop>:<page>", ttl = "1h", version_of = "catalog:<shop>")]
    async fn page(&self, shop: &str, page: u8) -> u32 {
        let _ = (shop, page);
        self.loads.fetch_add(1, Ordering::Relaxed)
    }

    #[invalidates(bumps = "catalog:<shop>")]
    async fn publish(&self, shop: &str) -> Result<(), WriteError> {
        let _ = shop;
        Ok(())
    }
}

#[tokio::test]
async fn an_entry_is_valid_for_one_version_only() {
    let cache = Cache::builder("ui").store(MemoryStore::default()).build().expect("a store and a good name");
    let shop = Shop { cache: cache.clone(), loads: AtomicU32::new(0) };
    assert_eq!((shop.page("a", 1).await, shop.page("a", 1).await, shop.page("b", 1).await), (0, 0, 1));
    let [a, b] = [cache.version("catalog:a").await, cache.version("catalog:b").await];
    shop.publish("a").await.unwrap();
    assert_ne!(cache.version("catalog:a").await, a);
    assert_eq!(cache.version("catalog:b").await, b);
    assert_eq!((shop.page("a", 1).await, shop.page("b", 1).await), (2, 1));
}
