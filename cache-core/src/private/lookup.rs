//! A read before its body: the names are written first, so that a body may move the arguments they are made of.

use std::any::Any;
use std::future::Future;

use super::Answer;
use crate::cache::Cache;
use crate::engine::{self, Background, Inline, Namer, Request, Tags, ValueTags};
use crate::key::Text;
use crate::site::ReadSite;
use crate::store::BoxFuture;

/// What one call of a cached function asks for.
#[derive(Debug)]
pub struct Lookup<'c> {
    cache: &'c Cache,
    /// `None`: the cache is off or bypassed.
    request: Option<Request>,
}

impl<'c> Lookup<'c> {
    /// Asks for the entry whose key and tags are written here.
    pub fn new(
        cache: &'c Cache,
        site: &'static ReadSite,
        key: impl FnOnce(&mut Text),
        tags: impl FnOnce(&mut Tags),
    ) -> Self {
        Self { cache, request: engine::request(&cache.0, cache.1, site, key, tags) }
    }

    /// Runs past the cache, because it is inside a transaction.
    #[must_use]
    pub fn bypass(cache: &'c Cache, site: &'static ReadSite) -> Self {
        super::bypassed(cache, site);
        Self { cache, request: None }
    }

    /// The value names tags, too: those of the frames, in the order in which they were written.
    #[must_use]
    pub fn tagged<V: Any>(mut self, by: fn(&V, &mut ValueTags<'_>)) -> Self {
        if let Some(request) = &mut self.request {
            request.named_by(Namer::new(by));
        }
        self
    }

    /// Reads; `load` is called at most once. `M` is the return type as written.
    pub async fn read<O: Answer<M>, M, F: Future<Output = O>>(self, load: impl FnOnce() -> F) -> O {
        engine::read(&self.cache.0, self.request, load, Inline).await
    }

    /// Reads, and may make the call again in a task of its own.
    pub async fn read_again<O, M, F, C>(self, load: impl FnOnce() -> F, again: C) -> O
    where
        O: Answer<M>,
        F: Future<Output = O>,
        C: FnOnce() -> BoxFuture<'static, ()>,
    {
        engine::read(&self.cache.0, self.request, load, Background(again)).await
    }
}
