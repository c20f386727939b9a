//! Cached functions that call cached functions: nobody waits in a circle. Time stands still; what it moves by is what somebody
//! waited for in vain.

use std::pin::Pin;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;
use crate::testkit::Rule;
use crate::{NotStored, Outcome, Stored, explain, refresh};

static A: ReadSite = ReadSite::new(
    Location { function: "circle::a", file: "circle.rs", line: 1 },
    "a:<id>",
    "u64",
    Overrides::ttl(HOUR),
);
static B: ReadSite = ReadSite::new(
    Location { function: "circle::b", file: "circle.rs", line: 9 },
    "b:<id>",
    "u64",
    Overrides::ttl(HOUR),
);

type Boxed<'a> = Pin<Box<dyn Future<Output = u64> + Send + 'a>>;

/// A cached function under the key 1 of a site, with this body.
fn read<'a, F>(a: &'a Instance, site: &'static ReadSite, body: impl FnOnce() -> F + Send + 'a) -> Boxed<'a>
where
    F: Future<Output = u64> + Send + 'a,
{
    let name = |text: &mut private::Text| {
        text.literal(site.template.split('<').next().unwrap());
        text.part(&1);
    };
    Box::pin(private::read(&a.cache, site, name, |_| {}, body))
}

/// A function that calls itself with the same key until it is this deep.
fn recursive(a: &Instance, depth: u64) -> Boxed<'_> {
    read(a, &A, move || async move { if depth == 0 { 0 } else { recursive(a, depth - 1).await + 1 } })
}

#[tokio::test(start_paused = true)]
async fn a_function_that_calls_itself_with_the_same_key_does_not_wait_for_itself() {
    let world = World::new();
    let a = world.instance();
    let since = Instant::now();
    let (value, explained) = explain(recursive(&a, 3)).await;
    assert_eq!((value, since.elapsed()), (3, Duration::ZERO), "{explained}");
    let stats = a.cache.stats().total();
    assert_eq!((stats.loads, stats.circles, stats.fills), (4, 3, 1), "the outermost is stored");
    assert_eq!(recursive(&a, 0).await, 3);
}

#[tokio::test(start_paused = true)]
async fn control_a_function_that_waits_for_itself_waits_until_it_loses_patience() {
    let world = World::new();
    let a = world.with(world.builder().without(Rule::NoCircles).read_deadline(Duration::from_secs(600)));
    // Its own lease lapses on the store's clock, which stands still: one level, so that nobody asks for a second one.
    let (since, clock) = (Instant::now(), world.clock.clone());
    let tick = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            clock.advance(Duration::from_millis(100));
        }
    });
    assert_eq!(promptly(recursive(&a, 1)).await, 1);
    assert!(since.elapsed() >= Duration::from_secs(4), "{:?}", since.elapsed());
    tick.abort();
}

/// A calls B, and B calls A again unless it was called by one that was called by A.
fn mutual(a: &Instance, depth: u64) -> Boxed<'_> {
    let site = if depth.is_multiple_of(2) { &A } else { &B };
    read(a, site, move || async move { if depth == 0 { 0 } else { mutual(a, depth - 1).await + 1 } })
}

#[tokio::test(start_paused = true)]
async fn two_functions_that_call_each_other_do_not_wait_for_each_other() {
    let a = World::new().instance();
    let since = Instant::now();
    assert_eq!((mutual(&a, 4).await, since.elapsed()), (4, Duration::ZERO));
    let stats = a.cache.stats().total();
    assert_eq!((stats.circles, stats.fills), (3, 2), "one entry of each");
}

/// Two tasks: each leads one load, whose body then reads what the other one loads. How long it took.
async fn two_that_need_each_other(a: &Instance) -> Duration {
    let ready: [Arc<Notify>; 2] = Default::default();
    let since = Instant::now();
    let spawn = |own: &'static ReadSite, other: &'static ReadSite, at: usize| {
        let (a, ready) = (a.clone(), ready.clone());
        tokio::spawn(async move {
            let body = || async {
                ready[at].notify_one();
                ready[1 - at].notified().await;
                read(&a, other, || async { 1 }).await + 1
            };
            read(&a, own, body).await
        })
    };
    let tasks = [spawn(&A, &B, 0), spawn(&B, &A, 1)];
    let mut values = Vec::new();
    for task in tasks {
        values.push(promptly(task).await.unwrap());
    }
    assert!(values.contains(&2), "{values:?}");
    since.elapsed()
}

#[tokio::test(start_paused = true)]
async fn two_tasks_that_load_what_the_other_needs_do_not_wait_for_each_other() {
    let a = World::new().instance();
    assert_eq!(two_that_need_each_other(&a).await, Duration::ZERO);
    assert_eq!(a.cache.stats().total().circles, 1, "one of them is enough");
}

#[tokio::test(start_paused = true)]
async fn control_two_tasks_that_wait_for_each_other_wait_until_they_lose_patience() {
    let world = World::new();
    let a = world.with(world.builder().without(Rule::NoCircles));
    // The lease of the one lapses meanwhile.
    let clock = world.clock.clone();
    let tick = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            clock.advance(Duration::from_millis(100));
        }
    });
    let took = two_that_need_each_other(&a).await;
    assert!(took >= Duration::from_secs(4), "{took:?}");
    tick.abort();
}

#[tokio::test(start_paused = true)]
async fn a_circle_through_two_caches_is_seen() {
    let (one, two) = (World::new().instance(), World::new().instance());
    let since = Instant::now();
    let value = read(&one, &A, || async {
        read(&two, &B, || async { read(&one, &A, || async { 1 }).await + 1 }).await + 1
    });
    assert_eq!((value.await, since.elapsed()), (3, Duration::ZERO));
    assert_eq!((one.cache.stats().total().circles, two.cache.stats().total().circles), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_one_another_without_a_circle_join() {
    let a = World::new().instance();
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = {
        let (a, seen, go_on) = (a.clone(), seen.clone(), go_on.clone());
        tokio::spawn(async move {
            let body = || async {
                seen.notify_one();
                go_on.notified().await;
                1
            };
            read(&a, &B, body).await
        })
    };
    seen.notified().await;
    let second = {
        let a = a.clone();
        tokio::spawn(async move { read(&a, &A, || async { read(&a, &B, || async { 7 }).await + 1 }).await })
    };
    a.missed(3).await;
    go_on.notify_one();
    assert_eq!((promptly(first).await.unwrap(), promptly(second).await.unwrap()), (1, 2));
    let stats = a.cache.stats().total();
    assert_eq!((stats.joined, stats.circles, stats.loads), (1, 0, 2));
}

/// A refresh holds the lease of an entry that a write has dropped, and its body reads that entry.
#[tokio::test(start_paused = true)]
async fn a_refresh_whose_body_reads_its_own_key_does_not_wait_for_its_own_lease() {
    let a = World::new().instance();
    let since = Instant::now();
    let value = refresh(read(&a, &A, || async {
        let (inner, explained) = explain(read(&a, &A, || async { 1 })).await;
        let call = &explained.calls()[0];
        assert_eq!((call.outcome, call.stored), (Outcome::Loaded, Some(Stored::Not(NotStored::Circle))));
        inner + 1
    }));
    assert_eq!((value.await, since.elapsed()), (2, Duration::ZERO));
    assert_eq!(a.cache.stats().total().circles, 1);
}

/// Over a lease: the refresh of A calls B, B calls A, and A is being loaded by somebody who waits for the refresh's lease.
#[tokio::test(start_paused = true)]
async fn a_circle_through_a_lease_is_seen() {
    let world = World::new();
    let a = world.instance();
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let refreshing = {
        let (a, seen, go_on) = (a.clone(), seen.clone(), go_on.clone());
        tokio::spawn(async move {
            let body = || async {
                seen.notify_one();
                go_on.notified().await;
                read(&a, &B, || async { read(&a, &A, || async { 1 }).await + 1 }).await + 1
            };
            refresh(read(&a, &A, body)).await
        })
    };
    seen.notified().await;
    let asked = world.store.count(crate::testkit::Command::Lease);
    let waiting = {
        let a = a.clone();
        tokio::spawn(async move { read(&a, &A, || async { 9 }).await })
    };
    until(|| world.store.count(crate::testkit::Command::Lease) > asked).await;
    go_on.notify_one();
    assert_eq!(promptly(refreshing).await.unwrap(), 3);
    assert_eq!(promptly(waiting).await.unwrap(), 3, "what the refresh stored");
    assert_eq!(a.cache.stats().total().circles, 1);
}

/// B fails twice, so its callers load side by side, two at once. Those two need A, and whoever loads A needs B: were it to wait
/// for a place among them, they would wait for each other.
#[tokio::test(start_paused = true)]
async fn a_call_inside_a_load_waits_for_no_place_among_those_who_load_side_by_side() {
    let a = World::new().instance();
    let since = Instant::now();
    let (go_on, runs) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
    let b_key = |text: &mut private::Text| text.literal("b:1");
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (a, go_on, runs) = (a.clone(), go_on.clone(), runs.clone());
            tokio::spawn(async move {
                let body = || async {
                    if runs.fetch_add(1, Ordering::SeqCst) < 2 {
                        go_on.notified().await;
                        return Err("down");
                    }
                    Ok(read(&a, &A, || async { 1 }).await + 1)
                };
                private::read(&a.cache, &B, b_key, |_| {}, body).await
            })
        })
        .collect();
    a.missed(8).await;
    go_on.notify_one();
    until(|| runs.load(Ordering::SeqCst) == 2).await;
    let outer = {
        let a = a.clone();
        tokio::spawn(async move {
            let b = || private::read(&a.cache, &B, b_key, |_| {}, || async { Ok::<_, &'static str>(5) });
            read(&a, &A, || async { b().await.unwrap() }).await
        })
    };
    a.missed(10).await;
    go_on.notify_one();
    assert_eq!(promptly(outer).await.unwrap(), 5);
    let mut ends = Vec::new();
    for caller in callers {
        ends.push(promptly(caller).await.unwrap());
    }
    ends.sort_unstable();
    assert_eq!((&ends[..6], &ends[6..]), (&[Ok(6); 6][..], &[Err("down"); 2][..]));
    assert_eq!(since.elapsed(), Duration::ZERO);
}
