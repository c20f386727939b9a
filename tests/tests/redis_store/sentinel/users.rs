//! An instance with one cached function and its write.

use std::sync::{Arc, Mutex};

use cache_core::backend::redis::RedisStore;
use cache_core::{Cache, WriteError, cached, invalidates};
use tokio::sync::Notify;

use super::super::{BOUND, comes_true, look};

#[derive(Clone)]
pub(super) struct Users {
    pub(super) store: RedisStore,
    pub(super) cache: Cache,
    pub(super) name: Arc<Mutex<String>>,
    pub(super) fenced: Arc<Notify>,
    pub(super) go_on: Arc<Notify>,
}

impl Users {
    #[cached(key = "user:<id>", ttl = "1h")]
    pub(super) async fn find(&self, id: i64) -> String {
        let _ = id;
        self.name.lock().unwrap().clone()
    }

    #[invalidates(key = "user:<id>")]
    pub(super) async fn rename(&self, id: i64, name: &str) -> Result<(), WriteError> {
        let _ = id;
        self.fenced.notify_one();
        self.go_on.notified().await;
        name.clone_into(&mut self.name.lock().unwrap());
        Ok(())
    }
}

pub(super) async fn users(url: &str) -> Users {
    let store = RedisStore::connect(url).await.unwrap();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    let builder = Cache::builder("shop").store(store.clone()).read_deadline(BOUND).mark_deadline(BOUND);
    let cache = builder.clear_wait(BOUND).build().unwrap();
    Users { store, cache, name: Arc::default(), fenced: Arc::default(), go_on: Arc::default() }
}
