//! The L1: what goes in, who is served by it, and that no write is ever hidden by it.

mod stores;

use tokio::sync::Notify;

use super::*;
use crate::loading;
use crate::testkit::{Command, Rule};
use crate::{L1, Mode, Outcome, bypass, explain, memo, refresh};

type Reading = tokio::task::JoinHandle<Option<u64>>;

impl World {
    fn near(&self) -> Instance {
        self.with(self.builder().l1(1_000))
    }

    /// Commands of readers that the store was asked for.
    fn asked(&self) -> u64 {
        [Command::Get, Command::GetMany, Command::Lease, Command::Fill]
            .map(|command| self.store.count(command))
            .iter()
            .sum()
    }
}

impl Instance {
    /// Reads a row by this site, as a cached function does.
    async fn near_by(&self, site: &'static ReadSite, pause: impl AsyncFnOnce()) -> Option<u64> {
        let load = || async {
            let seen = self.world.row.load(Ordering::SeqCst);
            pause().await;
            (seen != 0).then_some(seen)
        };
        let tags = |tags: &mut private::Tags| {
            if !site.tags.is_empty() {
                tags.tag(|text| text.literal("rows"));
            }
        };
        let lookup = private::Lookup::new(&self.cache, site, |bytes| bytes.part(&7), key, tags);
        lookup.read::<private::Maybe<private::Unseen>, _>(load).await
    }

    async fn near(&self) -> Option<u64> {
        self.near_by(&ROW, async || ()).await
    }

    fn spawn_near(&self) -> Reading {
        let this = self.clone();
        tokio::spawn(async move { this.near().await })
    }

    async fn write_tag(&self, value: u64) {
        let recording = self.cache.recording();
        recording.touch(Kind::Tag, |text| text.literal("rows"));
        let fenced = self.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
        self.commit(value);
        fenced.clear().await.unwrap();
    }

    fn l1_hits(&self) -> u64 {
        self.cache.stats().l1().hits
    }
}

static TAGGED_ROW: ReadSite = ReadSite { tags: &["rows"], ..ROW };
static APART: ReadSite = ReadSite { l1: false, ..ROW };

#[tokio::test]
async fn what_was_loaded_is_served_without_the_store() {
    let world = World::new();
    let a = world.near();
    assert_eq!(a.near().await, Some(1));
    let asked = world.asked();
    for _ in 0..5 {
        assert_eq!(a.near().await, Some(1));
    }
    assert_eq!(world.asked(), asked);
    let (all, l1) = (a.cache.stats().total(), a.cache.stats().l1());
    assert_eq!((all.hits, all.l1_hits, all.misses, all.loads), (5, 5, 1, 1));
    assert_eq!((l1.hits, l1.misses, l1.kept, l1.entries, l1.flushes), (5, 1, 1, 1, 0));
}

#[tokio::test]
async fn what_was_found_in_the_store_is_served_without_it_from_then_on() {
    let world = World::new();
    world.instance().find().await;
    let a = world.near();
    assert_eq!((a.near().await, a.near().await), (Some(1), Some(1)));
    assert_eq!((world.store.count(Command::GetMany), a.l1_hits()), (1, 1));
}

#[tokio::test]
async fn that_there_is_none_is_kept_too() {
    let world = World::new();
    world.row.store(0, Ordering::SeqCst);
    let a = world.near();
    assert_eq!((a.near().await, a.near().await), (None, None));
    let total = a.cache.stats().total();
    assert_eq!((total.negative_hits, total.hits, total.l1_hits), (1, 0, 1));
    a.write(5).await.unwrap();
    assert_eq!(a.near().await, Some(5));
}

#[tokio::test]
async fn another_value_of_the_arguments_is_another_entry() {
    let a = World::new().near();
    let read = async |id: u64| {
        let key = |text: &mut private::Text| {
            text.literal("row:");
            text.part(&id);
        };
        let lookup = private::Lookup::new(&a.cache, &ROW, |bytes| bytes.part(&id), key, |_| {});
        lookup.read::<private::Unseen, _>(async || id * 10).await
    };
    for _ in 0..2 {
        assert_eq!((read(1).await, read(2).await), (10, 20));
    }
    assert_eq!(a.l1_hits(), 2);
}

#[tokio::test]
async fn a_mark_ends_it_before_it_has_returned() {
    let world = World::new();
    let (a, b) = (world.near(), world.near());
    assert_eq!((a.near().await, b.near().await), (Some(1), Some(1)));
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    assert_eq!((a.near().await, b.near().await), (Some(2), Some(2)), "a write is in flight");
    a.commit(3);
    assert_eq!((a.near().await, b.near().await), (Some(3), Some(3)), "nothing was kept meanwhile");
    fenced.clear().await.unwrap();
    let hits = a.l1_hits();
    assert_eq!((a.near().await, a.near().await, a.l1_hits()), (Some(3), Some(3), hits + 1));
}

#[tokio::test]
async fn a_mark_of_a_tag_ends_it_too_and_another_one_does_not() {
    let world = World::new();
    let a = world.near();
    let read = async || a.near_by(&TAGGED_ROW, async || ()).await;
    assert_eq!((read().await, read().await, a.l1_hits()), (Some(1), Some(1), 1));
    a.write_tag(2).await;
    assert_eq!((read().await, read().await, a.l1_hits()), (Some(2), Some(2), 2));
    assert_eq!((a.near().await, a.near().await, a.l1_hits()), (Some(2), Some(2), 3));
    a.write_tag(3).await;
    assert_eq!((a.near().await, a.l1_hits()), (Some(2), 4), "it has no tag");
}

/// A value is read from the store, and a write comes and goes before the answer is there.
async fn overtaken_look(a: Instance, world: &World) -> Option<u64> {
    let b = world.instance();
    b.find().await;
    let get = world.store.hold_reply(Command::GetMany);
    let slow = a.spawn_near();
    get.reached().await;
    b.write(2).await.unwrap();
    get.release();
    assert_eq!(slow.await.unwrap(), Some(1), "it began before the write");
    a.near().await
}

#[tokio::test]
async fn an_answer_that_a_write_has_overtaken_is_not_kept() {
    let world = World::new();
    let a = world.near();
    assert_eq!(overtaken_look(a.clone(), &world).await, Some(2));
    assert_eq!((a.cache.stats().l1().overtaken, a.l1_hits()), (1, 0));
}

#[tokio::test]
async fn without_the_stamp_from_before_it_would_be_served() {
    let world = World::new();
    let a = world.with(world.builder().l1(1_000).without(Rule::StampedBeforeAsked));
    assert_eq!(overtaken_look(a, &world).await, Some(1));
}

/// A value is filled, and a write comes and goes before the answer is there.
async fn overtaken_fill(a: Instance, world: &World) -> Option<u64> {
    let fill = world.store.hold_reply(Command::Fill);
    let slow = a.spawn_near();
    fill.reached().await;
    world.instance().write(2).await.unwrap();
    fill.release();
    assert_eq!(slow.await.unwrap(), Some(1), "it began before the write");
    a.near().await
}

#[tokio::test]
async fn a_fill_that_a_write_has_overtaken_is_not_kept() {
    let world = World::new();
    assert_eq!(overtaken_fill(world.near(), &world).await, Some(2));
}

#[tokio::test]
async fn without_the_stamp_from_before_the_lease_it_would_be_served() {
    let world = World::new();
    let a = world.with(world.builder().l1(1_000).without(Rule::StampedBeforeAsked));
    assert_eq!(overtaken_fill(a, &world).await, Some(1));
}

#[tokio::test]
async fn a_fill_whose_tag_was_written_meanwhile_is_not_kept() {
    let world = World::new();
    let a = world.near();
    let fill = world.store.hold_reply(Command::Fill);
    let slow = {
        let a = a.clone();
        tokio::spawn(async move { a.near_by(&TAGGED_ROW, async || ()).await })
    };
    fill.reached().await;
    a.write_tag(2).await;
    fill.release();
    assert_eq!(slow.await.unwrap(), Some(1), "it began before the write");
    assert_eq!(a.near_by(&TAGGED_ROW, async || ()).await, Some(2));
}

#[tokio::test]
async fn a_refused_fill_is_not_kept() {
    let world = World::new();
    let a = world.near();
    let fill = world.store.hold(Command::Fill);
    let slow = a.spawn_near();
    fill.reached().await;
    world.instance().write(2).await.unwrap();
    fill.release();
    assert_eq!(slow.await.unwrap(), Some(1), "it began before the write");
    assert_eq!((a.cache.stats().l1().kept, a.near().await), (0, Some(2)));
}

#[tokio::test]
async fn a_clear_of_the_namespace_empties_it() {
    let world = World::new();
    let (a, b) = (world.near(), world.near());
    assert_eq!((a.near().await, b.near().await), (Some(1), Some(1)));
    a.commit(2);
    a.cache.clear().await.unwrap();
    assert_eq!((a.near().await, b.near().await), (Some(2), Some(2)));
    assert!(a.cache.stats().l1().flushes > 0);
    assert_eq!((a.near().await, b.l1_hits()), (Some(2), 0));
}

#[tokio::test]
async fn a_store_that_has_lost_everything_ends_it() {
    let world = World::new();
    let a = world.near();
    assert_eq!(a.near().await, Some(1));
    a.commit(2);
    world.memory.lose_everything();
    assert_eq!(a.near().await, Some(2));
}

#[tokio::test]
async fn nothing_lives_longer_than_its_entry() {
    static SHORT: ReadSite = ReadSite { options: Overrides::ttl(Duration::from_secs(10)), ..ROW };
    let world = World::new();
    let a = world.near();
    let read = async || a.near_by(&SHORT, async || ()).await;
    read().await;
    world.clock.advance(Duration::from_secs(6));
    let b = world.near();
    assert_eq!(b.near_by(&SHORT, async || ()).await, Some(1), "from the store, 4 s to live");
    a.commit(2);
    world.clock.advance(Duration::from_millis(3_999));
    assert_eq!((read().await, b.near_by(&SHORT, async || ()).await), (Some(1), Some(1)));
    assert_eq!((a.l1_hits(), b.l1_hits()), (1, 1));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!((read().await, b.near_by(&SHORT, async || ()).await), (Some(2), Some(2)));
}

#[tokio::test]
async fn a_shorter_lifetime_of_the_l1_s_own_sends_readers_to_the_store() {
    let world = World::new();
    let a = world.with(world.builder().l1(L1::entries(1_000).ttl(Duration::from_secs(2))));
    a.near().await;
    world.clock.advance(Duration::from_secs(1));
    assert_eq!((a.near().await, a.l1_hits()), (Some(1), 1));
    world.clock.advance(Duration::from_secs(1));
    a.commit(2);
    assert_eq!((a.near().await, a.l1_hits()), (Some(1), 1), "the store still has it");
}

#[tokio::test]
async fn who_would_load_early_is_not_kept_from_it() {
    static AHEAD: ReadSite = ReadSite {
        options: Overrides { refresh_ahead: Some(0.5), ..Overrides::ttl(Duration::from_secs(10)) },
        ..ROW
    };
    let world = World::new();
    let a = world.near();
    let read = async || a.near_by(&AHEAD, async || ()).await;
    read().await;
    world.clock.advance(Duration::from_millis(4_999));
    assert_eq!((read().await, a.l1_hits()), (Some(1), 1));
    world.clock.advance(Duration::from_millis(1));
    a.commit(2);
    assert_eq!((read().await, a.l1_hits()), (Some(2), 1), "loaded ahead of its expiry");
}

#[tokio::test]
async fn what_is_stale_goes_nowhere() {
    static STALE: ReadSite = ReadSite {
        background: true,
        options: Overrides { stale_while_revalidate: Some(HOUR), ..Overrides::ttl(Duration::from_secs(1)) },
        ..ROW
    };
    let world = World::new();
    let a = world.near();
    world.instance().near_by(&STALE, async || ()).await;
    world.clock.advance(Duration::from_secs(2));
    // Nobody may load it anew meanwhile.
    let lease = world.store.hold(Command::Lease);
    let first = {
        let a = a.clone();
        tokio::spawn(async move { a.near_by(&STALE, async || ()).await })
    };
    lease.reached().await;
    lease.release();
    first.await.unwrap();
    let kept = a.cache.stats().l1().kept;
    assert_eq!(kept, 1, "what was loaded for it, and not what was found");
}

#[tokio::test]
async fn what_something_older_went_into_is_not_kept() {
    let world = World::new();
    let a = world.near();
    a.near_by(&ROW, async || loading::taint()).await;
    a.near_by(&ROW, async || loading::skip()).await;
    assert_eq!(a.cache.stats().l1().kept, 0);
}

#[tokio::test]
async fn what_passes_the_store_by_passes_the_l1_by() {
    let world = World::new();
    let a = world.near();
    a.near().await;
    a.commit(2);
    assert_eq!(bypass(a.near()).await, Some(2));
    let past = Instance { cache: a.cache.with(Mode::Bypass), ..a.clone() };
    assert_eq!(past.near().await, Some(2));
    assert_eq!((a.near().await, a.l1_hits()), (Some(1), 1));
    assert_eq!(refresh(a.near()).await, Some(2));
    assert_eq!((a.near().await, a.l1_hits()), (Some(2), 2), "what the refresh loaded");
}

#[tokio::test]
async fn a_function_that_wants_none_has_none() {
    let world = World::new();
    let a = world.near();
    for _ in 0..3 {
        a.near_by(&APART, async || ()).await;
    }
    assert_eq!(a.cache.stats().l1(), crate::observe::L1Counts::default());
}

#[tokio::test]
async fn explain_says_who_answered() {
    let world = World::new();
    let a = world.near();
    let outcome = async || {
        let (_, explained) = explain(a.near()).await;
        (explained.calls()[0].outcome, explained.to_string())
    };
    assert_eq!(outcome().await.0, Outcome::Loaded);
    world.clock.advance(Duration::from_secs(60));
    let (served, words) = outcome().await;
    assert_eq!(served, Outcome::L1);
    assert!(words.starts_with("t:row:7: hit, served by the L1, 3540.0s to live"), "{words}");
    assert_eq!((a.l1_hits(), a.cache.stats().total().hits), (1, 1));
    a.write(2).await.unwrap();
    assert_eq!(outcome().await.0, Outcome::Loaded);
}

#[tokio::test]
async fn a_request_s_memory_answers_before_it() {
    let world = World::new();
    let a = world.near();
    a.near().await;
    memo(async {
        assert_eq!(a.near().await, Some(1));
        // Another request writes, and reads what it has written.
        let others = a.clone();
        let other = tokio::spawn(async move {
            others.write(2).await.unwrap();
            (others.near().await, others.near().await)
        });
        assert_eq!(other.await.unwrap(), (Some(2), Some(2)));
        let hits = a.l1_hits();
        assert_eq!((a.near().await, a.l1_hits()), (Some(1), hits), "one value for the whole request");
    })
    .await;
    assert_eq!(a.near().await, Some(2));
}

#[tokio::test]
async fn what_was_evicted_is_counted_and_the_room_is_kept() {
    let world = World::new();
    let a = world.with(world.builder().l1(64));
    for id in 0_u64..1_000 {
        let key = |text: &mut private::Text| text.part(&id);
        let lookup = private::Lookup::new(&a.cache, &ROW, |bytes| bytes.part(&id), key, |_| {});
        lookup.read::<private::Unseen, _>(async || id).await;
    }
    let counts = a.cache.stats().l1();
    assert!(counts.entries <= 64 && counts.entries > 32, "{counts:?}");
    assert_eq!(counts.kept, 1_000);
    assert_eq!(counts.evictions, 1_000 - counts.entries);
}

#[tokio::test]
async fn a_budget_of_bytes_holds_fewer_large_values() {
    let world = World::new();
    let a = world.with(world.builder().l1(L1::bytes(1 << 20)));
    for id in 0_u64..100 {
        let key = |text: &mut private::Text| text.part(&id);
        let lookup = private::Lookup::new(&a.cache, &ROW, |bytes| bytes.part(&id), key, |_| {});
        lookup.read::<private::Unseen, _>(async || "x".repeat(100_000)).await;
    }
    let entries = a.cache.stats().l1().entries;
    assert!((5..=10).contains(&entries), "{entries}");
}

#[tokio::test]
async fn only_what_was_missed_often_enough_goes_in() {
    let world = World::new();
    let a = world.with(world.builder().l1(L1::entries(1_000).admit_after(3)));
    for kept in [0, 0, 1, 1] {
        a.near().await;
        assert_eq!(a.cache.stats().l1().kept, kept);
    }
    assert_eq!(a.l1_hits(), 1);
}

#[tokio::test]
async fn two_types_of_one_name_are_not_mixed_up() {
    // One site, one name of what is returned, two types: as in generic code over two versions of one crate.
    let a = World::new().near();
    let seek = || crate::l1::Seek { site: std::ptr::from_ref(&ROW).addr(), returns: "u64", words: &[] };
    let core = &a.cache.0;
    let near = core.near.as_ref().unwrap();
    let stamp = near.tier.stamp(&[]);
    let kept = crate::l1::Kept::new(Some(Arc::new(String::from("other"))), (0, 0), Duration::MAX, 0, stamp);
    near.tier.keep(seek().to_key(), kept, core.clock.monotonic());
    let found = || near.tier.find(&seek(), |_| {});
    assert_eq!(crate::engine::taken::<u64>(core, &ROW, found().unwrap()), None);
    assert!(found().is_none());
    a.near().await;
    a.near().await;
    assert_eq!(a.l1_hits(), 0, "nothing of the function is kept any more");
}

#[tokio::test]
async fn a_load_that_waits_keeps_the_l1_of_nobody_else_waiting() {
    let world = World::new();
    let a = world.near();
    let (seen, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (a, seen, go_on) = (a.clone(), seen.clone(), go_on.clone());
        tokio::spawn(async move {
            let pause = async || {
                seen.notify_one();
                go_on.notified().await;
            };
            a.near_by(&TAGGED_ROW, pause).await
        })
    };
    seen.notified().await;
    assert_eq!((a.near().await, a.near().await, a.l1_hits()), (Some(1), Some(1), 1));
    go_on.notify_one();
    assert_eq!(slow.await.unwrap(), Some(1));
}
