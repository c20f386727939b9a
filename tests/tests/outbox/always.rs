//! Every write leaves a row: for a fence that is lost together with its writer.

use std::time::Duration;

use cache_core::policy::Outbox;
use cache_core::testkit::Command;
use cache_sqlx::Relay;
use cache_test_support::Redis;

use crate::world::{Instance, Process, World, until};

/// How a fence is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// With everything else. The namespace's generation goes as well, and once that is noticed no entry from before counts.
    Flushed,
    /// By itself, as `allkeys-*` does.
    Evicted,
}

/// The fence is lost, an old value is filled in its place, and the writer dies after its commit.
async fn loses_fence_and_writer(world: &World, outbox: Outbox, loss: Loss) -> Instance {
    let b = world.instance().await;
    b.settles_on("old").await;
    let process = Process::start();
    let there = world.clone();
    let reader = b.clone();
    process
        .run(async move {
            let a = there.build(&there.redis, |builder| builder.outbox(outbox)).await;
            let marked = a.store.hold_reply(Command::Mark);
            let clearing = a.store.hold(Command::Clear);
            let write = tokio::spawn(async move { a.users.rename(1, "new").await });
            marked.reached().await;
            match loss {
                Loss::Flushed => assert_eq!(there.tell::<String>(&["FLUSHALL"]).await, "OK"),
                Loss::Evicted => {
                    let fence = format!("{{{}:user:1}}:c", there.namespace);
                    assert_eq!(there.tell::<u64>(&["DEL", &fence]).await, 1);
                }
            }
            reader.settles_on("old").await;
            marked.release();
            clearing.reached().await;
            drop(write);
        })
        .await;
    drop(process);
    assert_eq!((world.name(1).await.as_str(), b.hit(1).await), ("new", (true, "old".into())));
    b
}

async fn relayed(b: &Instance) -> Relay {
    let builder = Relay::builder().poll(Duration::from_millis(20)).leave_to_writer(Duration::from_millis(1));
    builder.start(&b.cache, &b.pool).await.unwrap()
}

#[tokio::test]
async fn a_lost_fence_and_a_dead_writer_leave_nothing_stale() {
    for loss in [Loss::Flushed, Loss::Evicted] {
        let redis = Redis::start().unwrap();
        let world = World::over(redis.url()).await;
        let b = loses_fence_and_writer(&world, Outbox::Always, loss).await;
        assert_eq!(world.rows().await, (1, 0));
        let relay = relayed(&b).await;
        until("the new value is seen", async || b.name(1).await == "new").await;
        b.settles_on("new").await;
        until("the row is gone", async || world.rows().await == (0, 0)).await;
        relay.stop().await;
    }
}

#[tokio::test]
async fn control_without_a_row_they_leave_the_old_value() {
    let world = World::new().await;
    let b = loses_fence_and_writer(&world, Outbox::Unfenced, Loss::Evicted).await;
    assert_eq!(world.rows().await, (0, 0));
    let relay = relayed(&b).await;
    b.never_shows_another_than("old").await;
    relay.stop().await;
}

#[tokio::test]
async fn a_writer_deletes_its_rows_by_itself_and_they_keep_nobody_from_redis() {
    let world = World::new().await;
    let a = world.build(&world.redis, |builder| builder.outbox(Outbox::Always)).await;
    let relay = a.relay().await;
    let clearing = a.store.hold(Command::Clear);
    let write = tokio::spawn({
        let a = a.clone();
        async move { a.users.rename(2, "Rob").await }
    });
    clearing.reached().await;
    assert_eq!(world.rows().await, (1, 0));
    a.settles_on("old").await;
    clearing.release();
    write.await.unwrap().unwrap();
    until("the row is gone", async || world.rows().await == (0, 0)).await;
    assert_eq!(relay.stats().await.unwrap().delivered, 0, "it is young, and its writer lives");
    for at in 0..100 {
        a.users.rename(1, &format!("name {at}")).await.unwrap();
    }
    a.settles_on("name 99").await;
    until("the rows are gone", async || world.rows().await == (0, 0)).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_write_that_cannot_be_fenced_turns_its_row_into_one_that_says_so() {
    let world = World::new().await;
    let a = world.build(&world.redis, |builder| builder.outbox(Outbox::Always)).await;
    a.store.down();
    a.users.rename(1, "new").await.unwrap();
    assert_eq!(world.rows().await, (1, 1));
    a.users.rename_strictly(1, "never").await.unwrap_err();
    assert_eq!(world.rows().await, (1, 1), "what is rolled back leaves nothing");
    a.store.up();
    a.never_shows_another_than("new").await;
    let relay = a.relay().await;
    a.settles_on("new").await;
    relay.stop().await;
}
