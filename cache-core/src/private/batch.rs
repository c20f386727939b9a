//! A batch before its body: the names of all keys are written first, so that a body may move the arguments they are made of.

use std::future::Future;

use crate::cache::Cache;
use crate::engine::{self, BatchRequest, Tags};
use crate::key::Text;
use crate::output::BatchOutput;
use crate::site::ReadSite;

/// What one call of a batch function asks for.
#[derive(Debug)]
pub struct BatchLookup<'c, K> {
    cache: &'c Cache,
    request: BatchRequest<K>,
}

/// The keys of a batch that takes them by reference.
pub fn borrowed_keys<'k, K: Clone + 'k>(keys: impl IntoIterator<Item = &'k K>) -> Vec<K> {
    keys.into_iter().cloned().collect()
}

/// The keys of a batch that takes them by value.
pub fn owned_keys<K>(keys: impl IntoIterator<Item = K>) -> Vec<K> {
    keys.into_iter().collect()
}

/// The keys that a body is given, in the type it takes them in.
pub fn keys_as<K, C: FromIterator<K>>(keys: Vec<K>) -> C {
    keys.into_iter().collect()
}

impl<'c, K: Clone> BatchLookup<'c, K> {
    /// Asks for the entries whose keys and tags are written here, one for each key.
    pub fn new(
        cache: &'c Cache,
        site: &'static ReadSite,
        keys: Vec<K>,
        limit: usize,
        key: impl Fn(&mut Text, &K),
        tags: impl Fn(&mut Tags, &K),
    ) -> Self {
        Self { cache, request: engine::batch_request(&cache.0, cache.1, site, keys, limit, key, tags) }
    }

    /// Runs past the cache, because it is inside a transaction.
    #[must_use]
    pub fn bypass(cache: &'c Cache, site: &'static ReadSite, keys: Vec<K>) -> Self {
        super::bypassed(cache, site);
        Self { cache, request: BatchRequest::past(keys) }
    }

    /// Reads; `load` is called at most once, with the keys that are missing.
    pub async fn read<O: BatchOutput<K, M>, M, F: Future<Output = O>>(
        self,
        load: impl FnOnce(Vec<K>) -> F,
    ) -> O {
        engine::read_many(&self.cache.0, self.request, load).await
    }
}
