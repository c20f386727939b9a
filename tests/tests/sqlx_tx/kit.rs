//! A database with one table, a store that can be watched, held and broken, and the reads and writes of a small bank.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use cache_core::__private as private;
use cache_core::error::StoreErrorKind;
use cache_core::heal::Healer;
use cache_core::policy::Overrides;
use cache_core::scope::Recording;
use cache_core::site::{Location, ReadSite};
use cache_core::store::*;
use cache_core::subject::{EntryKey, Kind, Subject, Token, WriterId};
use cache_core::{Builder, Cache, MemoryStore, StoreError};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use tokio::sync::Semaphore;

/// How long a condition may take to come true on a slow machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Polls a condition until it holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LIMIT, poll).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}

/// Polls a future this many times and drops it; whether it finished.
pub(crate) async fn drop_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let once = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready()));
        if once.await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

/// What a store was asked to do for writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Mark(Vec<String>),
    Clear(Vec<String>, usize),
}

/// Stops whoever passes until it is opened.
#[derive(Debug)]
pub(crate) struct Gate {
    arrived: Semaphore,
    open: Semaphore,
    closed: AtomicBool,
}

impl Default for Gate {
    fn default() -> Self {
        Self { arrived: Semaphore::new(0), open: Semaphore::new(0), closed: AtomicBool::new(false) }
    }
}

impl Gate {
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        self.open.add_permits(1);
    }

    /// Waits until someone stands before the closed gate.
    pub(crate) async fn arrival(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    async fn pass(&self) {
        if self.closed.load(Ordering::SeqCst) {
            self.arrived.add_permits(1);
            self.open.acquire().await.unwrap().forget();
        }
    }
}

/// The store in memory, watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spy(Arc<Watched>);

#[derive(Debug, Default)]
pub(crate) struct Watched {
    store: MemoryStore,
    seen: Mutex<Vec<Seen>>,
    /// Passed after a mark was set and before it is acknowledged.
    pub(crate) marked: Gate,
    /// Passed before a clear is carried out.
    pub(crate) clearing: Gate,
    pub(crate) refuse_marks: AtomicBool,
    pub(crate) refuse_clears: AtomicBool,
}

impl std::ops::Deref for Spy {
    type Target = Watched;

    fn deref(&self) -> &Watched {
        &self.0
    }
}

impl Spy {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }

    pub(crate) fn marks(&self) -> usize {
        self.seen().iter().filter(|seen| matches!(seen, Seen::Mark(_))).count()
    }

    pub(crate) fn clears(&self) -> usize {
        self.seen().len() - self.marks()
    }

    /// Loses everything, fences and all.
    pub(crate) fn lose_everything(&self) {
        self.store.lose_everything();
    }

    fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }
}

fn names(subjects: &[Subject]) -> Vec<String> {
    subjects.iter().map(|subject| subject.name().to_owned()).collect()
}

fn refused() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "refused by the test")
}

impl Store for Spy {
    fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found> {
        self.store.get(key, tags)
    }

    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased> {
        self.store.lease(request)
    }

    fn fill<'a>(&'a self, request: FillRequest<'a>) -> StoreResult<'a, Filled> {
        self.store.fill(request)
    }

    fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()> {
        self.store.release(key, token)
    }

    fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked> {
        Box::pin(async move {
            if self.refuse_marks.load(Ordering::SeqCst) {
                return Err(refused());
            }
            let marked = self.store.mark(request).await?;
            self.note(Seen::Mark(names(request.subjects)));
            self.marked.pass().await;
            Ok(marked)
        })
    }

    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
        Box::pin(async move {
            if self.refuse_clears.load(Ordering::SeqCst) {
                return Err(refused());
            }
            self.clearing.pass().await;
            let cleared = self.store.clear(request).await?;
            self.note(Seen::Clear(names(request.subjects), request.puts.len()));
            Ok(cleared)
        })
    }

    fn describe(&self) -> String {
        "the store in memory, watched".into()
    }
}

/// A healer that knows nothing and remembers what it was asked, after those that joined before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listener(Arc<Mutex<Vec<Fence>>>);

impl Listener {
    pub(crate) fn join(cache: &Cache) -> Self {
        let listener = Self::default();
        cache.heal_with(Arc::new(listener.clone()));
        listener
    }

    pub(crate) fn asked(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> Option<Fence> {
        self.0.lock().unwrap().last().cloned()
    }
}

impl Healer for Listener {
    fn name(&self) -> &str {
        "listener"
    }

    fn knows(&self, _: &Fence) -> bool {
        true
    }

    fn finished<'a>(&'a self, fences: &'a [Fence]) -> BoxFuture<'a, Vec<WriterId>> {
        self.0.lock().unwrap().extend_from_slice(fences);
        Box::pin(async { Vec::new() })
    }
}

/// A cache whose waits are long enough for a slow machine and whose store may be held for as long as a test likes.
pub(crate) fn builder(spy: &Spy) -> Builder {
    Cache::builder("bank").store(spy.clone()).mark_deadline(LIMIT).clear_wait(LIMIT)
}

pub(crate) struct Bank {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
    pub(crate) spy: Spy,
    pub(crate) cache: Cache,
}

/// A Postgres database of its own with account 1 holding 100 and account 2 holding 200, and a pool of so many connections.
pub(crate) async fn bank_of(connections: u32) -> Bank {
    let url = cache_test_support::fresh_database().unwrap();
    let pool = PgPoolOptions::new().max_connections(connections).connect(&url).await.unwrap();
    pool.execute(
        "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);
         INSERT INTO account VALUES (1, 100), (2, 200);
         CREATE TABLE owner (id bigint PRIMARY KEY,
             account bigint REFERENCES account DEFERRABLE INITIALLY DEFERRED)",
    )
    .await
    .unwrap();
    let spy = Spy::default();
    let cache = builder(&spy).build().unwrap();
    Bank { url, pool, spy, cache }
}

pub(crate) async fn bank() -> Bank {
    bank_of(4).await
}

/// Records that the account changes.
pub(crate) fn touch(recording: &Recording, id: i64) -> Subject {
    recording.touch(Kind::Entity, |text| {
        text.literal("account:");
        text.part(&id);
    })
}

/// The entry a put for this account fills.
pub(crate) fn put(recording: &Recording, id: i64) {
    let subject = touch(recording, id);
    recording.put(EntryKey { subject, field: 7 }, bytes::Bytes::from_static(b"value"), 0, &READ);
}

pub(crate) const SET: &str = "UPDATE account SET balance = $2 WHERE id = $1";
pub(crate) const GET: &str = "SELECT balance FROM account WHERE id = $1";

static READ: ReadSite = ReadSite::new(
    Location { function: "kit::read", file: file!(), line: line!() },
    "account:<id>",
    "i64",
    Overrides::ttl(Duration::from_secs(3600)),
);

/// A cached read of a balance that counts its loads.
pub(crate) async fn read(
    cache: &Cache,
    id: i64,
    loads: &AtomicUsize,
    load: impl Future<Output = i64>,
) -> i64 {
    let key = |text: &mut private::Text| {
        text.literal("account:");
        text.part(&id);
    };
    private::read(
        cache,
        &READ,
        key,
        |_| {},
        || async {
            loads.fetch_add(1, Ordering::SeqCst);
            load.await
        },
    )
    .await
}

impl Bank {
    /// A pool of one connection to the same database.
    pub(crate) async fn single(&self) -> PgPool {
        PgPoolOptions::new().max_connections(1).connect(&self.url).await.unwrap()
    }

    pub(crate) async fn balance(&self, id: i64) -> i64 {
        sqlx::query_scalar(GET).bind(id).fetch_one(&self.pool).await.unwrap()
    }

    pub(crate) async fn read(&self, id: i64, loads: &AtomicUsize) -> i64 {
        read(&self.cache, id, loads, self.balance(id)).await
    }

    /// Whether a second read in a row is a hit: the account is not fenced.
    pub(crate) async fn is_cached(&self, id: i64) -> bool {
        let loads = AtomicUsize::new(0);
        self.read(id, &loads).await;
        let first = loads.load(Ordering::SeqCst);
        self.read(id, &loads).await;
        loads.load(Ordering::SeqCst) == first
    }

    /// How many sessions of the database are inside a transaction and doing nothing.
    pub(crate) async fn idle_in_transaction(&self) -> i64 {
        let count = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        sqlx::query_scalar(count).fetch_one(&self.pool).await.unwrap()
    }
}
