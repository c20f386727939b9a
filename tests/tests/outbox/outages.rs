//! Redis is away at the mark, and comes back with what it held.

use std::time::Duration;

use cache_core::policy::{OnUnfenced, Outbox};
use cache_core::testkit::{Command, Rule};
use cache_core::{Cache, MemoryStore};
use cache_sqlx::TxError;
use cache_test_support::{FaultProxy, Redis, redis_url};
use sqlx::sqlite::SqlitePoolOptions;

use crate::world::{World, until};

fn cut_off(proxy: &FaultProxy) {
    proxy.refuse();
    proxy.cut();
}

#[tokio::test]
async fn a_writer_that_was_cut_off_never_sees_the_old_value_though_redis_kept_it() {
    let world = World::new().await;
    let proxy = FaultProxy::redis(&world.redis).unwrap();
    let (a, b) = (world.build(&proxy.url(), |builder| builder).await, world.instance().await);
    a.settles_on("old").await;
    b.settles_on("old").await;
    cut_off(&proxy);
    a.users.rename(1, "new").await.unwrap();
    assert_eq!((world.name(1).await.as_str(), world.rows().await), ("new", (1, 1)));
    a.never_shows_another_than("new").await;
    proxy.accept().unwrap();
    a.never_shows_another_than("new").await;
    assert_eq!(b.hit(1).await, (true, "old".into()), "until a relay has reached Redis");
    let relay = a.relay().await;
    until("it is delivered", async || world.rows().await == (0, 0)).await;
    b.settles_on("new").await;
    a.settles_on("new").await;
    let stats = relay.stats().await.unwrap();
    assert_eq!((stats.delivered, stats.waiting, stats.oldest), (1, 0, None));
    relay.stop().await;
}

#[tokio::test]
async fn control_a_writer_that_trusts_redis_at_once_sees_the_old_value_after_its_own_write() {
    let world = World::new().await;
    let proxy = FaultProxy::redis(&world.redis).unwrap();
    let a = world.build(&proxy.url(), |builder| builder.without(Rule::TrustAfterOutbox)).await;
    a.settles_on("old").await;
    cut_off(&proxy);
    a.users.rename(1, "new").await.unwrap();
    assert_eq!(a.name(1).await, "new", "while it is cut off");
    proxy.accept().unwrap();
    until("it sees the old value", async || a.name(1).await == "old").await;
}

#[tokio::test]
async fn a_redis_that_stands_still_at_the_mark_and_goes_on_hides_nothing_from_the_writer() {
    let redis = Redis::start().unwrap();
    let world = World::over(redis.url()).await;
    let soon = Duration::from_millis(100);
    let a = world.build(&world.redis, |builder| builder.read_deadline(soon).mark_deadline(soon)).await;
    a.settles_on("old").await;
    redis.pause();
    a.users.rename(1, "new").await.unwrap();
    a.never_shows_another_than("new").await;
    redis.resume();
    a.never_shows_another_than("new").await;
    let relay = a.relay().await;
    until("it is delivered", async || world.rows().await == (0, 0)).await;
    a.settles_on("new").await;
    relay.stop().await;
}

#[tokio::test]
async fn an_instance_that_starts_or_reconnects_asks_the_outbox_first() {
    let world = World::new().await;
    let (to_a, to_b) = (FaultProxy::redis(&world.redis).unwrap(), FaultProxy::redis(&world.redis).unwrap());
    let a = world.build(&to_a.url(), |builder| builder).await;
    let b = world.build(&to_b.url(), |builder| builder).await;
    a.settles_on("old").await;
    b.settles_on("old").await;
    cut_off(&to_a);
    // It is cut off too, and reads nothing meanwhile.
    cut_off(&to_b);
    a.users.rename(1, "new").await.unwrap();
    to_b.accept().unwrap();
    b.never_shows_another_than("new").await;
    let new = world.instance().await;
    new.never_shows_another_than("new").await;
    let relay = new.relay().await;
    b.settles_on("new").await;
    new.settles_on("new").await;
    relay.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_at_the_mark_leaves_a_row_and_a_fence_that_heals() {
    let world = World::new().await;
    let (a, b) = (world.instance().await, world.instance().await);
    a.settles_on("old").await;
    b.settles_on("old").await;
    a.store.lose_reply(Command::Mark);
    a.users.rename(1, "new").await.unwrap();
    assert_eq!(world.rows().await, (1, 1));
    b.settles_on("new").await;
    a.never_shows_another_than("new").await;
    let relay = b.relay().await;
    a.settles_on("new").await;
    relay.stop().await;
}

#[tokio::test]
async fn the_strictest_of_a_transaction_decides_and_an_attribute_is_above_its_cache() {
    let world = World::new().await;
    let a = world.instance().await;
    let b = world.build(&world.redis, |b| b.on_unfenced(OnUnfenced::Reject).outbox(Outbox::Unfenced)).await;
    for instance in [&a, &b] {
        instance.store.down();
    }
    let refused = a.users.rename_strictly(1, "never").await.unwrap_err();
    assert!(matches!(TxError::of(&refused), Some(TxError::Unfenced(_))), "{refused:?}");
    let refused = b.users.rename(1, "never").await.unwrap_err();
    assert!(matches!(TxError::of(&refused), Some(TxError::Unfenced(_))), "{refused:?}");
    b.users.rename_in_any_case(1, "two").await.unwrap();
    assert_eq!((world.name(1).await.as_str(), world.rows().await), ("two", (1, 1)));
    let mut tx = cache_sqlx::begin(&b.cache, &b.pool).await.unwrap();
    b.users.rename_within(&mut tx, 1, "never").await.unwrap();
    cache_core::WriteScope::recording(&mut tx)
        .touch(cache_core::subject::Kind::Tag, |text| text.literal("users"));
    let refused = tx.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&refused), Some(TxError::Unfenced(_))), "{refused:?}");
    b.users.print_badge(1, "three").await.unwrap();
    b.users.print_badge_alone(1, "four").await.unwrap();
    assert_eq!((world.name(1).await.as_str(), world.rows().await), ("four", (1, 1)));
    assert_eq!(b.users.badge(1).await.unwrap().as_deref(), Some("four"));
    assert_eq!(b.cache.stats().writes().proceeded, 2);
}

#[tokio::test]
async fn without_its_table_a_write_is_rolled_back_and_says_what_to_call() {
    let world = World::without_tables(redis_url().unwrap()).await;
    for outbox in [Outbox::Unfenced, Outbox::Always] {
        let a = world.build(&world.redis, |builder| builder.outbox(outbox)).await;
        a.store.down();
        let error = a.users.rename(1, "never").await.unwrap_err();
        assert!(matches!(TxError::of(&error), Some(TxError::Unleft(_))), "{error:?}");
        assert_eq!(TxError::of(&error).unwrap().was_made(), Some(false));
        assert!(error.to_string().contains("cache_sqlx::migrate"), "{error}");
        assert_eq!(world.name(1).await, "old");
        let error = cache_sqlx::Relay::builder().start(&a.cache, &a.pool).await.unwrap_err();
        assert!(error.to_string().contains("cache_sqlx::migrate"), "{error}");
    }
}

#[tokio::test]
async fn a_cache_without_an_outbox_refuses_at_once_a_write_that_wants_one() {
    let world = World::new().await;
    let store = MemoryStore::default();
    let cache = Cache::builder(&world.namespace).store(store).build().unwrap();
    let users = crate::world::Users { cache, pool: world.pool.clone() };
    let error = users.rename_in_any_case(1, "never").await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unleft(_))), "{error:?}");
    assert!(error.to_string().contains(".outbox(Outbox::Unfenced)"), "{error}");
    assert_eq!(world.name(1).await, "old");
}

#[tokio::test]
async fn a_database_without_an_outbox_refuses_at_once() {
    let pool = SqlitePoolOptions::new().connect("sqlite::memory:").await.unwrap();
    let store = MemoryStore::default();
    let cache = Cache::builder("sqlite").store(store).on_unfenced(OnUnfenced::Outbox).build().unwrap();
    let mut tx = cache_sqlx::begin(&cache, &pool).await.unwrap();
    cache_core::WriteScope::recording(&mut tx)
        .touch(cache_core::subject::Kind::Entity, |text| text.literal("user:1"));
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Unleft(_))), "{error:?}");
    assert!(error.to_string().contains("do not have"), "{error}");
}
