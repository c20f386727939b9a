//! A database of one value with an outbox, and instances that reach one store each in its own way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::cache::Cache;
use crate::commit::{CommitError, OpenTransaction, Standing, Uncommitted, Unnamed, run};
use crate::heal::Healer;
use crate::key::Namespace;
use crate::outbox::{Left, Row, RowId, Table, subjects_of};
use crate::policy::{OnUnfenced, Overrides};
use crate::scope::Recording;
use crate::site::{Location, ReadSite};
use crate::store::{BoxFuture, Fence, Origin};
use crate::subject::{Kind, WriterId};
use crate::testkit::{ChaosStore, StoppedClock};
use crate::{__private as private, Builder, MemoryStore};

const AT: Location = Location { function: "users::find", file: "users.rs", line: 1 };

static ROW: ReadSite = ReadSite::new(AT, "row:<id>", "u64", Overrides::ttl(Duration::from_secs(3600)));

pub(super) fn key(text: &mut private::Text) {
    text.literal("row:7");
}

/// A point that a test can stop at.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) is_closed: AtomicBool,
    pub(super) reached: Notify,
    pub(super) opened: Notify,
}

impl Gate {
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
    }

    pub(super) async fn pass(&self) {
        if self.is_closed.swap(false, Ordering::SeqCst) {
            self.reached.notify_one();
            self.opened.notified().await;
        }
    }
}

/// A database of one value and an outbox. Commits become visible when the test lets them.
#[derive(Clone, Debug, Default)]
pub(super) struct Database(pub(super) Arc<Shared>);

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) value: AtomicU64,
    pub(super) rows: Mutex<Vec<(RowId, Row, bool)>>,
    /// Before a commit becomes visible.
    pub(super) commit: Gate,
    /// After it is visible, before its writer hears of it.
    pub(super) answered: Gate,
    /// After the table was looked at, before the answer is read.
    pub(super) answer: Gate,
    pub(super) is_finished: AtomicBool,
    pub(super) has_no_table: AtomicBool,
    pub(super) questions: AtomicU64,
}

impl Database {
    pub(super) fn rows(&self) -> usize {
        self.0.rows.lock().unwrap().len()
    }

    /// What a relay does.
    pub(super) async fn relay(&self, instance: &Instance) {
        let rows = self.0.rows.lock().unwrap().clone();
        for (id, row, _) in rows {
            let (subjects, _) = subjects_of(instance.cache.namespace(), &row.subjects);
            instance.cache.deliver(subjects, Origin::none()).await.unwrap();
            self.0.rows.lock().unwrap().retain(|known| known.0 != id);
        }
    }
}

impl Table for Database {
    fn name(&self) -> &str {
        "database"
    }

    fn holds_unreached<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move {
            self.0.questions.fetch_add(1, Ordering::SeqCst);
            let holds = self
                .0
                .rows
                .lock()
                .unwrap()
                .iter()
                .any(|(_, row, unreached)| row.namespace == *namespace && *unreached);
            self.0.answer.pass().await;
            Ok(holds)
        })
    }

    fn delete<'a>(&'a self, _: &'a Namespace, rows: &'a [RowId]) -> BoxFuture<'a, Result<(), String>> {
        self.0.rows.lock().unwrap().retain(|known| !rows.contains(&known.0));
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Healer for Database {
    fn name(&self) -> &str {
        "database"
    }

    fn knows(&self, fence: &Fence) -> bool {
        fence.origin.as_str().starts_with("db:")
    }

    fn finished<'a>(&'a self, fences: &'a [Fence]) -> BoxFuture<'a, Vec<WriterId>> {
        let is_finished = self.0.is_finished.load(Ordering::SeqCst);
        let known = fences.iter().filter(|_| is_finished).map(|fence| fence.writer);
        Box::pin(std::future::ready(known.collect()))
    }
}

pub(super) struct Tx {
    pub(super) database: Database,
    pub(super) value: u64,
    pub(super) left: Option<(RowId, Row, bool)>,
    /// The connection is lost at COMMIT, which may still be carried out.
    pub(super) is_lost: bool,
}

impl Tx {
    pub(super) fn id(row: &Row) -> RowId {
        RowId { id: row.ticket, ticket: row.ticket }
    }

    pub(super) fn becomes_visible(&mut self) {
        self.database.0.value.store(self.value, Ordering::SeqCst);
        self.database.0.rows.lock().unwrap().extend(self.left.take());
    }
}

impl OpenTransaction for Tx {
    type Error = &'static str;

    async fn standing(&mut self) -> Result<Standing, Unnamed<&'static str>> {
        Ok(Standing::Open(Origin::new("db:1").unwrap()))
    }

    fn has_outbox(&self) -> bool {
        true
    }

    async fn standing_leaving(
        &mut self,
        row: &Row,
    ) -> Result<(Standing, Option<Left>), Unnamed<&'static str>> {
        let id = Self::id(row);
        self.left = Some((id, row.clone(), false));
        let left = Left { row: id, table: Some(Arc::new(self.database.clone())) };
        self.standing().await.map(|standing| (standing, Some(left)))
    }

    async fn leave(&mut self, row: &Row, left: Option<&Left>) -> Result<bool, &'static str> {
        if self.database.0.has_no_table.load(Ordering::SeqCst) {
            return Err("no table");
        }
        assert_eq!(left.map(|left| left.row), self.left.as_ref().map(|left| left.0));
        self.left = Some((Self::id(row), row.clone(), true));
        Ok(true)
    }

    async fn commit(mut self) -> Result<(), Uncommitted<&'static str>> {
        if self.is_lost {
            let database = self.database.clone();
            tokio::spawn(async move {
                database.0.commit.pass().await;
                self.becomes_visible();
                database.0.is_finished.store(true, Ordering::SeqCst);
            });
            return Err(Uncommitted::Unknown("lost"));
        }
        self.database.0.commit.pass().await;
        self.becomes_visible();
        self.database.0.answered.pass().await;
        Ok(())
    }

    async fn roll_back(self) -> Result<(), &'static str> {
        Ok(())
    }
}

/// What is held is held for as long as the test wants.
pub(super) fn patient(builder: Builder) -> Builder {
    builder.mark_deadline(Duration::from_secs(3600))
}

/// One database and one store, and every instance its own way there.
pub(super) struct World {
    pub(super) memory: MemoryStore,
    pub(super) clock: Arc<StoppedClock>,
    pub(super) database: Database,
}

#[derive(Clone)]
pub(super) struct Instance {
    pub(super) cache: Cache,
    pub(super) store: ChaosStore,
    pub(super) database: Database,
    pub(super) clock: Arc<StoppedClock>,
}

impl World {
    pub(super) fn new() -> Self {
        let clock = Arc::new(StoppedClock::default());
        let database = Database::default();
        database.0.value.store(1, Ordering::SeqCst);
        Self { memory: MemoryStore::with_clock(clock.clone()), clock, database }
    }

    pub(super) fn with(&self, change: impl FnOnce(Builder) -> Builder) -> Instance {
        let store = ChaosStore::new(self.memory.clone());
        let builder = Cache::builder("t").store(store.clone()).clock(self.clock.clone());
        let builder = builder.mark_deadline(Duration::from_millis(20));
        let cache = change(builder.on_unfenced(OnUnfenced::Outbox)).build().unwrap();
        cache.outbox_in(Arc::new(self.database.clone()));
        cache.heal_with(Arc::new(self.database.clone()));
        Instance { cache, store, database: self.database.clone(), clock: self.clock.clone() }
    }

    pub(super) fn instance(&self) -> Instance {
        self.with(|builder| builder)
    }
}

impl Instance {
    pub(super) async fn find(&self) -> u64 {
        self.find_by(async || ()).await
    }

    pub(super) async fn find_by(&self, pause: impl AsyncFnOnce()) -> u64 {
        let load = || async {
            let seen = self.database.0.value.load(Ordering::SeqCst);
            pause().await;
            Some(seen)
        };
        private::read(&self.cache, &ROW, key, |_| {}, load).await.unwrap()
    }

    pub(super) fn recording(&self) -> Recording {
        let recording = self.cache.recording();
        recording.touch(Kind::Entity, key);
        recording
    }

    pub(super) async fn write_by(&self, value: u64, is_lost: bool) -> Result<(), CommitError<&'static str>> {
        let tx = Tx { database: self.database.clone(), value, left: None, is_lost };
        run(tx, self.cache.clone(), self.recording()).await
    }

    pub(super) async fn write(&self, value: u64) -> Result<(), CommitError<&'static str>> {
        self.write_by(value, false).await
    }

    pub(super) fn spawn_write(&self, value: u64) -> JoinHandle<Result<(), CommitError<&'static str>>> {
        let this = self.clone();
        tokio::spawn(async move { this.write(value).await })
    }

    /// Reads until a read is answered without a load, and tells what all of them were.
    pub(super) async fn read_until_hit(&self) -> Vec<u64> {
        let mut seen = Vec::new();
        for _ in 0..50 {
            let loads = self.cache.stats().total().loads;
            seen.push(self.find().await);
            if self.cache.stats().total().loads == loads {
                return seen;
            }
            self.clock.advance(Duration::from_secs(1));
            settle().await;
        }
        panic!("never answered by the store: {seen:?}");
    }

    /// Reads often enough that every question that is asked is answered.
    pub(super) async fn read_often(&self) -> Vec<u64> {
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(self.find().await);
            self.clock.advance(Duration::from_secs(1));
            settle().await;
        }
        seen
    }
}

/// Lets the tasks run that can.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

pub(super) async fn warm(instances: [&Instance; 2]) {
    for instance in instances {
        assert!(instance.read_until_hit().await.iter().all(|seen| *seen == 1));
    }
}
