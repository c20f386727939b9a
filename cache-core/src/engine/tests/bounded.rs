//! Calls that may be answered by what a write has just invalidated: at once, within the window, and for nobody else.

use super::*;
use crate::engine::put::field;
use crate::store::{FillRequest, LeaseRequest, Leased, Store};
use crate::subject::{EntryKey, Token};
use crate::testkit::{Command, Rule};
use crate::{Miss, Mode, NotStored, Outcome, Stored, bounded, explain, memo, peek, refresh};

const WINDOW: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

const OPTIONS: Overrides = Overrides { bounded: Some(WINDOW), ..Overrides::ttl(HOUR) };

static KEPT: ReadSite = ReadSite::new(AT, "row:<id>", "u64", OPTIONS);

static LIST: ReadSite = ReadSite { tags: &["rows"], ..ReadSite::new(AT, "rows", "u64", OPTIONS) };

/// Another entry of the same subject, with a window of its own.
static BRIEFLY: ReadSite = ReadSite {
    version: 1,
    ..ReadSite::new(AT, "row:<id>", "u64", Overrides { bounded: Some(SECOND), ..OPTIONS })
};

impl Instance {
    fn load(&self) -> impl Future<Output = u64> + use<> {
        let row = self.world.row.clone();
        async move { row.load(Ordering::SeqCst) }
    }

    async fn of(&self, site: &'static ReadSite) -> u64 {
        private::read(&self.cache, site, key, |_| {}, || self.load()).await
    }

    /// Reads the row, which is kept for `bounded`.
    async fn kept(&self) -> u64 {
        self.of(&KEPT).await
    }

    /// Reads the list, which is kept and carries a tag.
    async fn kept_list(&self) -> u64 {
        let tags = |tags: &mut private::Tags| tags.tag(|text| text.literal("rows"));
        private::read(&self.cache, &LIST, |text| text.literal("rows"), tags, || self.load()).await
    }

    async fn mark_one(&self, kind: Kind) -> Fenced {
        let recording = self.cache.recording();
        recording.touch(kind, |text| text.literal("rows"));
        self.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap()
    }

    async fn mark_tag(&self) -> Fenced {
        self.mark_one(Kind::Tag).await
    }

    async fn mark_list(&self) -> Fenced {
        self.mark_one(Kind::Entity).await
    }

    /// Loads a value that is made of the row, asked for as within `bounded`.
    async fn made_of_it(&self) -> u64 {
        let load = async || bounded(self.kept()).await;
        private::read(&self.cache, &TAGGED, |text| text.literal("made"), |_| {}, load).await
    }
}

/// A world in which the row was read as 1, and a write to it has just made it 2.
async fn written() -> (World, Instance) {
    let world = World::new();
    let a = world.instance();
    assert_eq!(a.kept().await, 1);
    a.write(2).await.unwrap();
    (world, a)
}

#[tokio::test]
async fn under_an_open_fence_the_old_value_is_served_at_once_and_a_fresh_read_loads() {
    let world = World::new();
    let a = world.instance();
    assert_eq!(a.kept().await, 1);
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    for reader in [&a, &world.instance()] {
        let (value, explained) = explain(bounded(reader.kept())).await;
        let call = &explained.calls()[0];
        assert_eq!(
            (value, call.outcome, call.miss),
            (1, Outcome::Bounded, Some(Miss::Absent)),
            "{explained}"
        );
        assert_eq!(call.load, None, "{explained}");
    }
    let (value, explained) = explain(a.kept()).await;
    let call = &explained.calls()[0];
    assert_eq!(
        (value, call.outcome, call.stored),
        (2, Outcome::Loaded, Some(Stored::Not(NotStored::Fenced)))
    );
    fenced.clear().await.unwrap();
    let total = a.cache.stats().total();
    assert_eq!((total.bounded, total.hits, total.misses, total.loads), (1, 1, 2, 2));
}

#[tokio::test]
async fn after_a_write_the_first_bounded_call_of_a_function_that_cannot_be_called_again_loads_and_stores() {
    let (world, a) = written().await;
    assert_eq!(bounded(a.kept()).await, 2);
    assert_eq!((bounded(a.kept()).await, world.instance().kept().await), (2, 2));
    let total = a.cache.stats().total();
    assert_eq!((total.loads, total.fills, total.refreshes, total.bounded), (2, 2, 1, 0));
}

#[tokio::test]
async fn while_another_caller_loads_it_the_old_value_is_served() {
    let (world, a) = written().await;
    let fill = world.store.hold(Command::Fill);
    let loading = tokio::spawn({
        let a = a.clone();
        async move { a.kept().await }
    });
    fill.reached().await;
    assert_eq!(promptly(bounded(a.kept())).await, 1, "it does not join, nor wait");
    assert_eq!(promptly(bounded(world.instance().kept())).await, 1);
    fill.release();
    assert_eq!(promptly(loading).await.unwrap(), 2);
    assert_eq!(bounded(a.kept()).await, 2, "an entry comes first");
}

/// Who waits for a flight never gets what its leader was served from aside: there is no flight.
#[tokio::test]
async fn a_fresh_reader_does_not_join_a_bounded_one() {
    let (world, a) = written().await;
    let fenced = a.mark().await.unwrap();
    let aside = world.store.hold_reply(Command::Aside);
    let old = tokio::spawn({
        let a = a.clone();
        async move { bounded(a.kept()).await }
    });
    // Nothing was filled since the first write: what that one dropped is still there.
    aside.reached().await;
    assert_eq!(promptly(a.kept()).await, 2);
    aside.release();
    assert_eq!(promptly(old).await.unwrap(), 1);
    fenced.clear().await.unwrap();
}

#[tokio::test]
async fn past_its_window_nothing_old_is_served() {
    for (passed, is) in [(WINDOW - Duration::from_millis(1), 1), (WINDOW, 2)] {
        let (world, a) = written().await;
        let fenced = a.mark().await.unwrap();
        world.clock.advance(passed);
        assert_eq!(bounded(a.kept()).await, is, "{passed:?} after the first mark");
        fenced.clear().await.unwrap();
    }
}

#[tokio::test]
async fn a_function_serves_by_its_own_window_not_by_another_s_of_the_same_subject() {
    let world = World::new();
    let a = world.instance();
    assert_eq!((a.kept().await, a.of(&BRIEFLY).await), (1, 1));
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    world.clock.advance(SECOND);
    assert_eq!((bounded(a.kept()).await, bounded(a.of(&BRIEFLY)).await), (1, 2));
    fenced.clear().await.unwrap();
}

#[tokio::test]
async fn without_the_option_and_without_the_wrapper_a_call_is_as_ever() {
    let world = World::new();
    let a = world.instance();
    assert_eq!(a.find().await, Some(1));
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    assert_eq!((bounded(a.find()).await, world.store.count(Command::Aside)), (Some(2), 0));
    fenced.clear().await.unwrap();

    let (world, a) = written().await;
    assert_eq!((a.kept().await, world.store.count(Command::Aside)), (2, 0));
}

#[tokio::test]
async fn a_handle_that_is_bounded_is_the_same_and_what_uses_less_of_the_cache_wins() {
    let (world, a) = written().await;
    let fenced = a.mark().await.unwrap();
    let handle = Instance { cache: a.cache.with(Mode::Bounded), world: world.clone() };
    assert_eq!(handle.kept().await, 1);
    assert_eq!((refresh(handle.kept()).await, bounded(refresh(a.kept())).await), (2, 2));
    assert_eq!(crate::bypass(handle.kept()).await, 2);
    assert!(peek(bounded(a.kept())).await.is_none(), "what is kept aside is no entry");
    fenced.clear().await.unwrap();
}

/// What stands after a value was made of the old row, and the fence is gone.
async fn what_was_made_of_it(instance: impl Fn(&World) -> Instance) -> (u64, u64, u64) {
    let world = World::new();
    let a = instance(&world);
    assert_eq!(a.kept().await, 1);
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    let made = a.made_of_it().await;
    fenced.clear().await.unwrap();
    (made, a.made_of_it().await, a.cache.stats().total().unkept)
}

#[tokio::test]
async fn what_a_loader_makes_of_it_is_returned_and_not_stored() {
    assert_eq!(what_was_made_of_it(World::instance).await, (1, 2, 1));
}

#[tokio::test]
async fn control_a_loader_that_is_not_told_stores_it_past_the_write() {
    let naive = |world: &World| world.with(world.builder().without(Rule::InvalidatedTaints));
    assert_eq!(what_was_made_of_it(naive).await, (1, 1, 0));
}

/// A reader who arrives while the value is made of the old row, after the write has returned.
#[tokio::test]
async fn nobody_joins_a_load_that_it_went_into() {
    let world = World::new();
    let a = world.instance();
    assert_eq!(a.kept().await, 1);
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    let aside = world.store.hold_reply(Command::Aside);
    let first = tokio::spawn({
        let a = a.clone();
        async move { a.made_of_it().await }
    });
    aside.reached().await;
    // It meets the fence, so that it is not the one to load the row anew.
    let lease = world.store.hold_reply(Command::Lease);
    aside.release();
    lease.reached().await;
    fenced.clear().await.unwrap();
    let second = tokio::spawn({
        let a = a.clone();
        async move { a.made_of_it().await }
    });
    until(|| a.cache.stats().of("rows").misses == 2).await;
    lease.release();
    assert_eq!(promptly(first).await.unwrap(), 1);
    assert_eq!(promptly(second).await.unwrap(), 2);
}

/// No entry stands where one was dropped.
#[tokio::test]
async fn what_a_write_has_dropped_is_not_warm() {
    let (_, a) = written().await;
    let fenced = a.mark().await.unwrap();
    assert_eq!(crate::warmed(bounded(a.kept())).await, crate::Warmed::Unstored);
    fenced.clear().await.unwrap();
    assert_eq!(crate::warmed(a.kept()).await, crate::Warmed::Filled);
}

#[tokio::test]
async fn loaders_are_not_bounded_because_their_caller_is() {
    let (_, a) = written().await;
    let fenced = a.mark().await.unwrap();
    let load = async || a.kept().await;
    let outer = private::read(&a.cache, &TAGGED, |text| text.literal("outer"), |_| {}, load);
    assert_eq!(bounded(outer).await, 2);
    fenced.clear().await.unwrap();
}

#[tokio::test]
async fn another_epoch_a_cleared_namespace_and_strange_bytes_are_nothing() {
    let (world, a) = written().await;
    world.memory.lose_everything();
    let fenced = a.mark().await.unwrap();
    assert_eq!(bounded(a.kept()).await, 2);
    fenced.clear().await.unwrap();

    let (_, a) = written().await;
    let fenced = a.mark().await.unwrap();
    assert_eq!(bounded(a.kept()).await, 1);
    a.cache.clear().await.unwrap();
    assert_eq!(bounded(a.kept()).await, 2, "cleared");
    fenced.clear().await.unwrap();
}

/// Somebody else's bytes under our name, filled and dropped like an entry.
#[tokio::test]
async fn bytes_that_do_not_decode_are_nothing() {
    let (world, a) = written().await;
    let subject = crate::key::Namespace::new("t").unwrap().subject(Kind::Entity, key);
    let key = EntryKey { subject, field: field::<u64>(crate::engine::put::seed(&KEPT)) };
    let token = Token(7);
    let request = LeaseRequest {
        key: &key,
        tags: &[],
        token,
        duration: HOUR,
        force: false,
        over: None,
        finished: &[],
        seed: 0,
        tag_ttl: HOUR,
        shares: false,
    };
    assert!(matches!(world.memory.lease(request).await.unwrap(), Leased::Granted { .. }));
    let blob = bytes::Bytes::from_static(b"somebody else's");
    let fill = FillRequest { key: &key, tags: &[], token, blob: &blob, ttl: HOUR, aside: WINDOW };
    assert!(world.memory.fill(fill).await.unwrap().stored);
    let fenced = a.mark().await.unwrap();
    assert_eq!(world.memory.aside(&key).await.unwrap().unwrap().blob, blob, "it was dropped");
    assert_eq!(bounded(a.kept()).await, 2);
    fenced.clear().await.unwrap();
}

#[tokio::test]
async fn a_negative_value_is_old_news_too() {
    let world = World::new();
    let a = world.instance();
    let find =
        async |value: Option<u64>| private::read(&a.cache, &KEPT, key, |_| {}, || async move { value }).await;
    assert_eq!(find(None).await, None);
    let fenced = a.mark().await.unwrap();
    assert_eq!(bounded(find(Some(2))).await, None);
    assert_eq!(a.cache.stats().total().negative_hits, 1);
    fenced.clear().await.unwrap();
}

/// Kept for the case that a load fails, it is not kept for this.
#[tokio::test]
async fn what_is_kept_past_its_lifetime_for_errors_does_not_answer() {
    static LONGER: ReadSite = ReadSite::new(
        AT,
        "row:<id>",
        "u64",
        Overrides { stale_if_error: Some(HOUR), bounded: Some(WINDOW), ..Overrides::ttl(WINDOW) },
    );
    let world = World::new();
    let a = world.instance();
    assert_eq!(a.of(&LONGER).await, 1);
    world.clock.advance(WINDOW - SECOND);
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    assert_eq!(bounded(a.of(&LONGER)).await, 1);
    world.clock.advance(SECOND);
    assert_eq!(bounded(a.of(&LONGER)).await, 2);
    fenced.clear().await.unwrap();
}

/// The store has a new entry by the time this call asks for a lease: it is not loaded once more.
#[tokio::test]
async fn who_was_slower_than_another_does_not_load() {
    let (world, a) = written().await;
    let lease = world.store.hold(Command::Lease);
    let slow = tokio::spawn({
        let a = a.clone();
        async move { bounded(a.kept()).await }
    });
    lease.reached().await;
    assert_eq!(promptly(world.instance().kept()).await, 2);
    lease.release();
    assert_eq!(promptly(slow).await.unwrap(), 1);
    assert_eq!(a.cache.stats().total().loads, 1);
}

#[tokio::test]
async fn past_its_lifetime_it_is_of_no_use_whatever_the_window() {
    let world = World::new();
    let a = world.instance();
    assert_eq!(a.kept().await, 1);
    world.clock.advance(HOUR - SECOND);
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    assert_eq!(bounded(a.kept()).await, 1);
    world.clock.advance(SECOND);
    assert_eq!(bounded(a.kept()).await, 2);
    fenced.clear().await.unwrap();
}

/// Nobody knows when a tag moved, so what counts is when the value was loaded.
#[tokio::test]
async fn what_a_tag_invalidated_is_served_for_the_window_from_when_it_was_loaded() {
    for (passed, is) in [(WINDOW - SECOND, 1), (WINDOW, 2)] {
        let world = World::new();
        let a = world.instance();
        assert_eq!(a.kept_list().await, 1);
        world.clock.advance(passed);
        let fenced = a.mark_tag().await;
        a.commit(2);
        assert_eq!(bounded(a.kept_list()).await, is, "{passed:?} after it was loaded");
        assert_eq!(a.kept_list().await, 2);
        fenced.clear().await.unwrap();
        assert_eq!(bounded(a.kept_list()).await, 2, "loaded over it");
        assert_eq!((a.kept_list().await, a.cache.stats().total().fills), (2, 2));
    }
}

/// Its tag had moved long before its subject was written: the mark of that makes it no younger.
#[tokio::test]
async fn a_mark_of_the_subject_does_not_bring_back_what_a_tag_invalidated_before() {
    for (moves_tag, is) in [(false, 1), (true, 2)] {
        let world = World::new();
        let a = world.instance();
        assert_eq!(a.kept_list().await, 1);
        world.clock.advance(2 * WINDOW);
        if moves_tag {
            a.mark_tag().await.clear().await.unwrap();
        }
        let fenced = a.mark_list().await;
        a.commit(2);
        assert_eq!(bounded(a.kept_list()).await, is, "tag moved: {moves_tag}");
        fenced.clear().await.unwrap();
    }
}

/// Installed by the write that made it, the value is kept by the next one's mark.
#[tokio::test]
async fn what_a_write_installed_is_kept_like_what_was_loaded() {
    let world = World::new();
    let a = world.instance();
    let recording = a.cache.recording();
    let subject = recording.touch(Kind::Entity, key);
    recording.used();
    let entry = EntryKey { subject, field: field::<u64>(crate::engine::put::seed(&KEPT)) };
    let payload = crate::codec::encode(&5_u64).unwrap().into();
    recording.put(entry, payload, crate::codec::NAMED_MESSAGEPACK, &KEPT);
    let fenced = a.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
    a.commit(5);
    fenced.clear().await.unwrap();
    let fenced = a.mark().await.unwrap();
    a.commit(6);
    assert_eq!((bounded(a.kept()).await, a.kept().await), (5, 6));
    fenced.clear().await.unwrap();
    assert_eq!(a.cache.stats().total().loads, 1);
}

#[tokio::test]
async fn a_memo_neither_keeps_it_nor_lets_a_request_see_less_than_it_has_written() {
    let (world, a) = written().await;
    let other = world.instance().mark().await.unwrap();
    let seen = memo(async {
        let old = bounded(a.kept()).await;
        let fresh = a.kept().await;
        a.write(3).await.unwrap();
        (old, fresh, bounded(a.kept()).await)
    })
    .await;
    assert_eq!(seen, (1, 2, 3));
    other.clear().await.unwrap();
}

/// A loader answers nobody from its caller's memo, and hears of what its request has written all the same.
#[tokio::test]
async fn nor_does_a_load_inside_the_request() {
    let (world, a) = written().await;
    let other = world.instance().mark().await.unwrap();
    let seen = memo(async {
        a.write(3).await.unwrap();
        a.made_of_it().await
    })
    .await;
    assert_eq!(seen, 3);
    other.clear().await.unwrap();
}

#[tokio::test]
async fn a_store_that_does_not_answer_or_keeps_nothing_costs_no_more_than_the_question() {
    let (world, a) = written().await;
    world.store.lose_reply(Command::Aside);
    assert_eq!(bounded(a.kept()).await, 2);
    assert_eq!((a.cache.stats().total().fills, a.kept().await), (2, 2));
}
