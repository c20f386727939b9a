//! Queued writes: seen by every read, believed as long as they may be, and in order with covered writes.

use bytes::Bytes;

use super::*;
use crate::codec;
use crate::error::WriteErrorKind;
use crate::journal::{Applied, JournalId, Position, kind};
use crate::scope::Recording;
use crate::site::{Coverage, QueueSite, Site, WriteSite};
use crate::store::{BoxFuture, PendRequest};
use crate::subject::{EntryKey, Subject};
use crate::testkit::Command;

const TEMPLATE: &str = "draft:<id>";
const JOURNAL: JournalId = JournalId(5);

static DRAFT: ReadSite =
    ReadSite { tags: &["drafts"], ..ReadSite::new(AT, TEMPLATE, "u64", Overrides::ttl(HOUR)) };
static OTHER_DRAFT: ReadSite = ReadSite::new(AT, TEMPLATE, "i64", Overrides::ttl(HOUR));
static SAVE: QueueSite = QueueSite { at: AT, template: TEMPLATE, value: "u64" };
static EDIT: WriteSite =
    WriteSite { at: AT, keys: &[TEMPLATE], tags: &[], coverage: Coverage::Within, on_unfenced: None };
static EDIT_ALL: WriteSite =
    WriteSite { at: AT, keys: &[], tags: &["drafts"], coverage: Coverage::Within, on_unfenced: None };

inventory::submit! { Site::Read(&DRAFT) }
inventory::submit! { Site::Queue(&SAVE) }

fn draft(text: &mut private::Text) {
    text.literal("draft:");
    text.part(&7);
}

fn subject(instance: &Instance) -> Subject {
    instance.cache.namespace().subject(Kind::Entity, draft)
}

async fn find(instance: &Instance) -> Option<u64> {
    find_by(instance, async || ()).await
}

async fn find_by(instance: &Instance, pause: impl AsyncFnOnce()) -> Option<u64> {
    let load = || async {
        let seen = instance.world.row.load(Ordering::SeqCst);
        pause().await;
        Some(seen)
    };
    let tags = |tags: &mut private::Tags| tags.tag(|text| text.literal("drafts"));
    private::read(&instance.cache, &DRAFT, draft, tags, load).await
}

/// What a queue does when it has a write: shows it.
async fn pend(instance: &Instance, position: u128, value: u64) {
    let mut payload = vec![codec::NAMED_MESSAGEPACK];
    payload.extend(codec::encode(&value).unwrap());
    let payload = Bytes::from(payload);
    let key = EntryKey { subject: subject(instance), field: kind::<u64>(TEMPLATE) };
    let write = PendRequest { key: &key, journal: JOURNAL, position: Position(position), payload: &payload };
    instance.cache.pend(&[write]).await.remove(0).unwrap();
}

async fn settle(instance: &Instance, position: u128) {
    let subjects = [subject(instance)];
    instance.cache.settle(&subjects, JOURNAL, Position(position)).await.unwrap();
}

/// What a flush does: the database has it, then the store hears of it.
async fn flush(instance: &Instance, position: u128, value: u64) {
    instance.commit(value);
    settle(instance, position).await;
}

/// Knows how far the journal is applied.
#[derive(Debug, Default)]
struct Table(AtomicU64, AtomicU64);

impl Table {
    const SILENT: u64 = u64::MAX;

    fn says(&self, position: u64) {
        self.0.store(position, Ordering::SeqCst);
    }

    fn asked(&self) -> u64 {
        self.1.load(Ordering::SeqCst)
    }
}

impl Applied for Table {
    fn applied(&self, journal: JournalId) -> BoxFuture<'_, Option<Position>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let said = self.0.load(Ordering::SeqCst);
        let answer = (journal == JOURNAL && said != Self::SILENT).then(|| Position(said.into()));
        Box::pin(std::future::ready(answer))
    }

    fn name(&self) -> &str {
        "table"
    }
}

#[tokio::test]
async fn a_read_after_a_queued_write_sees_it_on_every_instance_before_and_after_its_flush() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    assert_eq!((find(&a).await, find(&b).await), (Some(1), Some(1)));
    pend(&a, 1, 2).await;
    assert_eq!((find(&a).await, find(&b).await, find(&b).await), (Some(2), Some(2), Some(2)));
    pend(&b, 2, 3).await;
    assert_eq!((find(&a).await, find(&b).await), (Some(3), Some(3)));
    let loads = || a.cache.stats().total().loads + b.cache.stats().total().loads;
    assert_eq!(loads(), 1, "what is queued is not in the database, so nobody loads");
    flush(&a, 2, 3).await;
    assert_eq!((find(&b).await, find(&a).await, loads()), (Some(3), Some(3), 2));
}

#[tokio::test]
async fn a_load_from_before_a_queued_write_is_neither_stored_nor_handed_to_who_came_after_it() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let (loading, goes_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let slow = {
        let (a, loading, goes_on) = (a.clone(), loading.clone(), goes_on.clone());
        tokio::spawn(async move {
            find_by(&a, async || {
                loading.notify_one();
                goes_on.notified().await;
            })
            .await
        })
    };
    loading.notified().await;
    pend(&b, 1, 2).await;
    let later = {
        let a = a.clone();
        tokio::spawn(async move { find(&a).await })
    };
    a.missed(2).await;
    goes_on.notify_one();
    assert_eq!(slow.await.unwrap(), Some(1), "it began before the write");
    assert_eq!(promptly(later).await.unwrap(), Some(2));
    assert_eq!((find(&a).await, find(&b).await), (Some(2), Some(2)));
}

#[tokio::test]
async fn what_was_loaded_while_a_queued_write_was_lost_goes_with_its_flush() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    pend(&a, 1, 2).await;
    world.memory.lose_everything();
    let fill = world.store.hold(Command::Fill);
    let slow = {
        let b = b.clone();
        tokio::spawn(async move { find(&b).await })
    };
    fill.reached().await;
    // A flush shows what it is about to write, and settles it afterwards.
    pend(&a, 1, 2).await;
    flush(&a, 1, 2).await;
    fill.release();
    slow.await.unwrap();
    assert_eq!((find(&a).await, find(&b).await), (Some(2), Some(2)));
}

#[tokio::test]
async fn an_old_queued_write_is_believed_only_if_the_database_does_not_have_it() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let table = Arc::new(Table::default());
    b.cache.applied_by(table.clone());
    pend(&a, 3, 2).await;
    assert_eq!((find(&b).await, table.asked()), (Some(2), 0), "a young one is believed");
    world.clock.advance(Duration::from_secs(11));
    for silent in [2, Table::SILENT] {
        table.says(silent);
        world.clock.advance(Duration::from_millis(60));
        assert_eq!(find(&b).await, Some(2), "it is still to come, or nobody knows");
    }
    assert_eq!(table.asked(), 2);
    // The flush died before it could settle, and somebody else has written since.
    b.commit(9);
    table.says(3);
    world.clock.advance(Duration::from_millis(60));
    assert_eq!((find(&b).await, find(&a).await), (Some(9), Some(9)));
    assert_eq!(b.cache.stats().total().fills, 1, "it is gone for everybody");
}

#[tokio::test]
async fn the_database_is_asked_once_in_a_while() {
    let world = World::new();
    let a = world.instance();
    let table = Arc::new(Table::default());
    a.cache.applied_by(table.clone());
    pend(&a, 3, 2).await;
    world.clock.advance(Duration::from_secs(11));
    for _ in 0..10 {
        find(&a).await;
    }
    assert_eq!(table.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_another_type_waits_for_the_flush() {
    let world = World::new();
    let a = world.instance();
    let reads = || {
        let a = a.clone();
        async move {
            let load = || async { a.world.row.load(Ordering::SeqCst).cast_signed() };
            private::read(&a.cache, &OTHER_DRAFT, draft, |_| {}, load).await
        }
    };
    assert_eq!(reads().await, 1);
    pend(&a, 1, 2).await;
    let waiting = tokio::spawn(reads());
    a.missed(2).await;
    tokio::time::advance(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    flush(&a, 1, 2).await;
    assert_eq!(promptly(waiting).await.unwrap(), 2);
    pend(&a, 2, 3).await;
    let waiting = tokio::spawn(reads());
    until_after(&world, || waiting.is_finished()).await;
    assert_eq!(waiting.await.unwrap(), 2, "a flush that does not come is waited for as a load is");
}

/// Lets time pass until a condition is true.
async fn until_after(world: &World, condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        world.clock.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the condition never came true");
}

/// A covered write as an attribute makes it: it names what it changes, lets the queue go first, and changes it.
async fn edit(instance: &Instance, site: &'static WriteSite) -> Recording {
    let recording = instance.cache.recording();
    for _ in site.keys {
        recording.touch(Kind::Entity, draft);
    }
    for tag in site.tags {
        recording.touch(Kind::Tag, |text| text.literal(tag));
    }
    recording.settle(Some(site)).await;
    recording
}

async fn commit(instance: &Instance, recording: &Recording, value: u64) -> Result<(), WriteError> {
    let fenced = instance.cache.fence(recording.finish().unwrap(), Origin::none()).await?;
    instance.commit(value);
    fenced.clear().await
}

#[tokio::test(start_paused = true)]
async fn a_covered_write_comes_after_what_was_queued_before_it() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    pend(&a, 1, 2).await;
    let editing = {
        let b = b.clone();
        tokio::spawn(async move {
            let recording = edit(&b, &EDIT).await;
            commit(&b, &recording, 5).await
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(find(&a).await, Some(2));
    assert!(!editing.is_finished(), "it would be undone by the flush");
    flush(&a, 1, 2).await;
    promptly(editing).await.unwrap().unwrap();
    assert_eq!((find(&a).await, find(&b).await), (Some(5), Some(5)));
}

#[tokio::test(start_paused = true)]
async fn a_covered_write_that_would_be_undone_is_refused() {
    let world = World::new();
    let a = world.instance();
    pend(&a, 1, 2).await;
    // The flush does not come in time.
    let waiting = {
        let a = a.clone();
        tokio::spawn(async move { edit(&a, &EDIT).await })
    };
    until_after(&world, || waiting.is_finished()).await;
    let recording = waiting.await.unwrap();
    let refused = commit(&a, &recording, 5).await.unwrap_err();
    assert_eq!(refused.kind(), WriteErrorKind::Queued, "{refused}");
    // Recorded by hand, nobody has waited.
    let by_hand = a.cache.recording();
    by_hand.touch(Kind::Entity, draft);
    assert_eq!(commit(&a, &by_hand, 5).await.unwrap_err().kind(), WriteErrorKind::Queued);
    // Named once more: what was queued since the first time is in the way of the second.
    flush(&a, 1, 2).await;
    let recording = edit(&a, &EDIT).await;
    pend(&a, 2, 3).await;
    recording.touch(Kind::Entity, draft);
    assert_eq!(commit(&a, &recording, 5).await.unwrap_err().kind(), WriteErrorKind::Queued);
    assert_eq!(find(&a).await, Some(3));
    flush(&a, 2, 3).await;
    assert_eq!(a.world.row.load(Ordering::SeqCst), 3, "none of them was made");
    until(|| world.store.count(Command::Clear) == 3).await;
    find(&a).await;
    assert_eq!(a.cache.stats().total().fills, 1, "no fence is left");
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_while_a_covered_write_runs_comes_after_it() {
    let world = World::new();
    let a = world.instance();
    let recording = edit(&a, &EDIT).await;
    pend(&a, 1, 2).await;
    commit(&a, &recording, 5).await.unwrap();
    assert_eq!(find(&a).await, Some(2));
    flush(&a, 1, 2).await;
    assert_eq!(find(&a).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_flush_is_not_in_its_own_way() {
    let world = World::new();
    let a = world.instance();
    pend(&a, 1, 2).await;
    let recording = a.cache.recording();
    recording.flushes();
    recording.touch(Kind::Entity, draft);
    recording.settle(Some(&EDIT)).await;
    commit(&a, &recording, 2).await.unwrap();
    assert_eq!(find(&a).await, Some(2));
    settle(&a, 1).await;
    assert_eq!(find(&a).await, Some(2));
}

/// A queue that is drained when it is told so.
#[derive(Debug)]
struct Draining(tokio::sync::Semaphore);

impl crate::journal::Drains for Draining {
    fn drained(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.0.acquire().await.unwrap().forget() })
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_to_a_group_comes_after_everything_queued_before_it() {
    let world = World::new();
    let a = world.instance();
    let queue = Arc::new(Draining(tokio::sync::Semaphore::new(0)));
    let drains: Arc<dyn crate::journal::Drains> = queue.clone();
    a.cache.drained_by(Arc::downgrade(&drains));
    let recording = edit(&a, &EDIT_ALL).await;
    assert_eq!(commit(&a, &recording, 5).await.unwrap_err().kind(), WriteErrorKind::Queued);
    let editing = {
        let a = a.clone();
        tokio::spawn(async move {
            let recording = edit(&a, &EDIT_ALL).await;
            commit(&a, &recording, 5).await
        })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!editing.is_finished());
    queue.0.add_permits(1);
    promptly(editing).await.unwrap().unwrap();
    drop((queue, drains));
    let recording = edit(&a, &EDIT_ALL).await;
    commit(&a, &recording, 6).await.unwrap();
}
