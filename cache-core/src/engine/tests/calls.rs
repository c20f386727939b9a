//! What one call asks for: a load although an entry stands, a look without a load, an account of what happened.

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::testkit::{Command, Rule};
use crate::{Bypassed, Miss, NotStored, Outcome, Stored, bypass, explain, peek, refresh};

/// A change that no covered write tells the cache of.
fn change_by_hand(world: &World, value: u64) {
    world.row.store(value, Ordering::SeqCst);
}

/// A read in a task of its own that asks for a load and stands still once its loader has seen the row.
fn refresh_that_waits(a: &Instance, seen: &Arc<Notify>, go_on: &Arc<Notify>) -> JoinHandle<Option<u64>> {
    let (a, seen, go_on) = (a.clone(), seen.clone(), go_on.clone());
    tokio::spawn(async move {
        let pause = async || {
            seen.notify_one();
            go_on.notified().await;
        };
        refresh(a.find_by(pause)).await
    })
}

#[tokio::test]
async fn a_refresh_loads_although_an_entry_stands_and_stores_what_it_loaded() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    change_by_hand(&world, 2);
    assert_eq!(a.find().await, Some(1), "nobody told the cache");
    assert_eq!(refresh(a.find()).await, Some(2));
    assert_eq!(a.find().await, Some(2));
    let stats = a.cache.stats().total();
    assert_eq!((stats.loads, stats.refreshes, stats.fills, stats.misses, stats.hits), (2, 1, 2, 1, 2));
}

#[tokio::test]
async fn a_handle_that_refreshes_is_the_same_and_bypass_wins_over_it() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    change_by_hand(&world, 2);
    let refreshing = Instance { cache: a.cache.with(crate::Mode::Refresh), world: world.clone() };
    assert_eq!((bypass(refreshing.find()).await, a.find().await), (Some(2), Some(1)));
    assert_eq!((bypass(refresh(a.find())).await, a.find().await), (Some(2), Some(1)));
    assert_eq!((refreshing.find().await, a.find().await), (Some(2), Some(2)));
    let past = Instance { cache: a.cache.with(crate::Mode::Bypass), world: world.clone() };
    change_by_hand(&world, 3);
    assert_eq!((refresh(past.find()).await, a.find().await), (Some(3), Some(2)));
}

#[tokio::test]
async fn others_are_served_the_entry_while_it_is_refreshed() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    change_by_hand(&world, 2);
    let (seen, go_on) = (Arc::default(), Arc::default());
    let refreshing = refresh_that_waits(&a, &seen, &go_on);
    seen.notified().await;
    assert_eq!(promptly(a.find()).await, Some(1));
    assert_eq!(promptly(world.instance().find()).await, Some(1));
    go_on.notify_one();
    assert_eq!(promptly(refreshing).await.unwrap(), Some(2));
    assert_eq!((a.find().await, a.cache.stats().total().loads), (Some(2), 2));
}

/// A write comes while the loader of a refresh has seen the old row; what is read afterwards.
async fn read_after_a_write_during_a_refresh(instance: impl Fn(&World) -> Instance) -> Option<u64> {
    let world = World::new();
    let a = instance(&world);
    a.find().await;
    let (seen, go_on) = (Arc::default(), Arc::default());
    let refreshing = refresh_that_waits(&a, &seen, &go_on);
    seen.notified().await;
    world.instance().write(2).await.unwrap();
    go_on.notify_one();
    assert_eq!(promptly(refreshing).await.unwrap(), Some(1), "it began before the write");
    a.find().await
}

#[tokio::test]
async fn a_write_during_a_refresh_has_the_last_word() {
    assert_eq!(read_after_a_write_during_a_refresh(World::instance).await, Some(2));
}

#[tokio::test]
async fn control_a_refresh_that_asks_for_its_lease_after_the_load_stores_the_old_value() {
    let naive = |world: &World| world.with(world.builder().without(Rule::LeaseBeforeRefresh));
    assert_eq!(read_after_a_write_during_a_refresh(naive).await, Some(1));
}

/// A refresh has seen the row and not stored it yet; the row changes by hand, and ten others ask for a refresh. What they get,
/// and how many loads that took.
async fn refreshes_while_one_loads(instance: impl Fn(&World) -> Instance) -> (Vec<Option<u64>>, u64) {
    let world = World::new();
    let a = instance(&world);
    a.find().await;
    let (seen, go_on) = (Arc::default(), Arc::default());
    let first = refresh_that_waits(&a, &seen, &go_on);
    seen.notified().await;
    // What the first one saw is not what these want to see.
    change_by_hand(&world, 2);
    let later: Vec<_> = (0..10)
        .map(|_| {
            let a = a.clone();
            tokio::spawn(async move { refresh(a.find()).await })
        })
        .collect();
    until(|| a.cache.stats().total().refreshes == 11).await;
    go_on.notify_one();
    assert_eq!(promptly(first).await.unwrap(), Some(1));
    let mut values = Vec::new();
    for one in later {
        values.push(promptly(one).await.unwrap());
    }
    (values, a.cache.stats().total().loads)
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_refresh_while_one_loads_gets_a_later_load_and_shares_it() {
    assert_eq!(refreshes_while_one_loads(World::instance).await, (vec![Some(2); 10], 3));
}

#[tokio::test(start_paused = true)]
async fn control_a_refresh_that_joins_what_runs_already_sees_what_it_wanted_to_get_rid_of() {
    let naive = |world: &World| world.with(world.builder().without(Rule::RefreshIsOwn));
    assert_eq!(refreshes_while_one_loads(naive).await, (vec![Some(1); 10], 2));
}

#[tokio::test]
async fn a_refresh_whose_loader_fails_returns_the_error_and_leaves_the_entry() {
    let a = World::new().instance();
    let read = |result: Result<u64, &'static str>| {
        private::read(&a.cache, &ROW, key, |_| {}, move || async move { result })
    };
    assert_eq!(read(Ok(1)).await, Ok(1));
    assert_eq!(refresh(read(Err("down"))).await, Err("down"));
    assert_eq!(read(Ok(2)).await, Ok(1));
    assert_eq!(refresh(read(Ok(2))).await, Ok(2), "no lease is left");
}

#[tokio::test]
async fn a_refresh_of_the_outer_value_does_not_refresh_the_inner_one() {
    let world = World::new();
    let a = world.instance();
    let outer =
        || private::read(&a.cache, &TAGGED, |text| text.literal("outer"), |_| {}, async || a.find().await);
    assert_eq!(outer().await, Some(1));
    change_by_hand(&world, 2);
    assert_eq!(refresh(outer()).await, Some(1));
    assert_eq!(bypass(outer()).await, Some(2), "nothing of a bypass is stored, so it goes all the way");
}

#[tokio::test]
async fn a_refresh_under_a_fence_loads_and_does_not_fill() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    let fenced = a.mark().await.unwrap();
    let (value, explained) = explain(refresh(a.find())).await;
    assert_eq!(value, Some(1));
    assert_eq!(explained.calls()[0].stored, Some(Stored::Not(NotStored::Fenced)));
    assert_eq!(a.cache.stats().total().fills, 1);
    fenced.clear().await.unwrap();
}

/// What became of one call.
async fn told<T>(call: impl Future<Output = T>) -> (Outcome, Option<Miss>, Option<Stored>) {
    let (_, explained) = explain(call).await;
    assert_eq!(explained.calls().len(), 1, "{explained}");
    let call = &explained.calls()[0];
    (call.outcome, call.miss, call.stored)
}

#[tokio::test]
async fn what_became_of_a_call_is_told_with_its_reasons() {
    let world = World::new();
    let a = world.instance();
    let stored = Some(Stored::For(HOUR));
    assert_eq!(told(a.find()).await, (Outcome::Loaded, Some(Miss::Absent), stored));
    assert_eq!(told(a.find()).await, (Outcome::Hit, None, None));
    assert_eq!(told(refresh(a.find())).await, (Outcome::Loaded, Some(Miss::Refresh), stored));
    assert_eq!(told(bypass(a.find())).await, (Outcome::Bypassed(Bypassed::Asked), None, None));
    assert_eq!(told(a.list()).await, (Outcome::Loaded, Some(Miss::Absent), stored));
    a.write(2).await.unwrap();
    assert_eq!(told(a.list()).await, (Outcome::Loaded, Some(Miss::Tags), stored));

    let fenced = a.mark().await.unwrap();
    let refused = |why| Some(Stored::Not(why));
    assert_eq!(told(a.find()).await, (Outcome::Loaded, Some(Miss::Absent), refused(NotStored::Fenced)));
    fenced.clear().await.unwrap();
    let write = async || world.instance().write(3).await.unwrap();
    assert_eq!(
        told(a.find_by(write)).await,
        (Outcome::Loaded, Some(Miss::Absent), refused(NotStored::Refused))
    );

    a.find().await;
    world.memory.lose_everything();
    assert_eq!(told(a.find()).await, (Outcome::Loaded, Some(Miss::Absent), stored));
    let none = || private::read(&a.cache, &ROW, |text| text.literal("none"), |_| {}, async || None::<u64>);
    let minute = Some(Stored::For(Policy::NEGATIVE_TTL));
    assert_eq!(told(none()).await, (Outcome::Loaded, Some(Miss::Absent), minute));
    assert_eq!(told(none()).await, (Outcome::NegativeHit, None, None));
    let one = || private::read(&a.cache, &ROW, |text| text.literal("none"), |_| {}, async || 1_u64);
    assert_eq!(told(one()).await, (Outcome::Loaded, Some(Miss::Negative), stored));
    let failing =
        || private::read(&a.cache, &ROW, |text| text.literal("bad"), |_| {}, async || Err::<u64, _>("bad"));
    assert_eq!(told(failing()).await, (Outcome::Failed, Some(Miss::Absent), None));
    let small = world.with(world.builder().size_limit(1));
    let long = || private::read(&small.cache, &ROW, |text| text.literal("long"), |_| {}, async || u64::MAX);
    assert_eq!(told(long()).await, (Outcome::Loaded, Some(Miss::Absent), refused(NotStored::Oversized)));

    world.store.down();
    assert_eq!(told(a.find()).await, (Outcome::Loaded, Some(Miss::Degraded), refused(NotStored::Degraded)));
    let off = Cache::builder("t").off().build().unwrap();
    let off = Instance { cache: off, world: world.clone() };
    assert_eq!(told(off.find()).await, (Outcome::Bypassed(Bypassed::Off), None, None));
}

#[tokio::test]
async fn age_remaining_time_order_and_words_are_told() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    world.clock.advance(Duration::from_secs(600));
    let ((), explained) = explain(async {
        a.list().await;
        a.find().await;
        drop(
            tokio::spawn({
                let a = a.clone();
                async move { a.find().await }
            })
            .await,
        );
    })
    .await;
    let [list, row] = explained.calls() else { panic!("what is spawned is not told: {explained}") };
    assert_eq!((list.template, row.template, row.at), ("rows", "row:<id>", AT));
    assert_eq!((row.age, row.left), (Some(Duration::from_secs(600)), Some(HOUR - Duration::from_secs(600))));
    assert_eq!(row.policy, Policy::ttl(HOUR));
    let text = explained.to_string();
    for part in [
        "t:rows: loaded; no entry was there",
        "stored for 3600.0s",
        "\nt:row:7: hit, 600.0s old, 3000.0s to live",
        "`row:<id>` of users::find (users.rs:1)",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(explain(async {}).await.1.to_string(), "no cached function was called");
}

#[tokio::test]
async fn who_joined_is_told_and_what_its_leader_s_loader_calls_is_not() {
    let world = World::new();
    let a = world.instance();
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = {
        let (a, seen, go_on) = (a.clone(), seen.clone(), go_on.clone());
        tokio::spawn(async move {
            let inner = async || {
                seen.notify_one();
                go_on.notified().await;
                a.list().await;
            };
            told(a.find_by(inner)).await
        })
    };
    seen.notified().await;
    let second = {
        let a = a.clone();
        tokio::spawn(async move { told(a.find()).await })
    };
    a.missed(2).await;
    go_on.notify_one();
    assert_eq!(
        promptly(first).await.unwrap(),
        (Outcome::Loaded, Some(Miss::Absent), Some(Stored::For(HOUR)))
    );
    assert_eq!(promptly(second).await.unwrap(), (Outcome::Joined, Some(Miss::Absent), None));
}

#[tokio::test]
async fn a_call_that_is_dropped_is_told_as_unfinished() {
    let a = World::new().instance();
    let ((), explained) = explain(async {
        tokio::select! {
            biased;
            _ = a.find_by(async || std::future::pending().await) => {}
            () = until(|| a.cache.stats().total().loads == 1) => {}
        }
    })
    .await;
    assert_eq!(explained.calls()[0].outcome, Outcome::Unfinished);
}

#[tokio::test]
async fn a_peek_sees_what_stands_with_its_age_and_never_loads() {
    let world = World::new();
    let a = world.instance();
    assert_eq!(peek(a.find()).await, None);
    assert_eq!(world.store.count(Command::Lease), 0);
    a.find().await;
    world.clock.advance(Duration::from_secs(600));
    let seen = peek(a.find()).await.unwrap();
    assert_eq!(
        (seen.value, seen.age, seen.left),
        (Some(1), Duration::from_secs(600), HOUR - Duration::from_secs(600))
    );
    let before = a.cache.stats().total();
    assert_eq!((before.loads, before.hits, before.misses), (1, 0, 1), "neither a hit nor a miss");
    a.list().await;
    let both = peek(async { (a.find().await, a.list().await) }).await.unwrap();
    assert_eq!(
        (both.value, both.age, both.left),
        ((Some(1), 1), seen.age, seen.left),
        "the oldest, the shortest"
    );
    let fenced = a.mark().await.unwrap();
    assert_eq!(peek(a.find()).await, None);
    assert_eq!(peek(async { (a.list().await, a.find().await) }).await, None);
    fenced.clear().await.unwrap();
}

#[tokio::test]
async fn a_peek_shows_a_negative_entry_in_the_function_s_own_type() {
    let a = World::new().instance();
    let none = || private::read(&a.cache, &ROW, key, |_| {}, async || Ok::<_, String>(None::<u64>));
    assert!(peek(none()).await.is_none());
    none().await.unwrap();
    assert_eq!(peek(none()).await.unwrap().value, Ok(None));
}

#[tokio::test]
async fn a_peek_past_the_cache_sees_nothing_and_runs_no_body() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    let off = Instance { cache: Cache::builder("t").off().build().unwrap(), world: world.clone() };
    let ran = || panic!("the body ran");
    assert_eq!(peek(off.find_by(async || ran())).await, None);
    assert_eq!(peek(bypass(a.find_by(async || ran()))).await, None);
    assert_eq!(bypass(peek(a.find_by(async || ran()))).await, None);
    assert_eq!(peek(refresh(a.find_by(async || ran()))).await.unwrap().value, Some(1));
    let inside = private::Lookup::<u64>::bypass(&a.cache, &ROW);
    assert_eq!(peek(inside.read::<private::Unseen, _>(async || panic!("the body ran"))).await, None);
    assert_eq!(peek(async { 5 }).await, None, "no cached function was called");
    world.store.down();
    assert_eq!(peek(a.find()).await, None);
}

#[tokio::test]
async fn a_peek_waits_for_nobody_s_load() {
    let a = World::new().instance();
    let hanging = {
        let a = a.clone();
        tokio::spawn(async move { a.find_by(async || std::future::pending().await).await })
    };
    until(|| a.cache.stats().total().loads == 1).await;
    assert_eq!(promptly(peek(a.find())).await, None);
    hanging.abort();
}
