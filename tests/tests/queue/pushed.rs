//! Writes of many callers go together, and each is answered for itself.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use cache_core::journal::{Journal, Position};
use cache_core::{Cache, FileJournal, cached, writes_behind};
use cache_sqlx::{Queue, QueueError, QueueErrorKind};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::{Change, House, Scripted, Turns};

#[derive(Clone)]
struct Counted {
    cache: Cache,
    queue: Queue<Change>,
}

impl Counted {
    #[writes_behind(key = "pushed:<id>", queue = self.queue)]
    async fn save(&self, id: i64) -> Result<Change, QueueError> {
        Ok(Change { id, last: id, add: 1 })
    }

    #[cached(key = "pushed:<id>", ttl = "1h")]
    async fn find(&self, id: i64) -> sqlx::Result<Option<Change>> {
        std::future::ready(Ok((id < 0).then_some(Change { id, last: 0, add: 0 }))).await
    }
}

/// A queue over a journal that appends when it is told to, and is flushed never: the database is asked for a batch of a million.
async fn counted(house: &House, journal: FileJournal) -> (Counted, Arc<FileJournal>, Arc<Turns>) {
    let journal = Arc::new(journal);
    let turns = Arc::new(Turns { begin: Semaphore::new(0), lengths: Mutex::default() });
    let scripted =
        Scripted { turns: Some(turns.clone()), shows_nothing: true, ..Scripted::over(journal.clone()) };
    let queue = house.begin(scripted).await;
    (Counted { cache: house.cache.clone(), queue }, journal, turns)
}

/// Polls a future once, as its caller does before he goes away.
fn begins(future: impl Future) {
    let mut future = std::pin::pin!(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

async fn bounded<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(super::BOUND, what).await.expect("it hangs")
}

/// Waits until so many commands are under way or over.
async fn begun(turns: &Turns, commands: usize) {
    bounded(async {
        while turns.lengths.lock().unwrap().len() < commands {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_comes_while_a_command_is_under_way_goes_with_the_next_and_who_leaves_takes_nobody_along() {
    let house = House::new().await;
    let (counted, journal, turns) = counted(&house, house.file().await).await;
    let first = tokio::spawn({
        let counted = counted.clone();
        async move { counted.save(1).await }
    });
    begun(&turns, 1).await;
    begins(counted.save(2));
    let others: Vec<_> = (3..=50)
        .map(|id| {
            let counted = counted.clone();
            tokio::spawn(async move { counted.save(id).await })
        })
        .collect();
    tokio::task::yield_now().await;
    turns.begin.add_permits(2);
    assert_eq!(bounded(first).await.unwrap().unwrap().id, 1);
    for (id, other) in (3..).zip(others) {
        assert_eq!(bounded(other).await.unwrap().unwrap().id, id);
    }
    assert_eq!(*turns.lengths.lock().unwrap(), [1, 49]);
    let records = journal.read(Position(0), 100).await.unwrap();
    assert_eq!(records.len(), 50, "who has gone away has asked for it all the same");
    for id in 1..=50 {
        assert_eq!(counted.find(id).await.unwrap().map(|change| change.last), Some(id));
    }
}

#[tokio::test]
async fn of_those_that_go_together_each_is_told_what_became_of_his() {
    let house = House::new().await;
    let folder = TempDir::new().unwrap();
    let journal = FileJournal::builder(folder.path()).limit_records(3).open().await.unwrap();
    let (counted, _, turns) = counted(&house, journal).await;
    turns.begin.add_permits(100);
    let saves = (1..=5).map(|id| {
        let counted = counted.clone();
        tokio::spawn(async move { counted.save(id).await.map_err(|error| error.kind()) })
    });
    let saves: Vec<_> = saves.collect();
    let mut kept = Vec::new();
    for (id, save) in (1..).zip(saves) {
        match bounded(save).await.unwrap() {
            Ok(change) => kept.push(change.id),
            Err(kind) => {
                assert_eq!(kind, QueueErrorKind::Full);
                assert_eq!(counted.find(id).await.unwrap(), None, "what was refused is not shown");
            }
        }
    }
    assert_eq!(kept.len(), 3);
    for id in kept {
        assert_eq!(counted.find(id).await.unwrap().map(|change| change.id), Some(id));
    }
}
