//! A write that commits by itself: its names are written before the body, which may move the arguments they are made of.

use std::future::Future;

use crate::cache::Cache;
use crate::error::WriteErrorKind;
use crate::key::Text;
use crate::policy::OnUnfenced;
use crate::scope::{FromWriteError, Writes};
use crate::site::WriteSite;
use crate::store::Origin;
use crate::subject::Kind;

/// Collects the subjects of a write that no transaction covers.
#[derive(Debug)]
pub struct Subjects<'c> {
    cache: &'c Cache,
    site: &'static WriteSite,
    writes: Writes,
}

impl Subjects<'_> {
    fn touch(&mut self, kind: Kind, write: impl FnOnce(&mut Text)) {
        let subject = self.cache.namespace().subject(kind, write);
        // As many as the attribute names.
        if !self.writes.subjects.contains(&subject) {
            self.writes.subjects.push(subject);
        }
    }

    /// A thing the write changes.
    pub fn key(&mut self, write: impl FnOnce(&mut Text)) {
        self.touch(Kind::Entity, write);
    }

    /// A tag the write changes.
    pub fn tag(&mut self, write: impl FnOnce(&mut Text)) {
        self.touch(Kind::Tag, write);
    }
}

/// A write inside a fence of its own.
#[derive(Debug)]
pub struct Around<'c>(Subjects<'c>);

impl<'c> Around<'c> {
    /// Names what it changes.
    pub fn new(cache: &'c Cache, site: &'static WriteSite, subjects: impl FnOnce(&mut Subjects<'c>)) -> Self {
        // There is no transaction to leave a row in.
        let on_unfenced = match cache.0.settings.on_unfenced {
            OnUnfenced::Outbox => OnUnfenced::Reject,
            other => other,
        };
        let mut collected = Subjects { cache, site, writes: Writes { on_unfenced, ..Writes::default() } };
        subjects(&mut collected);
        Self(collected)
    }

    /// Says what becomes of it if it cannot be fenced.
    #[must_use]
    pub fn on_unfenced(mut self, on_unfenced: OnUnfenced) -> Self {
        self.0.writes.on_unfenced = on_unfenced;
        self
    }

    /// Fences, runs the body, and lifts the fence where the outcome is known.
    ///
    /// # Errors
    /// The body's own, or that the fence could not be set or its lifting was not confirmed.
    pub async fn run<T, E, M, F>(self, body: impl FnOnce() -> F) -> Result<T, E>
    where
        E: FromWriteError<M>,
        F: Future<Output = Result<T, E>>,
    {
        let Subjects { cache, site, writes } = self.0;
        let settled = cache.0.after_queued(&writes.subjects, Some(site)).await;
        let writes = Writes { settled, ..writes };
        let proceeds = cache.0.on_unfenced(&writes) == OnUnfenced::Proceed;
        let subjects = if proceeds { writes.subjects.clone() } else { Vec::new() };
        match cache.fence(writes, Origin::none()).await {
            Ok(fenced) => super::settle(fenced, body().await).await,
            Err(error) if proceeds && error.kind() == WriteErrorKind::Unfenced => {
                let result = body().await;
                cache.0.writes.proceeded.add();
                cache.0.deliver_soon(subjects);
                result
            }
            Err(error) => Err(E::from_write_error(error)),
        }
    }

    /// The same for a body in which nothing that is written is installed.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_around<T, E, M, F>(self, body: impl FnOnce() -> F) -> Result<T, E>
    where
        E: FromWriteError<M>,
        F: Future<Output = Result<T, E>>,
    {
        self.run(|| super::run_around(body)).await
    }
}
