//! How long a lease holds, and who waits for it: loads that take longer than those before, by two instances, on paused time.

use cache_core::cached;
use cache_core::time::{Clock, StoreTime};
use tokio::time::{Instant, sleep};

use super::*;

/// Tells tokio's time, which tests pause: it moves on when nothing else can.
#[derive(Debug)]
struct Paused(Instant);

impl Clock for Paused {
    fn wall(&self) -> StoreTime {
        StoreTime(1_700_000_000_000).after(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Pages, each of which takes its time.
#[derive(Clone)]
struct Pages {
    cache: Cache,
    loads: Arc<AtomicU64>,
}

impl Pages {
    #[cached(key = "leased:<id>", ttl = "5s", ignores = [takes])]
    async fn page(&self, id: u64, takes: Duration) -> u64 {
        self.loads.fetch_add(1, SeqCst);
        sleep(takes).await;
        id
    }

    #[cached(key = "bounded:<id>", ttl = "5s", on_wait = "wait(50ms)", ignores = [began])]
    async fn bounded(&self, id: u64, began: Instant) -> u64 {
        let waited = began.elapsed().as_millis();
        self.loads.fetch_add(1, SeqCst);
        sleep(400 * MS).await;
        let _ = id;
        waited as u64
    }
}

const MS: Duration = Duration::from_millis(1);

/// Instances with one store, none of which has loaded anything.
fn instances<const N: usize>() -> [Pages; N] {
    let clock = Arc::new(Paused(Instant::now()));
    let (memory, loads) = (MemoryStore::with_clock(clock.clone()), Arc::new(AtomicU64::new(0)));
    let cache = || Cache::builder("t").store(memory.clone()).clock(clock.clone()).build().unwrap();
    [(); N].map(|()| Pages { cache: cache(), loads: loads.clone() })
}

/// Loads of this page while the first instance reads it and, a moment later, the others do.
async fn loads_of_one_page(instances: impl IntoIterator<Item = Pages>, takes: Duration) -> u64 {
    let (mut reads, mut before) = (Vec::new(), None);
    for pages in instances {
        before.get_or_insert(pages.loads.load(SeqCst));
        reads.push(tokio::spawn(async move {
            assert_eq!(pages.page(7, takes).await, 7);
            pages.loads.load(SeqCst)
        }));
        sleep(10 * MS).await;
    }
    let mut after = 0;
    for read in reads {
        after = read.await.unwrap();
    }
    after - before.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_slow_load_of_a_function_that_never_loaded_is_made_once() {
    assert_eq!(loads_of_one_page(instances::<2>(), 400 * MS).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_slower_than_all_before_is_made_once() {
    let instances = instances::<2>();
    for (id, pages) in (1..).zip(&instances) {
        assert_eq!(pages.page(id, MS).await, id);
    }
    assert_eq!(loads_of_one_page(instances, 400 * MS).await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_load_was_slow_tells_those_who_only_know_quick_ones() {
    let [maker, others @ ..] = instances::<3>();
    assert_eq!(maker.page(7, 3000 * MS).await, 7);
    for (id, pages) in (1..).zip(&others) {
        assert_eq!(pages.page(id, MS).await, id);
    }
    sleep(2100 * MS).await;
    assert_eq!(loads_of_one_page(others, 3000 * MS).await, 1, "its lifetime is over; what it took is known");
}

/// The first two wait for another instance's lease, the second one behind the first one's back; the third comes late to both.
#[tokio::test(start_paused = true)]
async fn a_bounded_wait_is_no_longer_whomever_one_waits_for() {
    let [here, there] = instances::<2>();
    let read = |pages: &Pages| {
        let pages = pages.clone();
        tokio::spawn(async move { pages.bounded(7, Instant::now()).await })
    };
    let mut reads = vec![read(&here)];
    for pause in [10, 5, 30] {
        sleep(pause * MS).await;
        reads.push(read(&there));
    }
    let mut waits = Vec::new();
    for read in reads {
        waits.push(read.await.unwrap());
    }
    assert!(waits.iter().all(|waited| *waited <= 51), "{waits:?}");
    assert!(waits[1] >= 50, "{waits:?}");
}
