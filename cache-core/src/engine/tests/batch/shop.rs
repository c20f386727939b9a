//! A table of rows that is read one by one and many at once. Remembers what its loaders were asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use super::*;
use crate::observe::Counts;

pub(super) static MANY: ReadSite = ReadSite { at: AT, ..ROW };

static MANY_TAGGED: ReadSite = ReadSite { tags: &["parity:<id>"], ..ROW };

static MANY_EARLY: ReadSite = ReadSite { template: "early:<id>", ..EARLY };

pub(super) fn name(text: &mut private::Text, id: &u64) {
    text.literal("row:");
    text.part(id);
}

fn parity(tags: &mut private::Tags, id: &u64) {
    tags.tag(|text| {
        text.literal("parity:");
        text.part(&(id % 2));
    });
}

/// One process, and the rows it reads: `id` holds ten times `id` until it is written.
#[derive(Clone)]
pub(super) struct Shop {
    pub(super) world: World,
    pub(super) a: Instance,
    rows: Arc<Mutex<BTreeMap<u64, u64>>>,
    asked: Arc<Mutex<Vec<Vec<u64>>>>,
    fails: Arc<AtomicBool>,
    limit: usize,
    counted: Arc<Mutex<HashMap<Command, u64>>>,
}

const COMMANDS: [Command; 7] = [
    Command::Get,
    Command::Lease,
    Command::Fill,
    Command::GetMany,
    Command::LeaseMany,
    Command::FillMany,
    Command::ReleaseMany,
];

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shop {
    pub(super) fn with(ids: impl IntoIterator<Item = u64>) -> Self {
        let world = World::new();
        let a = world.instance();
        Self::over(world, a, ids)
    }

    pub(super) fn without(rule: Rule, ids: impl IntoIterator<Item = u64>) -> Self {
        let world = World::new();
        let a = world.with(world.builder().without(rule));
        Self::over(world, a, ids)
    }

    fn over(world: World, a: Instance, ids: impl IntoIterator<Item = u64>) -> Self {
        let rows = ids.into_iter().map(|id| (id, id * 10)).collect();
        let (rows, asked) = (Arc::new(Mutex::new(rows)), Arc::default());
        Self { world, a, rows, asked, fails: Arc::default(), limit: 1000, counted: Arc::default() }
    }

    /// Another process over the same rows and the same store.
    pub(super) fn another(&self) -> Self {
        Self { a: self.world.instance(), asked: Arc::default(), ..self.clone() }
    }

    pub(super) fn limited(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// From now on loaders fail.
    pub(super) fn fail(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    pub(super) fn mend(&self) {
        self.fails.store(false, Ordering::SeqCst);
    }

    pub(super) fn set(&self, id: u64, value: u64) {
        lock(&self.rows).insert(id, value);
    }

    /// What a loader sees; remembered.
    pub(super) fn select(&self, ids: &[u64]) -> Result<HashMap<u64, u64>, String> {
        lock(&self.asked).push(ids.to_vec());
        if self.fails.load(Ordering::SeqCst) {
            return Err("the table is gone".into());
        }
        let rows = lock(&self.rows);
        Ok(ids.iter().filter_map(|id| Some((*id, *rows.get(id)?))).collect())
    }

    pub(super) fn ask(&self, ids: impl IntoIterator<Item = u64>) -> private::BatchLookup<'_, u64> {
        let ids = ids.into_iter().collect();
        private::BatchLookup::new(&self.a.cache, &MANY, ids, self.limit, name, |_, _| {})
    }

    pub(super) async fn many(&self, ids: impl IntoIterator<Item = u64>) -> Result<HashMap<u64, u64>, String> {
        self.many_by(ids, async || ()).await
    }

    /// The loader pauses after it has seen the rows.
    pub(super) async fn many_by(
        &self,
        ids: impl IntoIterator<Item = u64>,
        pause: impl AsyncFnOnce(),
    ) -> Result<HashMap<u64, u64>, String> {
        let load = async |ids: Vec<u64>| {
            let seen = self.select(&ids);
            pause().await;
            seen
        };
        self.ask(ids).read(load).await
    }

    /// Reads rows that are kept for `bounded`; there is none of those that are absent.
    pub(super) async fn kept(&self, ids: impl IntoIterator<Item = u64>) -> HashMap<u64, u64> {
        static KEPT: ReadSite = ReadSite {
            options: Overrides { bounded: Some(Duration::from_secs(30)), ..Overrides::ttl(HOUR) },
            ..ROW
        };
        let ids = ids.into_iter().collect();
        let lookup = private::BatchLookup::new(&self.a.cache, &KEPT, ids, 1000, name, |_, _| {});
        lookup.read(async |ids: Vec<u64>| self.select(&ids)).await.unwrap()
    }

    pub(super) async fn one(&self, id: u64) -> Option<u64> {
        let load = async || lock(&self.rows).get(&id).copied();
        private::read(&self.a.cache, &ROW, |text| name(text, &id), |_| {}, load).await
    }

    pub(super) async fn tagged(&self, ids: impl IntoIterator<Item = u64>) -> HashMap<u64, u64> {
        let ids = ids.into_iter().collect();
        let lookup = private::BatchLookup::new(&self.a.cache, &MANY_TAGGED, ids, 1000, name, parity);
        lookup.read(async |ids: Vec<u64>| self.select(&ids)).await.unwrap()
    }

    pub(super) async fn early(&self, ids: impl IntoIterator<Item = u64>) -> HashMap<u64, u64> {
        let early = |text: &mut private::Text, id: &u64| {
            text.literal("early:");
            text.part(id);
        };
        let ids = ids.into_iter().collect();
        let lookup = private::BatchLookup::new(&self.a.cache, &MANY_EARLY, ids, 1000, early, |_, _| {});
        let load = async |ids: Vec<u64>| {
            // XFetch goes by how long a load takes, on a clock that stands still.
            self.world.clock.advance(Duration::from_secs(60));
            self.select(&ids)
        };
        lookup.read(load).await.unwrap()
    }

    /// Lets the time of what `early` stored pass, but for a millisecond: who is not due then is drawn once in 60,000 times.
    pub(super) fn near_expiry(&self) {
        self.world.clock.advance(HOUR - Duration::from_millis(60_001));
    }

    pub(super) fn spawn_many(
        &self,
        ids: impl IntoIterator<Item = u64>,
    ) -> tokio::task::JoinHandle<Result<HashMap<u64, u64>, String>> {
        let (this, ids) = (self.clone(), ids.into_iter().collect::<Vec<_>>());
        tokio::spawn(async move { this.many(ids).await })
    }

    pub(super) fn spawn_one(&self, id: u64) -> tokio::task::JoinHandle<Option<u64>> {
        let this = self.clone();
        tokio::spawn(async move { this.one(id).await })
    }

    /// A covered write by another process.
    pub(super) async fn write(&self, id: u64, value: u64) {
        let fenced = self.fence(id, Origin::none()).await;
        self.set(id, value);
        fenced.clear().await.unwrap();
    }

    pub(super) async fn fence(&self, id: u64, origin: Origin) -> Fenced {
        let cache = self.world.instance().cache;
        let recording = cache.recording();
        recording.touch(Kind::Entity, |text| name(text, &id));
        cache.fence(recording.finish().unwrap(), origin).await.unwrap()
    }

    pub(super) async fn fence_tag(&self, parity: u64) -> Fenced {
        let cache = self.world.instance().cache;
        let recording = cache.recording();
        recording.touch(Kind::Tag, |text| {
            text.literal("parity:");
            text.part(&parity);
        });
        cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap()
    }

    /// Forgets what was counted so far.
    pub(super) fn forget(&self) {
        lock(&self.asked).clear();
        *lock(&self.counted) = COMMANDS.map(|command| (command, self.world.store.count(command))).into();
    }

    /// The read path's commands, of those that were sent.
    pub(super) fn round_trips(&self) -> Vec<(Command, u64)> {
        let before = lock(&self.counted);
        let since = |command| {
            let count = self.world.store.count(command) - before.get(&command).copied().unwrap_or_default();
            (count > 0).then_some((command, count))
        };
        COMMANDS.into_iter().filter_map(since).collect()
    }

    /// What the loaders of batches were asked for, sorted.
    pub(super) fn loads(&self) -> Vec<Vec<u64>> {
        lock(&self.asked).clone()
    }

    pub(super) fn stats(&self) -> Counts {
        self.a.cache.stats().total()
    }
}
