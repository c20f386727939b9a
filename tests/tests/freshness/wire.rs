//! What goes over the wire, counted before Redis.

use cache_core::testkit::Command;
use cache_test_support::FaultProxy;

use crate::side::Side;
use crate::world::{Instance, World, until};

/// The commands since the last reset, without those by which a connection asks whose it is.
fn commands(proxy: &FaultProxy) -> Vec<String> {
    proxy.commands().into_iter().filter(|name| name != "INFO" && name != "TIME").collect()
}

async fn watched() -> (FaultProxy, Instance) {
    let world = World::new().await;
    let proxy = FaultProxy::redis(&world.redis).unwrap();
    let instance = world.build(&proxy.url(), |builder| builder).await;
    (proxy, instance)
}

#[tokio::test]
async fn a_hit_is_one_command() {
    let (proxy, a) = watched().await;
    a.name(1).await;
    proxy.reset();
    assert_eq!(a.hit(1).await, (true, Some("old".into())));
    assert_eq!(commands(&proxy), ["HGET"]);
}

#[tokio::test]
async fn a_negative_hit_is_one_command() {
    let (proxy, a) = watched().await;
    a.name(404).await;
    proxy.reset();
    assert_eq!(a.hit(404).await, (true, None));
    assert_eq!(commands(&proxy), ["HGET"]);
}

#[tokio::test]
async fn a_tagged_hit_is_one_more_command_a_tag_and_one_round_trip() {
    let (proxy, a) = watched().await;
    a.users.roster("red").await.unwrap();
    let loads = a.loads();
    proxy.reset();
    // Nothing is answered: what is sent is sent without waiting for an answer.
    proxy.stall();
    let users = a.users.clone();
    let hit = tokio::spawn(async move { users.roster("red").await.unwrap() });
    until("it is sent", async || commands(&proxy).len() >= 3).await;
    assert_eq!(commands(&proxy), ["HGET", "GET", "GET"]);
    assert!(!hit.is_finished());
    proxy.flow();
    assert_eq!(hit.await.unwrap(), ["ada old", "bob Bob"]);
    assert_eq!((commands(&proxy).len(), a.loads()), (3, loads));
}

#[tokio::test]
async fn a_miss_is_a_look_a_lease_and_a_fill() {
    let (proxy, a) = watched().await;
    proxy.reset();
    assert_eq!(a.name(1).await.as_deref(), Some("old"));
    assert_eq!(commands(&proxy), ["HGET", "EVALSHA", "EVALSHA"]);
    let asked = [Command::Get, Command::Lease, Command::Fill, Command::Release].map(|c| a.store.count(c));
    assert_eq!(asked, [1, 1, 1, 0]);
}

#[tokio::test]
async fn a_write_of_one_key_is_a_mark_and_a_clear() {
    let (proxy, a) = watched().await;
    proxy.reset();
    a.notes.write_now("ada", "today", "hello").await.unwrap();
    assert_eq!(commands(&proxy), ["EVALSHA", "EVALSHA"]);
    assert_eq!([Command::Mark, Command::Clear].map(|c| a.store.count(c)), [1, 1]);
}

#[tokio::test]
async fn a_write_of_several_subjects_is_a_mark_and_a_clear_of_each_in_two_round_trips() {
    let (proxy, a) = watched().await;
    proxy.reset();
    // Held, so that only what needs no answer of the clear is sent: user, handle, and two tags.
    let clearing = a.store.hold(Command::Clear);
    let write = a.spawn_rename(1, "new");
    clearing.reached().await;
    assert_eq!(commands(&proxy), ["EVALSHA"; 4]);
    proxy.stall();
    clearing.release();
    until("it is sent", async || commands(&proxy).len() >= 8).await;
    proxy.flow();
    write.await.unwrap();
    assert_eq!(commands(&proxy), ["EVALSHA"; 8]);
    assert_eq!([Command::Mark, Command::Clear].map(|c| a.store.count(c)), [1, 1]);
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_sends_nothing() {
    let (proxy, a) = watched().await;
    proxy.reset();
    let mut tx = cache_sqlx::begin(&a.cache, &a.pool).await.unwrap();
    a.users.rename(&mut tx, 1, "never").await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(commands(&proxy), Vec::<String>::new());
}
