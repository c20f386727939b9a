//! Readers and entries that look alike: what belongs to another must not be taken.

use tokio::sync::Notify;

use super::*;
use crate::engine::put;
use crate::store::{FillRequest, LeaseRequest, Leased, Store};
use crate::subject::{EntryKey, Token};

/// Two functions of one shape, `t:<>` in both: one depends on the group of its first argument, one on that of its second.
static BY_FIRST: ReadSite =
    ReadSite { tags: &["group:<a>"], ..ReadSite::new(AT, "pair:<a>:<b>", "u64", Overrides::ttl(HOUR)) };

static BY_SECOND: ReadSite = ReadSite { tags: &["group:<b>"], ..BY_FIRST };

async fn pair(instance: &Instance, site: &'static ReadSite, group: u64, pause: impl AsyncFnOnce()) -> u64 {
    let key = |text: &mut private::Text| text.literal("pair:1:2");
    let tags = |tags: &mut private::Tags| {
        tags.tag(|text| {
            text.literal("group:");
            text.part(&group);
        });
    };
    let load = || async {
        let seen = instance.world.row.load(Ordering::SeqCst);
        pause().await;
        seen
    };
    private::read(&instance.cache, site, key, tags, load).await
}

async fn write_group(instance: &Instance, group: u64, value: u64) {
    let recording = instance.cache.recording();
    recording.touch(Kind::Tag, |text| {
        text.literal("group:");
        text.part(&group);
    });
    let fenced = instance.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
    instance.commit(value);
    fenced.clear().await.unwrap();
}

#[tokio::test]
async fn a_load_under_other_tags_is_not_joined_after_a_write_to_ones_own() {
    let a = World::new().instance();
    let (loaded, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let first = tokio::spawn({
        let (a, loaded, go) = (a.clone(), loaded.clone(), go.clone());
        let pause = async move || {
            loaded.notify_one();
            go.notified().await;
        };
        async move { pair(&a, &BY_FIRST, 1, pause).await }
    });
    loaded.notified().await;
    // Nothing that the first reader depends on.
    write_group(&a, 2, 2).await;
    let second = tokio::spawn({
        let a = a.clone();
        async move { pair(&a, &BY_SECOND, 2, async || ()).await }
    });
    a.missed(2).await;
    go.notify_one();
    assert_eq!((promptly(first).await.unwrap(), promptly(second).await.unwrap()), (1, 2));
}

/// A reply that went astray in a client or a proxy, or a key that somebody copied, brings a whole and current entry, of
/// another row.
#[tokio::test]
async fn an_entry_of_another_row_is_no_entry() {
    let world = World::new();
    let a = world.instance();
    let entry = |id: u64| {
        let subject = a.cache.namespace().subject(Kind::Entity, |text| {
            text.literal("row:");
            text.part(&id);
        });
        EntryKey { subject, field: put::field::<u64>(put::seed(&ROW)) }
    };
    assert_eq!(a.find().await, Some(1));
    let seven = world.memory.get(&entry(7), &[]).await.unwrap().blob.unwrap();
    let (key, token) = (entry(8), Token(1));
    let lease = LeaseRequest {
        key: &key,
        tags: &[],
        token,
        duration: HOUR,
        force: true,
        over: None,
        finished: &[],
        seed: 0,
        tag_ttl: HOUR,
        shares: false,
    };
    assert!(matches!(world.memory.lease(lease).await.unwrap(), Leased::Granted { .. }));
    let fill = FillRequest { key: &key, tags: &[], token, blob: &seven, ttl: HOUR, aside: Duration::ZERO };
    assert!(world.memory.fill(fill).await.unwrap().stored);
    let text = |text: &mut private::Text| text.literal("row:8");
    let eight = private::read(&a.cache, &ROW, text, |_| {}, || async { Some(8_u64) }).await;
    assert_eq!(eight, Some(8));
}
