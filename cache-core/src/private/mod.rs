//! What generated code names. Not for people: it may change in any release.

mod answer;
mod around;
mod batch;
mod keyed;
mod load;
mod lookup;
mod opened;
mod returned;

use std::future::Future;

pub use bytes::Bytes;
pub use inventory;
pub use serde::{Serialize, de::DeserializeOwned};
pub use std::time::Duration;

pub use answer::{Answer, InResult, Maybe, Shared, Unseen};
pub use around::{Around, Subjects};
pub use batch::{BatchLookup, borrowed_keys, keys_as, owned_keys};
pub use keyed::{Keyed, PartOf};
pub use load::{Repeatable, TimesOut, absent, not, only_if, present, repeat, timed, ttl_from, unless};
pub use lookup::Lookup;
pub use opened::{Opened, run, run_around};
pub use returned::{Fallible, Returned, ReturnedAlone, succeeded};

pub use crate::cache::Cache;
use crate::engine;
pub use crate::engine::{Between, Fenced, Frame, Tags, ValueTags};
pub use crate::error::WriteError;
pub use crate::journal::WriteBehind;
pub use crate::key::{KeyBytes, KeyPart, Text};
use crate::mode::Bypassed;
pub use crate::output::{Aligned, Item, Output, Payload, ValueOf};
pub use crate::policy::{Early, OnUnfenced, OnWait, Overrides, Sharing, Stampede};
pub use crate::schema::{Cacheable, Schema, Walker};
pub use crate::scope::{Expected, FromWriteError, OpenScope, ReadSource, Recording, ViaFrom, WriteScope};
pub use crate::site::{BulkSite, Coverage, Location, QueueSite, ReadSite, Site, WriteSite};
pub use crate::store::BoxFuture;
pub use crate::subject::{Kind, Subject};
pub use crate::warm::{Warmed, warmed};

/// The cache of a holder.
pub fn cache_of<C: AsRef<Cache> + ?Sized>(holder: &C) -> &Cache {
    holder.as_ref()
}

/// A cached read.
pub async fn read<O: Output, F: Future<Output = O>>(
    cache: &Cache,
    site: &'static ReadSite,
    key: impl FnOnce(&mut Text),
    tags: impl FnOnce(&mut Tags),
    load: impl FnOnce() -> F,
) -> O {
    let request = engine::request(&cache.0, cache.1, site, key, tags);
    engine::read(&cache.0, request, load, engine::Inline).await
}

/// Counts a read that runs past the cache because it is inside a transaction.
pub fn bypassed(cache: &Cache, site: &'static ReadSite) {
    cache.0.site(site).counters.bypasses.add();
    engine::tell_bypassed(&cache.0, site, Bypassed::Transaction, || None);
}

/// Whether reads from this source may see uncommitted changes.
pub fn inside_transaction<M, S: ReadSource<M> + ?Sized>(source: &S) -> bool {
    source.inside_transaction()
}

/// Records the value of a write-through.
pub fn put<O: Output>(recording: &Recording, template: &str, subject: &Subject, output: &O) {
    engine::put(recording, template, subject, output);
}

/// The text of a key.
pub fn text(write: impl FnOnce(&mut Text)) -> String {
    Text::written(write)
}

/// Waits until what was handed to a queue is acknowledged; nothing if nothing was.
pub async fn written_behind<E>(write: Option<impl Future<Output = Result<(), E>>>) -> Result<(), E> {
    match write {
        Some(write) => write.await,
        None => Ok(()),
    }
}

/// Ends a write that committed by itself: clears if its outcome is known, else leaves the fence.
async fn settle<T, E: FromWriteError<M>, M>(fenced: Fenced, result: Result<T, E>) -> Result<T, E> {
    match result {
        Ok(value) => fenced.clear().await.map(|()| value).map_err(E::from_write_error),
        Err(error) if error.settled() => {
            // The caller's error is the news; an unconfirmed clear goes on in the background.
            let _ = fenced.clear().await;
            Err(error)
        }
        Err(error) => {
            fenced.abandon();
            Err(error)
        }
    }
}
