//! A read before its body: the L1 is looked at, and what it does not answer has its names written, so that a body may move the
//! arguments they are made of.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use super::Answer;
use crate::cache::Cache;
use crate::engine::{self, Background, Inline, Namer, Request, Tags, ValueTags};
use crate::key::{KeyBytes, Text};
use crate::l1::Value;
use crate::output::Output;
use crate::site::ReadSite;
use crate::store::BoxFuture;

/// What one call of a cached function that returns `O` asks for. Small: what a hit in the L1 does not need is elsewhere.
pub struct Lookup<'c, O> {
    cache: &'c Cache,
    site: &'static ReadSite,
    asked: Asked,
    output: PhantomData<fn() -> O>,
}

enum Asked {
    /// The L1 has it.
    Kept(Value),
    Of(Box<Request>),
    /// The cache is off or bypassed.
    Past,
}

impl<O> fmt::Debug for Lookup<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("site", &self.site.template).finish_non_exhaustive()
    }
}

impl<'c, O> Lookup<'c, O> {
    /// Asks for the entry whose key and tags are written here. Both are made of these arguments, and of nothing else.
    #[inline]
    pub fn new(
        cache: &'c Cache,
        site: &'static ReadSite,
        arguments: impl FnOnce(&mut KeyBytes),
        key: impl FnOnce(&mut Text),
        tags: impl FnOnce(&mut Tags),
    ) -> Self {
        let asked = match engine::near::<O>(&cache.0, cache.1, site, arguments) {
            Ok(kept) => Asked::Kept(kept),
            Err(sought) => match engine::request(&cache.0, cache.1, site, key, tags) {
                Some(request) => Asked::Of(Box::new(request.sought_by(sought))),
                None => Asked::Past,
            },
        };
        Self { cache, site, asked, output: PhantomData }
    }

    /// Runs past the cache, because it is inside a transaction.
    #[must_use]
    pub fn bypass(cache: &'c Cache, site: &'static ReadSite) -> Self {
        super::bypassed(cache, site);
        Self { cache, site, asked: Asked::Past, output: PhantomData }
    }

    /// The value names tags, too: those of the frames, in the order in which they were written.
    #[must_use]
    pub fn tagged<V: Any>(mut self, by: fn(&V, &mut ValueTags<'_>)) -> Self {
        if let Asked::Of(request) = &mut self.asked {
            request.named_by(Namer::new(by));
        }
        self
    }

    /// Reads; `load` is called at most once. `M` is the return type as written.
    pub async fn read<M, F: Future<Output = O>>(self, load: impl FnOnce() -> F) -> O
    where
        O: Answer<M>,
    {
        // Taken apart before anything is awaited: an answer need not be `Send`.
        let (cache, request) = match self.request() {
            Ok(output) => return output,
            Err(asked) => asked,
        };
        Box::pin(engine::read(&cache.0, request.map(|request| *request), load, Inline)).await
    }

    /// Reads, and may make the call again in a task of its own.
    pub async fn read_again<M, F, C>(self, load: impl FnOnce() -> F, again: C) -> O
    where
        O: Answer<M>,
        F: Future<Output = O>,
        C: FnOnce() -> BoxFuture<'static, ()>,
    {
        // Taken apart before anything is awaited: an answer need not be `Send`.
        let (cache, request) = match self.request() {
            Ok(output) => return output,
            Err(asked) => asked,
        };
        Box::pin(engine::read(&cache.0, request.map(|request| *request), load, Background(again))).await
    }

    /// The answer of the L1, or what is asked of the engine.
    #[inline]
    fn request(self) -> Result<O, (&'c Cache, Option<Box<Request>>)>
    where
        O: Output,
    {
        match self.asked {
            // What the L1 had under a name that two types share is no answer; nothing is known of the entry, so it is loaded.
            Asked::Kept(kept) => engine::taken(&self.cache.0, self.site, kept).ok_or((self.cache, None)),
            Asked::Of(request) => Err((self.cache, Some(request))),
            Asked::Past => Err((self.cache, None)),
        }
    }
}
