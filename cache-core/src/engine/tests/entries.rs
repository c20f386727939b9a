//! What is stored, for how long, and what is not.

use super::*;
use crate::entry::{self, Header};
use crate::store::{FillRequest, LeaseRequest, Leased, Store};
use crate::subject::{EntryKey, Subject, Token};

async fn negative(instance: &Instance, site: &'static ReadSite) -> Option<u64> {
    private::read(&instance.cache, site, key, |_| {}, || async { None }).await
}

#[tokio::test]
async fn that_there_is_none_is_remembered_for_its_own_time() {
    let world = World::new();
    let a = world.instance();
    assert_eq!((negative(&a, &ROW).await, negative(&a, &ROW).await), (None, None));
    let stats = a.cache.stats().total();
    assert_eq!((stats.loads, stats.negative_hits, stats.hits), (1, 1, 0));
    world.clock.advance(Policy::NEGATIVE_TTL);
    negative(&a, &ROW).await;
    assert_eq!(a.cache.stats().total().loads, 2);
}

#[tokio::test]
async fn a_negative_entry_does_not_answer_a_function_that_cannot_say_so() {
    let a = World::new().instance();
    negative(&a, &ROW).await;
    let value: u64 = private::read(&a.cache, &ROW, key, |_| {}, || async { 5 }).await;
    assert_eq!(value, 5);
}

#[tokio::test]
async fn an_entry_expires_on_the_store_s_clock() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    world.clock.advance(HOUR - Duration::from_millis(1));
    a.find().await;
    assert_eq!(a.cache.stats().total().loads, 1);
    world.clock.advance(Duration::from_millis(1));
    a.find().await;
    assert_eq!(a.cache.stats().total().loads, 2);
}

#[tokio::test]
async fn xfetch_under_a_lease_reloads_once_a_cycle_however_many_read() {
    let world = World::new();
    let a = world.instance();
    let load = || async {
        world.clock.advance(Duration::from_secs(60));
        world.row.load(std::sync::atomic::Ordering::SeqCst)
    };
    let find = || private::read(&a.cache, &EARLY, |text| text.literal("early:1"), |_| {}, load);
    find().await;
    // The load took a minute and an hour is left, so nobody is early yet.
    for _ in 0..100 {
        find().await;
    }
    assert_eq!(a.cache.stats().total().loads, 1);
    // A second before expiry -60 s * ln(luck) exceeds it almost always; the first reader reloads, the rest hit what it stored.
    world.clock.advance(HOUR - Duration::from_secs(61));
    for _ in 0..100 {
        find().await;
    }
    let stats = a.cache.stats().total();
    assert_eq!((stats.loads, stats.refreshes, stats.misses), (2, 1, 1));
}

#[tokio::test]
async fn a_failing_early_reload_serves_the_entry_that_still_stands() {
    let world = World::new();
    let a = world.instance();
    let read = |result: Result<u64, String>| {
        let load = || async {
            world.clock.advance(Duration::from_secs(600));
            result
        };
        private::read(&a.cache, &EARLY, |text| text.literal("early:2"), |_| {}, load)
    };
    assert_eq!(read(Ok(5)).await, Ok(5));
    world.clock.advance(HOUR - Duration::from_secs(601));
    assert_eq!(read(Err("the database is away".into())).await, Ok(5));
    assert_eq!(a.cache.stats().total().load_errors, 1);
}

fn row_entry(instance: &Instance) -> EntryKey {
    let subject = instance.cache.namespace().subject(Kind::Entity, key);
    EntryKey { subject, field: crate::engine::put::field::<u64>(crate::engine::put::seed(&ROW)) }
}

fn lease_of(key: &EntryKey) -> LeaseRequest<'_> {
    let (token, tags) = (Token(1), &[]);
    LeaseRequest {
        key,
        tags,
        token,
        duration: HOUR,
        force: true,
        over: None,
        finished: &[],
        seed: 0,
        tag_ttl: HOUR,
        shares: false,
    }
}

async fn plant(world: &World, key: &EntryKey, blob: &[u8]) {
    let (token, tags): (_, [Subject; 0]) = (Token(1), []);
    assert!(matches!(world.memory.lease(lease_of(key)).await.unwrap(), Leased::Granted { .. }));
    let blob = bytes::Bytes::copy_from_slice(blob);
    let fill = FillRequest { key, tags: &tags, token, blob: &blob, ttl: HOUR, aside: Duration::ZERO };
    assert!(world.memory.fill(fill).await.unwrap().stored);
}

#[tokio::test]
async fn bytes_that_do_not_decode_are_a_counted_miss_and_are_replaced() {
    let header = Header {
        codec: crate::codec::NAMED_MESSAGEPACK,
        negative: false,
        epoch: crate::subject::Epoch(0),
        fingerprint: 0,
        made_at: crate::time::StoreTime(0),
        current_until: crate::time::StoreTime(u64::MAX),
        expires_at: crate::time::StoreTime(u64::MAX),
        load: Duration::ZERO,
        tags: Vec::new(),
        learned: Vec::new(),
        full_key: None,
        validator: None,
    };
    let world = World::new();
    let fingerprint = row_entry(&world.instance()).fingerprint();
    let good = Header { fingerprint, ..header.clone() };
    let not_a_number = entry::encode(&good, &[0xc1]);
    let unknown_codec = entry::encode(&Header { codec: 99, ..good.clone() }, &[1]);
    // Somebody else's bytes whose epoch happens to be this one, so that a lease takes them for an entry.
    let foreign = [0_u8; 64];
    for blob in [&not_a_number[..], &unknown_codec, &foreign, b"", b"hello"] {
        let world = World::new();
        let a = world.instance();
        plant(&world, &row_entry(&a), blob).await;
        assert_eq!((a.find().await, a.find().await), (Some(1), Some(1)));
        let stats = a.cache.stats().total();
        assert_eq!((stats.loads, stats.fills, stats.hits), (1, 1, 1), "{blob:?}");
        assert!(stats.undecodable >= 1, "{blob:?}");
    }
}

#[tokio::test]
async fn an_entry_of_another_schema_is_not_this_function_s() {
    let a = World::new().instance();
    a.find().await;
    let text: String = private::read(&a.cache, &ROW, key, |_| {}, || async { "seven".to_owned() }).await;
    assert_eq!(text, "seven");
    assert_eq!((a.find().await, a.cache.stats().total().loads), (Some(1), 2));
}

#[tokio::test]
async fn a_value_over_the_size_limit_is_returned_counted_and_not_stored() {
    let world = World::new();
    let a = world.with(world.builder().size_limit(100));
    let read = || private::read(&a.cache, &ROW, key, |_| {}, || async { "x".repeat(200) });
    assert_eq!((read().await.len(), read().await.len()), (200, 200));
    let stats = a.cache.stats().total();
    assert_eq!((stats.oversized, stats.fills, stats.loads), (2, 0, 2));
}

#[tokio::test]
async fn a_written_value_is_installed_unless_the_connection_was_used_again() {
    for used_again in [false, true] {
        let world = World::new();
        let a = world.instance();
        let recording = a.cache.recording();
        let subject = recording.touch(Kind::Entity, key);
        recording.used();
        let payload = crate::codec::encode(&9_u64).unwrap().into();
        recording.put(row_entry(&a), payload, crate::codec::NAMED_MESSAGEPACK, &ROW);
        assert_eq!(subject, row_entry(&a).subject);
        if used_again {
            recording.used();
        }
        let fenced = a.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
        a.commit(9);
        fenced.clear().await.unwrap();
        assert_eq!(a.find().await, Some(9));
        assert_eq!(a.cache.stats().total().loads, u64::from(used_again));
    }
}

#[tokio::test]
async fn a_value_of_a_body_with_several_statements_or_none_is_not_installed() {
    for (statements, installed) in [(0, false), (1, true), (2, false)] {
        let world = World::new();
        let a = world.instance();
        let transaction = a.cache.recording();
        transaction.used();
        let recording = transaction.for_body();
        recording.touch(Kind::Entity, key);
        (0..statements).for_each(|_| transaction.used());
        let payload = crate::codec::encode(&9_u64).unwrap().into();
        recording.put(row_entry(&a), payload, crate::codec::NAMED_MESSAGEPACK, &ROW);
        let fenced = a.cache.fence(transaction.finish().unwrap(), Origin::none()).await.unwrap();
        a.commit(9);
        fenced.clear().await.unwrap();
        a.find().await;
        assert_eq!(a.cache.stats().total().loads == 0, installed, "{statements} statements");
    }
}

#[tokio::test]
async fn a_written_value_is_not_installed_when_another_writer_came_in_between() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let recording = a.cache.recording();
    recording.touch(Kind::Entity, key);
    recording.used();
    let payload = crate::codec::encode(&2_u64).unwrap().into();
    recording.put(row_entry(&a), payload, crate::codec::NAMED_MESSAGEPACK, &ROW);
    let fenced = a.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
    a.commit(2);
    b.write(3).await.unwrap();
    fenced.clear().await.unwrap();
    assert_eq!(a.find().await, Some(3));
}

/// A clear is carried out and its answer lost; another write comes and goes; then a second copy of the mark arrives, by a
/// connection that had been given up. The fence stands alone again, and the clear that is sent once more must not install.
#[tokio::test(start_paused = true)]
async fn a_clear_that_is_repeated_installs_nothing() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let recording = a.cache.recording();
    recording.touch(Kind::Entity, key);
    recording.used();
    let payload = crate::codec::encode(&2_u64).unwrap().into();
    recording.put(row_entry(&a), payload, crate::codec::NAMED_MESSAGEPACK, &ROW);
    let fenced = a.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
    let writer = match world.memory.lease(lease_of(&row_entry(&a))).await.unwrap() {
        Leased::Fenced(fences) => fences[0].writer,
        other => panic!("{other:?}"),
    };
    a.commit(2);
    let reply = world.store.hold_reply(crate::testkit::Command::Clear);
    let clearing = tokio::spawn(fenced.clear());
    reply.reached().await;
    b.write(3).await.unwrap();
    let subjects = [row_entry(&a).subject];
    let origin = Origin::none();
    let again =
        crate::store::MarkRequest { writer, origin: &origin, subjects: &subjects, seed: 0, tag_ttl: HOUR };
    world.memory.mark(again).await.unwrap();
    // The answer does not come in time.
    clearing.await.unwrap().unwrap();
    reply.release();
    assert_eq!(b.find().await, Some(3));
}

#[tokio::test]
async fn an_off_cache_loads_every_time_and_fences_nothing() {
    let world = World::new();
    let a = world.with(world.builder().off());
    assert_eq!((a.find().await, a.find().await), (Some(1), Some(1)));
    a.write(2).await.unwrap();
    assert_eq!(a.find().await, Some(2));
    assert_eq!(world.store.count(crate::testkit::Command::Get), 0);
}

#[tokio::test]
async fn a_bypassed_read_asks_the_source_and_leaves_the_cache_alone() {
    let a = World::new().instance();
    a.find().await;
    a.commit(2);
    assert_eq!((crate::bypass(a.find()).await, a.find().await), (Some(2), Some(1)));
}
