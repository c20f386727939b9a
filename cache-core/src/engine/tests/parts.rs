//! Writes of many subjects, which go to the store in parts.

use bytes::Bytes;

use super::*;
use crate::engine::put::{field, seed};
use crate::error::WriteErrorKind;
use crate::store::Store;
use crate::subject::{EntryKey, Subject};
use crate::testkit::Command;

/// Three parts: two full ones and half of one.
const MANY: u64 = 2_500;

fn numbered(id: u64) -> impl FnOnce(&mut private::Text) {
    move |text| {
        text.literal("row:");
        text.part(&id);
    }
}

fn many(instance: &Instance) -> Writes {
    let recording = instance.cache.recording();
    for id in 0..MANY {
        recording.touch(Kind::Entity, numbered(id));
    }
    recording.finish().unwrap()
}

async fn find(instance: &Instance, id: u64) -> u64 {
    let load = || async { instance.world.row.load(Ordering::SeqCst) };
    private::read(&instance.cache, &ROW, numbered(id), |_| {}, load).await
}

/// One row of each part.
const ROWS: [u64; 3] = [0, 1_500, MANY - 1];

async fn rows(instance: &Instance) -> [u64; 3] {
    [find(instance, ROWS[0]).await, find(instance, ROWS[1]).await, find(instance, ROWS[2]).await]
}

#[tokio::test]
async fn a_write_of_many_is_seen_in_all_of_its_parts() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    assert_eq!(rows(&b).await, [1; 3]);
    let fenced = a.cache.fence(many(&a), Origin::none()).await.unwrap();
    a.commit(2);
    assert_eq!((rows(&b).await, b.cache.stats().total().fills), ([2; 3], 3), "all are fenced");
    fenced.clear().await.unwrap();
    assert_eq!((world.store.count(Command::Mark), world.store.count(Command::Clear)), (3, 3));
    assert_eq!((rows(&b).await, b.cache.stats().total().fills), ([2; 3], 6), "no fence is left");
}

/// Lets each part be answered after 600 ms.
async fn slowly(world: &World, command: Command) {
    for _ in 0..3 {
        let held = world.store.hold(command);
        held.reached().await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        held.release();
    }
}

#[tokio::test(start_paused = true)]
async fn each_part_has_a_deadline_of_its_own() {
    let world = World::new();
    // Shorter than all parts together take.
    let a = world
        .with(world.builder().mark_deadline(Duration::from_secs(1)).clear_wait(Duration::from_millis(1_500)));
    let fence =
        async { tokio::join!(slowly(&world, Command::Mark), a.cache.fence(many(&a), Origin::none())).1 };
    let fenced = promptly(fence).await.unwrap();
    let clear = async { tokio::join!(slowly(&world, Command::Clear), fenced.clear()).1 };
    promptly(clear).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_second_part_cannot_be_fenced_is_refused_and_leaves_no_fence() {
    for is_sent in [false, true] {
        let world = World::new();
        let a = world.instance();
        let first = world.store.hold_reply(Command::Mark);
        let fence = a.cache.fence(many(&a), Origin::none());
        let breaks = async {
            first.reached().await;
            if is_sent {
                world.store.lose_reply(Command::Mark)
            } else {
                world.store.down()
            }
            // The first part is answered all the same, unless it is the one whose answer is lost.
            first.release();
        };
        let (refused, ()) = tokio::join!(fence, breaks);
        assert_eq!(refused.unwrap_err().kind(), WriteErrorKind::Unfenced);
        world.store.up();
        let filled = async {
            while a.cache.stats().total().fills < 3 {
                rows(&a).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        promptly(filled).await;
    }
}

#[tokio::test]
async fn a_fence_that_is_lost_between_the_parts_of_its_clear_is_set_again_in_all_of_them() {
    let world = World::new();
    let a = world.instance();
    let fenced = a.cache.fence(many(&a), Origin::none()).await.unwrap();
    a.commit(2);
    let first = world.store.hold_reply(Command::Clear);
    let (cleared, ()) = tokio::join!(fenced.clear(), async {
        first.reached().await;
        world.memory.lose_everything();
        first.release();
    });
    cleared.unwrap();
    assert_eq!((world.store.count(Command::Mark), world.store.count(Command::Clear)), (6, 6));
    assert_eq!((rows(&a).await, a.cache.stats().total().fills), ([2; 3], 3));
}

#[tokio::test]
async fn values_go_with_the_part_of_their_row() {
    let world = World::new();
    let a = world.instance();
    let recording = a.cache.recording().for_body();
    recording.used();
    let entry = |subject: Subject| EntryKey { subject, field: field::<u64>(seed(&ROW)) };
    for id in 0..MANY {
        let subject = recording.touch(Kind::Entity, numbered(id));
        let payload = Bytes::from(crate::codec::encode(&id).unwrap());
        recording.put(entry(subject), payload, crate::codec::NAMED_MESSAGEPACK, &ROW);
    }
    let fenced = a.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
    fenced.clear().await.unwrap();
    assert_eq!((rows(&a).await, a.cache.stats().total().loads), (ROWS, 0));
    let subject = a.cache.namespace().subject(Kind::Entity, numbered(7));
    assert!(world.memory.get(&entry(subject), &[]).await.unwrap().blob.is_some());
}
