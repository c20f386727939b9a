//! Two masters at once: one that a failover has left serving its clients, and its successor.

use std::sync::mpsc;
use std::thread;

use super::super::{comes_true, look};
use super::users::{Users, users};
use super::{replaced, replication, sentinels};

/// An instance that runs on a thread of its own, which a test can stop.
fn on_its_own_thread<F: Future<Output = ()>>(
    run: impl FnOnce() -> F + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run());
    })
}

/// The reader has not polled the sentinels since before the failover, nor anything else, and its old master still serves. It goes
/// on at the moment at which the write has returned; its first act is a read.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_after_the_write_is_fresh_though_the_old_master_still_serves() {
    let sentinels = sentinels(1).await;
    let first = sentinels.server(0).address();
    let url = sentinels.url();
    let writer = users(&url).await;
    "old".clone_into(&mut writer.name.lock().unwrap());
    let (stopped, is_stopped) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let name = writer.name.clone();
    let reader = on_its_own_thread(move || async move {
        let reader = Users { name, ..users(&url).await };
        assert_eq!(reader.find(1).await, "old");
        assert_eq!(reader.find(1).await, "old");
        assert_eq!(reader.cache.stats().total().hits, 1, "the entry is there");
        stopped.send(()).unwrap();
        // Nothing runs on this thread until then, as in a process that was stopped.
        goes_on.recv().unwrap();
        assert_eq!(reader.find(1).await, "new");
    });
    tokio::task::spawn_blocking(move || is_stopped.recv()).await.unwrap().unwrap();

    let before = look(&writer.store).await.unwrap().epoch;
    sentinels.fail_over().unwrap();
    let (sentinels, _) = replaced(sentinels, first).await;
    let is_followed = async || look(&writer.store).await.is_ok_and(|found| found.epoch != before);
    assert!(comes_true(is_followed).await, "the writer uses the new master");
    writer.go_on.notify_one();
    writer.rename(1, "new").await.unwrap();
    let old = replication(sentinels.server(0)).unwrap();
    assert!(old.contains("role:master"), "the old one was demoted, and nothing is shown: {old}");
    go_on.send(()).unwrap();
    tokio::task::spawn_blocking(move || reader.join()).await.unwrap().unwrap();
    let old = replication(sentinels.server(0)).unwrap();
    assert!(old.contains("role:master"), "the old one was demoted, and nothing is shown: {old}");
}
