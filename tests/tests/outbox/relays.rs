//! Who delivers, how often, and what becomes of rows whose relay dies.

use std::time::Duration;

use cache_core::testkit::Command;
use cache_sqlx::Relay;
use sqlx::Executor;

use crate::world::{Process, World, until};

#[tokio::test]
async fn what_a_relay_had_claimed_when_it_died_is_delivered_by_another() {
    let world = World::new().await;
    let (a, b) = (world.instance().await, world.instance().await);
    b.settles_on("old").await;
    a.store.down();
    a.users.rename(1, "new").await.unwrap();
    let process = Process::start();
    let there = world.clone();
    process
        .run(async move {
            let dying = there.instance().await;
            let clearing = dying.store.hold(Command::Clear);
            let relay = dying.relay().await;
            clearing.reached().await;
            std::mem::forget(relay);
        })
        .await;
    assert_eq!(world.rows().await, (1, 1), "it is claimed and marked, and still there");
    assert_eq!(b.hit(1).await, (false, "new".into()), "its fence stands");
    drop(process);
    let relay = b.relay().await;
    until("it is delivered", async || world.rows().await == (0, 0)).await;
    // Every read on the way is new, and the dead relay's fence is lifted: its transaction is known to be over.
    b.settles_on("new").await;
    relay.stop().await;
}

#[tokio::test]
async fn two_relays_at_once_deliver_each_row_once() {
    let world = World::new().await;
    let (a, b) = (world.instance().await, world.instance().await);
    sqlx::query(
        "INSERT INTO cache_outbox (namespace, subjects, ticket, unreached)
         SELECT $1, convert_to($1 || ':user:' || n, 'UTF8'), n, true FROM generate_series(1, 500) n",
    )
    .bind(&world.namespace)
    .execute(&world.pool)
    .await
    .unwrap();
    let builder = Relay::builder().batch(7).poll(Duration::from_millis(1));
    let first = builder.start(&a.cache, &a.pool).await.unwrap();
    let second = builder.start(&b.cache, &b.pool).await.unwrap();
    until("all are delivered", async || world.rows().await == (0, 0)).await;
    // A row is gone a moment before it is counted.
    let counts = async || (first.stats().await.unwrap().delivered, second.stats().await.unwrap().delivered);
    until("all are counted", async || counts().await.0 + counts().await.1 >= 500).await;
    let (by_first, by_second) = counts().await;
    assert_eq!(by_first + by_second, 500, "{by_first} and {by_second}");
    assert!(by_first > 0 && by_second > 0, "{by_first} and {by_second}");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_relay_holds_nothing_up_for_a_row_that_another_has() {
    let world = World::new().await;
    let (a, b) = (world.instance().await, world.instance().await);
    b.store.down();
    b.users.rename(1, "new").await.unwrap();
    let clearing = a.store.hold(Command::Clear);
    let slow = a.relay().await;
    clearing.reached().await;
    b.users.rename(2, "Rob").await.unwrap();
    b.store.up();
    let quick = b.relay().await;
    until("the other row is delivered", async || world.rows().await == (1, 1)).await;
    assert_eq!(quick.stats().await.unwrap().delivered, 1);
    clearing.release();
    until("both are delivered", async || world.rows().await == (0, 0)).await;
    slow.stop().await;
    quick.stop().await;
}

#[tokio::test]
async fn rows_of_other_namespaces_are_left_alone() {
    let world = World::new().await;
    let a = world.instance().await;
    world
        .pool
        .execute(
            "INSERT INTO cache_outbox (namespace, subjects, ticket, unreached) VALUES ('other', 'other:user:1', 1, true)",
        )
        .await
        .unwrap();
    a.settles_on("old").await;
    a.store.down();
    a.users.rename(1, "new").await.unwrap();
    a.store.up();
    let relay = a.relay().await;
    a.settles_on("new").await;
    assert_eq!(world.rows().await, (1, 1));
    assert_eq!(relay.stats().await.unwrap().waiting, 0);
    relay.stop().await;
}

#[tokio::test]
async fn a_row_that_redis_rejects_stays_and_those_behind_it_go_on() {
    let world = World::new().await;
    let a = world.instance().await;
    // Somebody else's key of another type where the fence would be.
    let key = format!("{{{}:user:1}}:c", world.namespace);
    let _: String = world.tell(&["SET", &key, "mine"]).await;
    a.store.down();
    for (id, name) in [(1, "new"), (2, "Rob"), (2, "Bert")] {
        a.users.rename_in_any_case(id, name).await.unwrap();
    }
    a.store.up();
    let relay = a.relay().await;
    until("the others are delivered", async || world.rows().await == (1, 1)).await;
    a.never_shows_another_than("new").await;
    let _: u64 = world.tell(&["DEL", &key]).await;
    until("all are delivered", async || world.rows().await == (0, 0)).await;
    a.settles_on("new").await;
    relay.stop().await;
}

#[tokio::test]
async fn a_row_that_somebody_else_wrote_is_no_reason_to_stop() {
    let world = World::new().await;
    let a = world.instance().await;
    for subjects in ["", "nonsense", "\\xff00", "other:user:1"] {
        sqlx::query(
            "INSERT INTO cache_outbox (namespace, subjects, ticket, unreached) VALUES ($1, $2::bytea, 1, true)",
        )
        .bind(&world.namespace)
        .bind(subjects)
        .execute(&world.pool)
        .await
        .unwrap();
    }
    let relay = a.relay().await;
    until("they are gone", async || world.rows().await == (0, 0)).await;
    a.settles_on("old").await;
    relay.stop().await;
}

#[tokio::test]
async fn a_relay_that_cannot_do_its_work_is_not_begun() {
    let world = World::new().await;
    let a = world.instance().await;
    let off = cache_core::Cache::builder(&world.namespace).off().build().unwrap();
    for (builder, cache, says) in [
        (Relay::builder().batch(0), &a.cache, "at least 1"),
        (Relay::builder().poll(Duration::ZERO), &a.cache, "without a pause"),
        (Relay::builder(), &off, "the cache is off"),
    ] {
        let error = builder.start(cache, &a.pool).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
