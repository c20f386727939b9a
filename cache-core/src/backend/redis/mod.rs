//! The store in Redis (6.2 or newer, or Valkey): one slot a subject, one command a hit. Refuses to reconnect behind the
//! reader's back: every reply belongs to the epoch its connection was opened in.
//!
//! | key | what |
//! |---|---|
//! | `{name}:v` | hash: entry field -> blob; lives as long as its longest entry |
//! | `{name}:s` | hash: what a mark has dropped, where one of the entries asks to be kept aside; lives that long |
//! | `{name}:l` | hash: entry field -> `token\|lapses at` |
//! | `{name}:c` | hash: writer -> `origin\|marked at\|solo`; no TTL, there only while a write is in flight |
//! | `{name}:g` | a tag's generation, 16 hexadecimal digits |
//! | `{name}:h` | hash: member -> 0, or what he was told last; who reads it and keeps it for himself, an hour and a bit |
//! | `{ns#~}:m` | hash: the board, who keeps anything for himself in a namespace; no TTL, there only while somebody does |
//! | `{name}:p` | hash: the last queued write; no TTL until it is settled |
//! | `{name}:q` | stream: a journal's records; no TTL |
//! | `{name}:i` | a journal's identity, 32 hexadecimal digits; no TTL |
//! | `{S}:p` | hash: the queued write of a subject: journal, position, and until it is settled field, epoch, time, value; then a TTL of a minute |
//! | `{name}:n`, `{name}:f`, `{name}:b` | hashes: a tally's numbers that wait, and those that are taken; the id of their batch; no TTL |
//!
//! A tag has `g` and `c`, an entity has `v`, `s`, `l` and `c`. In `v` the field `aside` says for how many milliseconds, in `s` the field
//! `since` since when; no entry's field is called that. Times are milliseconds of the server's clock. The scripts in `lua/`
//! say which invariant of [`crate::store`] each keeps.

mod address;
mod bus;
mod cluster;
mod commands;
mod dial;
mod error;
mod finding;
mod identity;
mod journal;
mod lease;
mod link;
mod many;
mod node;
mod nodes;
mod open;
mod parts;
mod queued;
mod reply;
mod script;
mod send;
mod sentinel;
mod shares;
mod source;
mod tally;
#[cfg(feature = "redis-tls")]
mod tls;
#[cfg(not(feature = "redis-tls"))]
#[path = "no_tls.rs"]
mod tls;
mod torn;
mod words;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::timeout;

use self::address::Target;
use self::error::Refusal;
pub use self::journal::RedisJournal;
use self::nodes::Nodes;
pub use self::tally::RedisTally;
use crate::bus::{Listener, Sharers};
use crate::error::{BuildError, StoreError};
use crate::key::Namespace;
use crate::rng::SystemRng;
use crate::store::{
    Answers, Aside, BoxFuture, ClearRequest, Cleared, FillRequest, Filled, Found, GetRequest, LeaseRequest,
    Leased, MarkRequest, Marked, PendRequest, Queued, Shard, Store, StoreResult,
};
use crate::subject::{EntryKey, JournalId, Position, Subject, Token};
use crate::time::SystemClock;

/// How long [`RedisStore::connect`] waits for the first connection: enough for a server that is there, and nobody minds
/// when it is not.
const FIRST_ATTEMPT: Duration = Duration::from_millis(250);

/// The servers of a URL in use. Clones share the connections; dropping the last one closes them.
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    nodes: Nodes,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("target", &self.inner.target).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects to the servers of a URL on the current tokio runtime.
    ///
    /// ```text
    /// redis://[[user]:password@]host[:6379][/database]
    /// redis+sentinel://[[user]:password@]host[:26379],host…/master[/database][?sentinel_user=…&sentinel_password=…]
    /// redis+cluster://[[user]:password@]host[:6379],host…
    /// ```
    ///
    /// `rediss` is TLS (feature `redis-tls`), with `?ca=`, `?cert=` and `&key=` for PEM files; `valkey` and `valkeys` are other
    /// words for `redis` and `rediss`.
    ///
    /// A server that is not there is no error: commands fail until a task in the background has reached it.
    ///
    /// # Errors
    /// A URL that cannot be used, or a server that answered at once that it cannot: a wrong password, missing permissions,
    /// a certificate nobody trusts, a sentinel in place of a server or the reverse, a version before 6.2. The text says what to
    /// change.
    pub async fn connect(url: &str) -> Result<Self, BuildError> {
        let target = Target::parse(url)?;
        let refused = |why: String| BuildError::new(vec![format!("{target} cannot be used: {why}")]);
        let clock = Arc::new(SystemClock::default());
        let (nodes, first) = Nodes::start(&target, clock, Arc::new(SystemRng::default())).map_err(refused)?;
        match timeout(FIRST_ATTEMPT, first).await {
            Ok(Ok(Err(Refusal::Unusable(why)))) => Err(refused(why)),
            _ => Ok(Self { inner: Arc::new(Inner { target, nodes }) }),
        }
    }
}

/// The only answer of many.
fn one<T>(mut answers: Vec<Result<T, StoreError>>) -> Result<T, StoreError> {
    answers.pop().unwrap_or_else(|| Err(commands::unanswered()))
}

impl Store for RedisStore {
    fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found> {
        Box::pin(commands::get(&self.inner.nodes, key, tags))
    }

    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased> {
        Box::pin(async move { commands::lease(&self.inner.nodes, &request).await })
    }

    fn fill<'a>(&'a self, request: FillRequest<'a>) -> StoreResult<'a, Filled> {
        Box::pin(async move { commands::fill(&self.inner.nodes, &request).await })
    }

    fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()> {
        Box::pin(commands::release(&self.inner.nodes, key, token))
    }

    fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked> {
        Box::pin(async move { commands::mark(&self.inner.nodes, &request).await })
    }

    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
        Box::pin(async move { commands::clear(&self.inner.nodes, &request).await })
    }

    fn get_many<'a>(&'a self, requests: &'a [GetRequest<'a>]) -> Answers<'a, Found> {
        Box::pin(many::get(&self.inner.nodes, requests))
    }

    fn lease_many<'a>(&'a self, requests: &'a [LeaseRequest<'a>]) -> Answers<'a, Leased> {
        Box::pin(many::lease(&self.inner.nodes, requests))
    }

    fn fill_many<'a>(&'a self, requests: &'a [FillRequest<'a>]) -> Answers<'a, Filled> {
        Box::pin(many::fill(&self.inner.nodes, requests))
    }

    fn release_many<'a>(&'a self, leases: &'a [(EntryKey, Token)]) -> Answers<'a, ()> {
        Box::pin(many::release(&self.inner.nodes, leases))
    }

    fn pend<'a>(&'a self, request: PendRequest<'a>) -> StoreResult<'a, Sharers> {
        Box::pin(async move { one(queued::pend(&self.inner.nodes, &[request]).await) })
    }

    fn settle<'a>(
        &'a self,
        subject: &'a Subject,
        journal: JournalId,
        position: Position,
    ) -> StoreResult<'a, ()> {
        let subjects = std::slice::from_ref(subject);
        Box::pin(async move { one(queued::settle(&self.inner.nodes, subjects, journal, position).await) })
    }

    fn queued<'a>(&'a self, subject: &'a Subject) -> StoreResult<'a, Option<Queued>> {
        Box::pin(queued::queued(&self.inner.nodes, subject))
    }

    fn pend_many<'a>(&'a self, requests: &'a [PendRequest<'a>]) -> Answers<'a, Sharers> {
        Box::pin(queued::pend(&self.inner.nodes, requests))
    }

    fn show_many<'a>(&'a self, requests: &'a [PendRequest<'a>]) -> Answers<'a, bool> {
        Box::pin(queued::show(&self.inner.nodes, requests))
    }

    fn settle_many<'a>(
        &'a self,
        subjects: &'a [Subject],
        journal: JournalId,
        position: Position,
    ) -> Answers<'a, ()> {
        Box::pin(queued::settle(&self.inner.nodes, subjects, journal, position))
    }

    fn aside<'a>(&'a self, key: &'a EntryKey) -> StoreResult<'a, Option<Aside>> {
        Box::pin(commands::aside(&self.inner.nodes, key))
    }

    fn clear_namespace<'a>(&'a self, namespace: &'a Namespace, seed: u64) -> StoreResult<'a, Duration> {
        Box::pin(commands::clear_namespace(&self.inner.nodes, namespace.as_str(), seed))
    }

    fn shard(&self, subject: &Subject) -> Shard {
        self.inner.nodes.shard(subject)
    }

    fn connections(&self) -> u64 {
        self.inner.nodes.connections()
    }

    fn acknowledged<'a>(&'a self, sharers: &'a Sharers) -> BoxFuture<'a, ()> {
        Box::pin(bus::acknowledged(&self.inner.nodes, sharers))
    }

    fn forget<'a>(&'a self, sharers: &'a Sharers) -> BoxFuture<'a, ()> {
        Box::pin(bus::forget(&self.inner.nodes, sharers))
    }

    fn join(&self, namespace: &Namespace, listener: Weak<dyn Listener>) -> Result<(), String> {
        match self.inner.nodes.join(namespace.as_str(), listener) {
            true => Ok(()),
            false => Err(format!(
                "there is no L1 over a Redis Cluster yet ({}): leave `.l1(…)` out, or use one server, with or without sentinels",
                self.inner.target
            )),
        }
    }

    fn describe(&self) -> String {
        self.inner.target.to_string()
    }
}
