//! The memory of one request: what it may answer, and what it must not.

use super::*;
use crate::memo;
use crate::testkit::Rule;

static OUTER: ReadSite = ReadSite::new(AT, "outer", "u64", Overrides::ttl(HOUR));

fn outer_key(text: &mut private::Text) {
    text.literal("outer");
}

impl Instance {
    /// A cached function that is made of another one's value.
    async fn outer(&self) -> Option<u64> {
        private::read(&self.cache, &OUTER, outer_key, |_| {}, async || self.find().await).await
    }

    /// A write that names both.
    async fn write_both(&self, value: u64) {
        let recording = self.cache.recording();
        recording.touch(Kind::Entity, key);
        recording.touch(Kind::Entity, outer_key);
        let fenced = self.cache.fence(recording.finish().unwrap(), Origin::none()).await.unwrap();
        self.commit(value);
        fenced.clear().await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_is_made_again_is_answered_from_memory_and_once_outside_is_not() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    memo(async {
        assert_eq!((a.find().await, a.find().await), (Some(1), Some(1)));
        b.clone().spawn_write(2).await.unwrap();
        assert_eq!(a.find().await, Some(1), "older than a write of somebody else: the price");
        assert_eq!(memo(a.find()).await, Some(1), "a memo in a memo is the same one");
        let a = a.clone();
        assert_eq!(
            tokio::spawn(async move { a.find().await }).await.unwrap(),
            Some(2),
            "not what is spawned"
        );
    })
    .await;
    assert_eq!(a.find().await, Some(2));
    let stats = a.cache.stats().total();
    assert_eq!((stats.memoized, stats.misses), (3, 2));
}

impl Instance {
    /// A write of another request.
    fn spawn_write(self, value: u64) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move { self.write(value).await.unwrap() })
    }
}

/// What a request reads that has read a row, writes it, and reads it again; and the list that carries its tag.
async fn read_after_the_request_s_own_write(instance: impl Fn(&World) -> Instance) -> (Option<u64>, u64) {
    let world = World::new();
    let a = instance(&world);
    memo(async {
        assert_eq!((a.find().await, a.list().await), (Some(1), 1));
        a.write(2).await.unwrap();
        (a.find().await, a.list().await)
    })
    .await
}

#[tokio::test]
async fn a_request_reads_its_own_writes() {
    assert_eq!(read_after_the_request_s_own_write(World::instance).await, (Some(2), 2));
}

#[tokio::test]
async fn control_a_memory_that_keeps_what_was_written_is_stale() {
    let naive = |world: &World| world.with(world.builder().without(Rule::MemoForgetsWrites));
    assert_eq!(read_after_the_request_s_own_write(naive).await, (Some(1), 1));
}

#[tokio::test]
async fn what_was_written_is_not_remembered_again_before_the_commit() {
    let world = World::new();
    let a = world.instance();
    let after = memo(async {
        // An open transaction: its subjects are known, its change is not visible yet.
        let writes = a.touched();
        assert_eq!(a.find().await, Some(1));
        let this = a.clone();
        let commit = async move {
            let fenced = this.cache.fence(writes, Origin::none()).await.unwrap();
            this.commit(2);
            fenced.clear().await.unwrap();
        };
        // As transactions do, in a task of its own.
        tokio::spawn(commit).await.unwrap();
        a.find().await
    });
    assert_eq!(after.await, Some(2));
}

#[tokio::test]
async fn a_transaction_that_was_recorded_before_the_memo_began_is_forgotten_at_its_commit() {
    let world = World::new();
    let a = world.instance();
    let recording = a.cache.recording();
    recording.touch(Kind::Entity, key);
    let after = memo(async {
        assert_eq!(a.find().await, Some(1));
        recording.commits();
        let (this, writes) = (a.clone(), recording.finish().unwrap());
        let commit = async move {
            let fenced = this.cache.fence(writes, Origin::none()).await.unwrap();
            this.commit(2);
            fenced.clear().await.unwrap();
        };
        tokio::spawn(commit).await.unwrap();
        a.find().await
    });
    assert_eq!(after.await, Some(2));
}

#[tokio::test]
async fn a_read_that_overlaps_the_request_s_own_write_is_not_remembered() {
    let world = World::new();
    let a = world.instance();
    let after = memo(async {
        let write = async || a.write(2).await.unwrap();
        assert_eq!(a.find_by(write).await, Some(1), "it saw the row before the write");
        a.find().await
    });
    assert_eq!(after.await, Some(2));
}

/// A request has read a row; another one writes it; the first then loads a value that is made of the row. What others read
/// afterwards.
async fn outer_value_after_the_write(instance: impl Fn(&World) -> Instance) -> Option<u64> {
    let world = World::new();
    let (a, b) = (instance(&world), world.instance());
    memo(async {
        assert_eq!(a.find().await, Some(1));
        tokio::spawn(async move { b.write_both(2).await }).await.unwrap();
        a.outer().await
    })
    .await;
    world.instance().outer().await
}

#[tokio::test]
async fn a_loader_is_not_answered_by_its_caller_s_memo() {
    assert_eq!(outer_value_after_the_write(World::instance).await, Some(2));
}

#[tokio::test]
async fn control_a_loader_that_is_answered_by_a_memo_stores_the_old_value_for_all() {
    let naive = |world: &World| world.with(world.builder().without(Rule::LoadersNeverLaunder));
    assert_eq!(outer_value_after_the_write(naive).await, Some(1));
}

#[tokio::test]
async fn two_caches_and_two_types_share_no_memory() {
    let (a, b) = (World::new().instance(), World::new().instance());
    b.commit(5);
    memo(async {
        assert_eq!((a.find().await, b.find().await), (Some(1), Some(5)));
        let text: String = private::read(&a.cache, &ROW, key, |_| {}, async || "text".into()).await;
        assert_eq!((text.as_str(), a.find().await), ("text", Some(1)));
    })
    .await;
}

#[tokio::test]
async fn errors_are_not_remembered_and_a_negative_answer_is() {
    let a = World::new().instance();
    let read = |result: Result<Option<u64>, &'static str>| {
        private::read(&a.cache, &ROW, key, |_| {}, move || async move { result })
    };
    memo(async {
        assert_eq!(read(Err("down")).await, Err("down"));
        assert_eq!(read(Ok(None)).await, Ok(None));
        assert_eq!(read(Ok(Some(1))).await, Ok(None));
        assert_eq!(crate::refresh(read(Ok(Some(2)))).await, Ok(Some(2)), "a refresh loads");
        assert_eq!(read(Ok(Some(3))).await, Ok(Some(2)), "and is remembered");
    })
    .await;
    assert_eq!(a.cache.stats().total().memoized, 2);
}
