//! Two masters at once: one that a failover has left serving its clients, and its successor.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use cache_core::subject::Epoch;
use cache_test_support::Redis;

use super::super::{comes_true, look};
use super::users::{Users, users};
use super::{FakeSentinel, replaced, replication, sentinels};

/// An instance that runs on a thread of its own, which a test can stop.
fn on_its_own_thread<F: Future<Output = ()>>(
    run: impl FnOnce() -> F + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run());
    })
}

/// Reads the entry, then stands still, as a process that was stopped; goes on when told, with a read.
struct Stopped {
    go_on: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Stopped {
    async fn reader(url: String, name: Arc<Mutex<String>>) -> Self {
        let (stopped, is_stopped) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let thread = on_its_own_thread(move || async move {
            let reader = Users { name, ..users(&url).await };
            assert_eq!(reader.find(1).await, "old");
            assert_eq!(reader.find(1).await, "old");
            assert_eq!(reader.cache.stats().total().hits, 1, "the entry is there");
            stopped.send(()).unwrap();
            goes_on.recv().unwrap();
            assert_eq!(reader.find(1).await, "new");
        });
        tokio::task::spawn_blocking(move || is_stopped.recv()).await.unwrap().unwrap();
        Self { go_on, thread }
    }

    async fn goes_on(self) {
        self.go_on.send(()).unwrap();
        tokio::task::spawn_blocking(move || self.thread.join()).await.unwrap().unwrap();
    }
}

/// Writes once the new master is used.
async fn write(writer: &Users, before: Epoch) {
    let is_followed = async || look(&writer.store).await.is_ok_and(|found| found.epoch != before);
    assert!(comes_true(is_followed).await, "the writer uses the new master");
    writer.go_on.notify_one();
    writer.rename(1, "new").await.unwrap();
}

/// The reader has not asked the sentinels since before the failover, nor anything else, and its old master still serves. Fails
/// where nobody leases a master.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_after_the_write_is_fresh_though_the_old_master_still_serves() {
    let sentinels = sentinels(1).await;
    let first = sentinels.server(0).address();
    let writer = users(&sentinels.url()).await;
    "old".clone_into(&mut writer.name.lock().unwrap());
    let reader = Stopped::reader(sentinels.url(), writer.name.clone()).await;

    let before = look(&writer.store).await.unwrap().epoch;
    sentinels.fail_over().unwrap();
    let (sentinels, _) = replaced(sentinels, first).await;
    write(&writer, before).await;
    let old = replication(sentinels.server(0)).unwrap();
    assert!(old.contains("role:master"), "the old one was demoted, and nothing is shown: {old}");
    reader.goes_on().await;
    let old = replication(sentinels.server(0)).unwrap();
    assert!(old.contains("role:master"), "the old one was demoted, and nothing is shown: {old}");
}

/// A failover that takes no time: the reader's lease still runs when the writer hears of the new master. Fails where that is
/// used at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_is_used_when_nobody_can_be_served_by_the_last_one() {
    let servers = [Redis::start().unwrap(), Redis::start().unwrap()];
    let sentinel = FakeSentinel::naming(servers[0].address(), 1).await;
    let url = format!("redis+sentinel://{}/shop", sentinel.address);
    let writer = users(&url).await;
    "old".clone_into(&mut writer.name.lock().unwrap());
    let before = look(&writer.store).await.unwrap().epoch;
    let reader = Stopped::reader(url, writer.name.clone()).await;

    sentinel.names(servers[1].address(), 2);
    write(&writer, before).await;
    reader.goes_on().await;
}
