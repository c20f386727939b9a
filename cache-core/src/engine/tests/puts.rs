//! Values that a write offers: each reason not to install one.

use bytes::Bytes;

use super::*;
use crate::engine::put::{field, seed};
use crate::store::Store;
use crate::subject::EntryKey;

fn entry(instance: &Instance) -> EntryKey {
    let subject = instance.cache.namespace().subject(Kind::Entity, key);
    EntryKey { subject, field: field::<String>(seed(&ROW)) }
}

/// What a body recorded that wrote the row and returned it.
fn offered(instance: &Instance, value: &str) -> Writes {
    let recording = instance.cache.recording().for_body();
    recording.touch(Kind::Entity, key);
    recording.used();
    let payload = Bytes::from(crate::codec::encode(&value.to_owned()).unwrap());
    recording.put(entry(instance), payload, crate::codec::NAMED_MESSAGEPACK, &ROW);
    recording.finish().unwrap()
}

/// Whether an entry of the row is in the store, whoever would be served by it.
async fn is_stored(world: &World, instance: &Instance) -> bool {
    world.memory.get(&entry(instance), &[]).await.unwrap().blob.is_some()
}

#[tokio::test]
async fn a_written_value_over_the_size_limit_is_not_installed() {
    // A text of so many bytes takes two more.
    for (length, is_installed) in [(98, true), (99, false)] {
        let world = World::new();
        let a = world.with(world.builder().size_limit(100));
        let fenced = a.cache.fence(offered(&a, &"x".repeat(length)), Origin::none()).await.unwrap();
        fenced.clear().await.unwrap();
        assert_eq!(is_stored(&world, &a).await, is_installed, "{length} bytes");
    }
}

#[tokio::test]
async fn a_written_value_is_not_installed_in_another_epoch_than_its_mark_s() {
    for changes in [false, true] {
        let world = World::new();
        let a = world.instance();
        let fenced = a.cache.fence(offered(&a, "new"), Origin::none()).await.unwrap();
        if changes {
            // The fence stands on, and the writer was alone.
            a.cache.clear().await.unwrap();
        }
        fenced.clear().await.unwrap();
        assert_eq!(is_stored(&world, &a).await, !changes);
    }
}

#[tokio::test]
async fn the_value_of_a_row_that_a_tag_stands_for_is_not_installed() {
    for (limit, is_installed) in [(1, true), (0, false)] {
        let world = World::new();
        let a = world.instance();
        let recording = a.cache.recording().with_bulk_limit(limit).for_body();
        let tag = recording.bulk(|text| text.literal("rows"));
        recording.touch_row(&tag, key);
        recording.used();
        let payload = Bytes::from(crate::codec::encode(&"new".to_owned()).unwrap());
        recording.put(entry(&a), payload, crate::codec::NAMED_MESSAGEPACK, &ROW);
        let fenced = a.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
        fenced.clear().await.unwrap();
        assert_eq!(is_stored(&world, &a).await, is_installed, "limit {limit}");
    }
}
