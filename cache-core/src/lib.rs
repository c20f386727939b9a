//! A cache for web services in which **a read that begins after a covered write has returned sees that write**.
//!
//! This is the crate to import first: the handle, the attributes and the stores. Transactions over sqlx are in
//! `cache-sqlx`.
//!
//! # One reader's path through the code
//! [`entry`] (what is stored) -> [`freshness`] (who may be served) -> [`store`] (the seam) -> `engine::read` (look, join,
//! lead, load) -> `flight` (one load, many callers) -> [`backend::memory`] (the seam's contract, executable).

#[doc(hidden)]
#[path = "private/mod.rs"]
pub mod __private;
pub mod advice;
pub mod backend;
mod breaker;
pub mod bus;
mod cache;
pub mod catalogue;
pub mod codec;
pub mod commit;
mod engine;
pub mod entry;
pub mod error;
mod flight;
pub mod freshness;
pub mod heal;
pub mod journal;
pub mod key;
mod l1;
pub mod loading;
pub mod merge;
mod mode;
pub mod observe;
pub mod outbox;
pub mod output;
pub mod policy;
pub mod rng;
pub mod schema;
pub mod scope;
pub mod site;
pub mod stampede;
pub mod store;
pub mod subject;
pub mod tally;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod time;
pub mod warm;

pub use backend::file::{FileJournal, FileJournalBuilder, Fsync};
pub use backend::memory::MemoryStore;
#[cfg(feature = "redis")]
pub use backend::redis::{RedisJournal, RedisStore, RedisTally};
pub use cache::{Arguments, Builder, Cache, IntoArguments, Loader, Reader, Stats, Terms};
pub use cache_macros::{
    Cacheable, KeyPart, cached, invalidates, writes_around, writes_behind, writes_through,
};
pub use engine::{Fenced, Version};
pub use error::{BuildError, StoreError, WriteError};
pub use key::KeyPart;
pub use l1::L1;
pub use merge::Merging;
pub use mode::{Bypassed, Explained, Explanation, Miss, Mode, NotStored, Outcome, Peeked, Stored};
pub use mode::{bounded, bypass, explain, memo, peek, refresh};
pub use schema::Cacheable;
pub use scope::{ReadSource, WriteScope};
pub use tally::{MemoryTally, Merge};
pub use warm::{Warmed, warmed};
