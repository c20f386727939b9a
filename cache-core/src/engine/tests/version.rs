//! Versions of what a tag stands for.

use super::*;
use crate::testkit::Command;

async fn write(instance: &Instance, tag: &str) -> Fenced {
    let recording = instance.cache.recording();
    recording.touch(Kind::Tag, |text| text.literal(tag));
    instance.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap()
}

#[tokio::test]
async fn every_write_makes_another_version_on_every_instance() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let mut told = Vec::new();
    for _ in 0..5 {
        let version = a.cache.version("catalog:7").await;
        assert_eq!(b.cache.version("catalog:7").await, version);
        assert!(!told.contains(&version), "an older one came back");
        told.push(version);
        write(&b, "catalog:7").await.clear().await.unwrap();
    }
    assert_eq!(a.cache.version("catalog:8").await, b.cache.version("catalog:8").await, "no write to it");
    assert_eq!(told[0].to_string().len(), 16);
}

/// Between COMMIT and clear a copy from before is old already, and nothing tells it by the generation.
#[tokio::test]
async fn while_a_write_is_in_flight_no_version_is_told_twice() {
    let world = World::new();
    let a = world.instance();
    let before = a.cache.version("catalog").await;
    let fenced = write(&a, "catalog").await;
    let during = [a.cache.version("catalog").await, a.cache.version("catalog").await];
    fenced.clear().await.unwrap();
    let after = a.cache.version("catalog").await;
    assert!(during[0] != during[1] && !during.contains(&before) && !during.contains(&after));
}

#[tokio::test]
async fn without_a_store_no_version_is_told_twice() {
    let world = World::new();
    let a = world.instance();
    let off = world.with(world.builder().off()).cache;
    assert_ne!(off.version("catalog").await, off.version("catalog").await);
    world.store.down();
    assert_ne!(a.cache.version("catalog").await, a.cache.version("catalog").await);
}

#[tokio::test]
async fn a_version_leaves_no_lease_behind() {
    let world = World::new();
    world.instance().cache.version("catalog").await;
    assert_eq!((world.store.count(Command::Lease), world.store.count(Command::Release)), (1, 1));
}
