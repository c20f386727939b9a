use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::*;
use crate::error::BatchError;

type Asked = Arc<Mutex<Vec<Vec<u64>>>>;

/// A loader that remembers what it was asked for: ten times the key, nothing for keys over 100.
fn counted() -> (Merging<u64, u64, String>, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let merging = Merging::new(move |ids: Vec<u64>| {
        log.lock().unwrap().push(ids.clone());
        async move {
            if ids.contains(&13) {
                return Err("no such table".to_owned());
            }
            Ok(ids.into_iter().filter(|id| *id <= 100).map(|id| (id, id * 10)).collect::<HashMap<_, _>>())
        }
    });
    (merging, asked)
}

async fn all(
    merging: &Merging<u64, u64, String>,
    ids: impl IntoIterator<Item = u64>,
) -> Vec<Answer<u64, String>> {
    let calls = ids.into_iter().map(|id| Box::pin(merging.load(id)) as BoxFuture<'_, _>);
    crate::store::all(calls.collect()).await
}

#[tokio::test]
async fn calls_made_side_by_side_are_one_load_of_each_key_once() {
    let (merging, asked) = counted();
    let found = all(&merging, [1, 2, 1, 500, 3]).await;
    let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
    assert_eq!(found, [Some(10), Some(20), Some(10), None, Some(30)]);
    assert_eq!(*asked.lock().unwrap(), [[1, 2, 500, 3]]);
}

#[tokio::test]
async fn calls_of_tasks_that_are_ready_together_are_one_load() {
    let (merging, asked) = counted();
    let tasks: Vec<_> = (20..70)
        .map(|id| {
            let merging = merging.clone();
            tokio::spawn(async move { merging.load(id).await.unwrap() })
        })
        .collect();
    for (task, id) in tasks.into_iter().zip(20..) {
        assert_eq!(task.await.unwrap(), Some(id * 10));
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_merges_what_comes_within_it() {
    let (merging, asked) = counted();
    let merging = merging.window(Duration::from_millis(5));
    let later = async {
        tokio::time::sleep(Duration::from_millis(3)).await;
        merging.load(2).await.unwrap()
    };
    let (first, later) = tokio::join!(merging.load(1), later);
    assert_eq!((first.unwrap(), later), (Some(10), Some(20)));
    assert_eq!(*asked.lock().unwrap(), [[1, 2]]);
}

#[tokio::test]
async fn at_the_limit_the_load_begins_and_the_next_is_another() {
    let (merging, asked) = counted();
    let merging = merging.limit(2);
    assert!(all(&merging, 1..=5).await.iter().all(Result::is_ok));
    assert_eq!(*asked.lock().unwrap(), [vec![1, 2], vec![3, 4], vec![5]]);
}

/// A row, and a loader that has seen it and waits.
struct Slow {
    row: AtomicU64,
    seen: Notify,
    go_on: Notify,
}

impl Slow {
    fn new() -> Arc<Self> {
        Arc::new(Self { row: AtomicU64::new(1), seen: Notify::new(), go_on: Notify::new() })
    }

    async fn load(self: Arc<Self>, ids: Vec<u64>) -> HashMap<u64, u64> {
        let row = self.row.load(Ordering::SeqCst);
        self.seen.notify_one();
        self.go_on.notified().await;
        ids.into_iter().map(|id| (id, row)).collect()
    }
}

/// The first caller's load has seen the row; a write returns; then the second caller comes. Gives what that one gets.
async fn call_after_a_write<F>(slow: &Arc<Slow>, call: impl Fn() -> F) -> u64
where
    F: Future<Output = u64> + Send + 'static,
{
    let first = tokio::spawn(call());
    slow.seen.notified().await;
    slow.row.store(2, Ordering::SeqCst);
    let second = tokio::spawn(call());
    // The second has come to where it waits: behind the first, or in a load of its own.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    slow.go_on.notify_one();
    assert_eq!(first.await.unwrap(), 1);
    slow.go_on.notify_one();
    second.await.unwrap()
}

#[tokio::test]
async fn who_comes_after_a_load_began_is_in_the_next_one() {
    let slow = Slow::new();
    let loader = slow.clone();
    let merging = Merging::new(move |ids: Vec<u64>| loader.clone().load(ids));
    let call = || {
        let merging = merging.clone();
        async move { merging.load(7).await.unwrap().unwrap() }
    };
    assert_eq!(call_after_a_write(&slow, call).await, 2);
}

#[tokio::test]
async fn control_who_joins_the_running_load_of_its_key_is_stale() {
    let slow = Slow::new();
    // What merges by key alone, and does not ask when the load began.
    let running: Arc<tokio::sync::OnceCell<u64>> = Arc::default();
    let call = || {
        let (slow, running) = (slow.clone(), running.clone());
        async move { *running.get_or_init(async || slow.load(vec![7]).await[&7]).await }
    };
    assert_eq!(call_after_a_write(&slow, call).await, 1);
}

#[tokio::test]
async fn a_first_caller_that_goes_away_leaves_the_others_their_load() {
    let (merging, asked) = counted();
    let mut first = Box::pin(merging.load(1));
    let mut second = Box::pin(merging.load(2));
    let pending = std::future::poll_fn(|cx| {
        std::task::Poll::Ready(first.as_mut().poll(cx).is_pending() && second.as_mut().poll(cx).is_pending())
    });
    assert!(pending.await);
    drop(first);
    assert_eq!(second.await.unwrap(), Some(20));
    assert_eq!(*asked.lock().unwrap(), [[2]], "nothing is loaded for nobody");
}

#[tokio::test]
async fn an_error_is_shared_and_the_next_load_is_another() {
    let (merging, _) = counted();
    for answer in all(&merging, [12, 13, 14]).await {
        let error = answer.unwrap_err();
        assert!(matches!(&error, MergeError::Load(error) if **error == "no such table"), "{error}");
    }
    assert_eq!(merging.load(12).await.unwrap(), Some(120));
}

#[tokio::test]
async fn a_list_of_another_length_is_the_loads_error() {
    let merging = Merging::new(async |_: Vec<u64>| Ok::<_, BatchError>(vec![Some(1_u64)]));
    let (first, second) = tokio::join!(merging.load(1), merging.load(2));
    for answer in [first, second] {
        assert!(matches!(answer.unwrap_err(), MergeError::Load(error) if *error == BatchError::new(2, 1)));
    }
}

#[tokio::test]
async fn a_load_that_panics_is_lost_and_the_next_is_another() {
    let runs = Arc::new(AtomicU64::new(0));
    let counter = runs.clone();
    let merging = Merging::new(move |ids: Vec<u64>| {
        let run = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            assert!(run > 0, "the first one panics");
            ids.into_iter().map(|id| (id, id)).collect::<HashMap<u64, u64>>()
        }
    });
    let lost = merging.load(1).await.unwrap_err();
    assert!(matches!(lost, MergeError::Lost) && lost.to_string().contains("panicked"));
    assert_eq!(merging.load(1).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_call_under_bypass_is_merged_with_nobody() {
    let bypassed = Arc::new(Mutex::new(Vec::new()));
    let log = bypassed.clone();
    let merging = Merging::new(move |ids: Vec<u64>| {
        let log = log.clone();
        async move {
            log.lock().unwrap().push((ids.clone(), Call::current().is_special()));
            ids.into_iter().map(|id| (id, id)).collect::<HashMap<u64, u64>>()
        }
    });
    let (own, merged) = tokio::join!(crate::bypass(merging.load(1)), merging.load(2));
    assert_eq!((own.unwrap(), merged.unwrap()), (Some(1), Some(2)));
    assert_eq!(*bypassed.lock().unwrap(), [(vec![1], true), (vec![2], false)]);
}

/// What is said about a load in a task of its own is said about those who wait for it.
#[tokio::test]
async fn what_is_not_to_be_kept_of_a_merged_load_is_not_kept_of_what_is_made_of_it() {
    let merging = Merging::<u64, u64>::new(|ids: Vec<u64>| async move {
        loading::skip();
        loading::taint();
        ids.into_iter().map(|id| (id, id)).collect::<HashMap<_, _>>()
    });
    let (one, two) = (loading::run(None, None, merging.load(1)), loading::run(None, None, merging.load(2)));
    let ((one, of_one), (_, of_two)) = tokio::join!(one, two);
    assert_eq!(one.unwrap(), Some(1));
    assert!([of_one, of_two].iter().all(|verdict| verdict.is_skipped && verdict.is_tainted));
}
