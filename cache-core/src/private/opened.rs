//! A transaction that `begin` opened. Its futures are boxed: a scope has a lifetime, and where a future of an `async fn` that is
//! generic over it is checked for `Send`, the compiler forgets that lifetime and asks for `OpenScope` at every other.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::cache::Cache;
use crate::scope::OpenScope;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An open transaction that remembers what it was opened from. Dropped, it is rolled back.
#[derive(Debug)]
pub struct Opened<Scope, Source> {
    scope: Scope,
    source: PhantomData<fn(&Source)>,
}

impl<Scope: OpenScope<Cache, Source>, Source> Opened<Scope, Source> {
    /// Opens a transaction.
    pub fn open<'a>(cache: &'a Cache, source: &'a Source) -> Boxed<'a, Result<Self, Scope::Error>>
    where
        Scope: 'a,
    {
        let opening = Scope::open(cache, source);
        Box::pin(async { opening.await.map(|scope| Self { scope, source: PhantomData }) })
    }

    /// The transaction, to be handed to the body.
    pub fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    /// Commits it.
    pub fn close<'a>(self) -> Boxed<'a, Result<(), Scope::Error>>
    where
        Scope: 'a,
        Source: 'a,
    {
        Box::pin(self.scope.close())
    }
}

/// Runs a body where it stands.
pub fn run<F: Future>(body: impl FnOnce() -> F) -> F {
    body()
}

/// Runs a body where it stands; nothing that is written in it is installed.
pub async fn run_around<F: Future>(body: impl FnOnce() -> F) -> F::Output {
    crate::mode::around(async { body().await }).await
}
