//! An application on the cluster: one row and those who read and write it all the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::key::Namespace;
use cache_core::subject::{Kind, Subject};
use cache_core::{Cache, RedisStore, WriteError, cached, invalidates};
use cache_test_support::{Cluster, unique_name};

use super::{cluster, comes_true, masters, on_node, slot_of, store};

const ROWS: u64 = 64;

/// The table: values, and how often each row was loaded.
#[derive(Debug)]
pub(crate) struct Table {
    values: Vec<AtomicU64>,
    loads: Vec<AtomicU64>,
}

/// One instance.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) cache: Cache,
    pub(crate) namespace: String,
    pub(crate) table: Arc<Table>,
}

fn place(id: u64) -> usize {
    usize::try_from(id).unwrap()
}

impl App {
    pub(crate) fn new(store: RedisStore) -> Self {
        let zeros = || (0..ROWS).map(|_| AtomicU64::default()).collect();
        let table = Table { values: zeros(), loads: zeros() };
        Self::of(unique_name("cluster"), Arc::new(table), store)
    }

    fn of(namespace: String, table: Arc<Table>, store: RedisStore) -> Self {
        let cache =
            Cache::builder(&namespace).store(store).orphan_after(Duration::from_millis(60)).build().unwrap();
        Self { cache, namespace, table }
    }

    /// Another instance on the same table.
    pub(crate) fn beside(&self, store: RedisStore) -> Self {
        Self::of(self.namespace.clone(), self.table.clone(), store)
    }

    #[cached(key = "row:<id>", ttl = "1h")]
    pub(crate) async fn find(&self, id: u64) -> u64 {
        self.table.loads[place(id)].fetch_add(1, SeqCst);
        let value = self.table.values[place(id)].load(SeqCst);
        // A load takes a moment, in which a write may come.
        tokio::task::yield_now().await;
        value
    }

    #[invalidates(key = "row:<id>")]
    pub(crate) async fn write(&self, id: u64, value: u64) -> Result<(), WriteError> {
        self.table.values[place(id)].store(value, SeqCst);
        Ok(())
    }

    pub(crate) fn loads(&self, id: u64) -> u64 {
        self.table.loads[place(id)].load(SeqCst)
    }

    pub(crate) fn subject(&self, id: u64) -> Subject {
        let namespace = Namespace::new(&self.namespace).unwrap();
        namespace.subject(Kind::Entity, |text| text.literal(&format!("row:{id}")))
    }

    /// A row whose entry the node serves.
    pub(crate) fn row_on(&self, cluster: &Cluster, node: usize) -> u64 {
        let found = on_node(
            cluster,
            node,
            |name| {
                let id = name.rsplit(':').next().unwrap().parse().unwrap();
                (id, self.subject(id))
            },
            |(_, subject)| subject,
        );
        assert!(found.0 < ROWS);
        found.0
    }
}

/// What was seen of a row that is read and written all the time.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) reads: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// What the refused writes were told.
    pub(crate) why: Mutex<Vec<WriteError>>,
}

/// Reads and writes one row from two instances for as long as something lasts.
pub(crate) async fn hammer(apps: [&App; 2], id: u64, meanwhile: impl Future<Output = ()>) -> Arc<Seen> {
    let (seen, stop, returned) =
        (Arc::new(Seen::default()), Arc::new(AtomicBool::default()), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for app in [apps[0], apps[1], apps[0]] {
        let (app, seen, stop, returned) = (app.clone(), seen.clone(), stop.clone(), returned.clone());
        tasks.push(tokio::spawn(async move {
            while !stop.load(SeqCst) {
                let at_least = returned.load(SeqCst);
                let value = app.find(id).await;
                seen.reads.fetch_add(1, SeqCst);
                seen.stale.fetch_add(u64::from(value < at_least), SeqCst);
                tokio::task::yield_now().await;
            }
        }));
    }
    let (writer, to, until, done) = (apps[1].clone(), seen.clone(), stop.clone(), returned.clone());
    tasks.push(tokio::spawn(async move {
        let mut value = 0;
        while !until.load(SeqCst) {
            value += 1;
            match writer.write(id, value).await {
                Ok(()) => {
                    done.fetch_max(value, SeqCst);
                    to.writes.fetch_add(1, SeqCst);
                }
                Err(error) => {
                    to.refused.fetch_add(1, SeqCst);
                    to.why.lock().unwrap().push(error);
                }
            }
            // Some reads in between are hits.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }));
    meanwhile.await;
    stop.store(true, SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    seen
}

/// Two instances, and a row whose entry lies on the first master.
async fn instances(cluster: &Cluster) -> (App, App, u64, u16) {
    let app = App::new(store(cluster).await);
    let other = app.beside(store(cluster).await);
    let id = app.row_on(cluster, masters(cluster)[0]);
    let slot = slot_of(cluster, &app.subject(id));
    (app, other, id, slot)
}

/// Waits for some more hits and writes.
async fn goes_on(apps: [&App; 2]) {
    let hits = || apps.map(|app| app.cache.stats().total().hits).iter().sum::<u64>();
    let writes = || apps[1].cache.stats().writes().fenced;
    let before = (hits(), writes());
    assert!(comes_true(async || hits() > before.0 + 20 && writes() > before.1 + 10).await);
}

/// Runs what blocks beside the tasks.
async fn aside(work: impl FnOnce() + Send) {
    tokio::task::block_in_place(work);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hot_slot_moves_without_a_stale_or_a_failed_read() {
    let cluster = cluster().await;
    let (app, other, id, slot) = instances(&cluster).await;
    let [a, b, _] = masters(&cluster);
    let seen = hammer([&app, &other], id, async {
        for to in [b, a, b, a] {
            goes_on([&app, &other]).await;
            aside(|| cluster.migrate(slot, to).unwrap()).await;
        }
        goes_on([&app, &other]).await;
    })
    .await;
    assert_eq!(seen.stale.load(SeqCst), 0, "{seen:?}");
    assert_eq!(seen.refused.load(SeqCst), 0, "no write is refused or left unconfirmed: {seen:?}");
    app.write(id, 1_000_000).await.unwrap();
    assert_eq!(other.find(id).await, 1_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hot_slot_that_is_stuck_is_written_and_read_rightly() {
    let cluster = cluster().await;
    let (app, other, id, slot) = instances(&cluster).await;
    let b = masters(&cluster)[1];
    let hammered = async |work: &(dyn Fn() + Sync)| {
        let (reads, seen) = (
            AtomicU64::new(0),
            hammer([&app, &other], id, async {
                aside(work).await;
                // Some writes with nothing else going on.
                let before = other.cache.stats().writes().fenced;
                assert!(comes_true(async || other.cache.stats().writes().fenced > before + 20).await);
            })
            .await,
        );
        assert_eq!(seen.stale.load(SeqCst), 0, "{seen:?}");
        assert_eq!(seen.refused.load(SeqCst), 0, "no write is refused or left unconfirmed: {seen:?}");
        reads.fetch_add(seen.reads.load(SeqCst), SeqCst);
        app.table.values[place(id)].store(0, SeqCst);
        app.write(id, 0).await.unwrap();
    };
    hammered(&|| cluster.begin_migration(slot, b).unwrap()).await;
    let fills = || app.cache.stats().total().fills + other.cache.stats().total().fills;
    let (loads, before) = (app.loads(id), fills());
    app.find(id).await;
    app.find(id).await;
    assert_eq!((app.loads(id), fills()), (loads + 2, before), "reads load, and do not fill");
    hammered(&|| cluster.finish_migration(slot, b).unwrap()).await;
    app.find(id).await;
    let hits = app.cache.stats().total().hits;
    app.find(id).await;
    assert_eq!(app.cache.stats().total().hits, hits + 1, "and when it is over they are hits again");
}

/// A writer dies with its fence in a slot that is stuck: readers lift it, once they may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_writers_fence_in_a_stuck_slot_is_healed_by_readers() {
    let cluster = cluster().await;
    let (app, _, id, slot) = instances(&cluster).await;
    let plain = store(&cluster).await;
    let trial = cache_core::testkit::conformance::Trial::new(&plain);
    cluster.begin_migration(slot, masters(&cluster)[1]).unwrap();
    trial.mark(&[&app.subject(id)]).await;
    let fences = super::key(&app.subject(id), 'c');
    let stands = || masters(&cluster).iter().any(|&node| cluster.keys(node, slot).unwrap().contains(&fences));
    assert!(stands());
    let healed = comes_true(async || {
        app.find(id).await;
        !stands()
    });
    assert!(healed.await);
    assert!(app.cache.stats().total().fences_healed > 0);
    cluster.finish_migration(slot, masters(&cluster)[1]).unwrap();
    let hit = comes_true(async || {
        app.find(id).await;
        app.cache.stats().total().hits > 0
    });
    assert!(hit.await, "{:?}", app.cache.stats().total());
}
