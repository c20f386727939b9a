//! Servers that are absent, go away, fall silent and come back.

use cache_core::backend::redis::RedisStore;
use cache_core::error::StoreErrorKind;
use cache_core::store::Store;
use cache_core::testkit::conformance::Trial;
use cache_test_support::{FaultProxy, Redis};

use super::log::Log;
use super::{BOUND, comes_true, fails_with, look, some_entry, store};

#[tokio::test]
async fn a_server_that_is_absent_at_start_is_no_error_and_is_found_later() {
    let redis = Redis::start().unwrap();
    let log = Log::of(redis.address());
    redis.stop();
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    for _ in 0..3 {
        let error = look(&store).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(error.to_string().contains("refused"), "{error}");
    }
    assert!(comes_true(async || log.count("the store is still unavailable") > 2).await);
    redis.restart().unwrap();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    assert!(log.tells_each_outage_once());
}

#[tokio::test]
async fn an_address_that_never_answers_is_no_error_either() {
    let redis = Redis::start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    proxy.stall();
    let store = RedisStore::connect(&proxy.url()).await.unwrap();
    assert!(fails_with(&store, StoreErrorKind::Unavailable).await);
    proxy.flow();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
}

#[tokio::test]
async fn a_cut_connection_is_replaced_and_each_outage_is_told_once() {
    let redis = Redis::start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let log = Log::of(proxy.address());
    let store = store(&proxy.url()).await;
    let epoch = look(&store).await.unwrap().epoch;
    for outage in 1..=3 {
        proxy.refuse();
        proxy.cut();
        assert!(comes_true(async || fails_with(&store, StoreErrorKind::Unavailable).await).await);
        let before = log.count("the store is still unavailable");
        assert!(comes_true(async || log.count("the store is still unavailable") > before + 1).await);
        proxy.accept().unwrap();
        assert!(comes_true(async || look(&store).await.is_ok()).await);
        assert!(log.count("the store is available again") >= outage);
    }
    assert!(log.tells_each_outage_once());
    assert_eq!(look(&store).await.unwrap().epoch, epoch, "the same dataset is the same epoch");
}

#[tokio::test]
async fn a_killed_server_is_found_again_with_its_scripts() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    trial.filled(&trial.entry("user:1"), "Ann").await;
    redis.kill();
    assert!(comes_true(async || fails_with(&store, StoreErrorKind::Unavailable).await).await);
    redis.restart().unwrap();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    trial.filled(&trial.entry("user:1"), "Ann").await;
}

/// The network swallows everything: no error ever comes, so only the supervisor's own question can notice.
#[tokio::test]
async fn commands_on_a_silent_connection_fail_and_it_is_replaced() {
    let redis = Redis::start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let store = store(&proxy.url()).await;
    proxy.stall();
    assert!(fails_with(&store, StoreErrorKind::Disconnected).await);
    assert!(fails_with(&store, StoreErrorKind::Unavailable).await, "nothing is sent into the void");
    proxy.flow();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    assert!(proxy.traffic().connections >= 2, "it was replaced");
}

/// Answers that get lost: the command may have been carried out, and says so.
#[tokio::test]
async fn a_lost_answer_is_an_error_that_leaves_both_possible() {
    let redis = Redis::start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let (far, near) = (store(&proxy.url()).await, store(&redis.url()).await);
    let (trial, witness) = (Trial::new(&far), Trial::new(&near));
    let user = trial.entry("user:1");
    let request = trial.request(&user, &[]);
    proxy.drop_replies();
    let leased = tokio::time::timeout(BOUND, far.lease(request)).await.expect("no command hangs");
    assert_eq!(leased.unwrap_err().kind(), StoreErrorKind::Disconnected);
    proxy.pass_replies();
    witness.release(&user, request.token).await;
    witness.granted(&user).await;
}

#[tokio::test]
async fn a_paused_server_is_left_and_taken_again() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    redis.pause();
    assert!(comes_true(async || fails_with(&store, StoreErrorKind::Unavailable).await).await);
    redis.resume();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
}

#[tokio::test]
async fn the_last_store_dropped_closes_the_connection() {
    let redis = Redis::start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let store = store(&proxy.url()).await;
    let clone = store.clone();
    drop(store);
    look(&clone).await.unwrap();
    drop(clone);
    assert!(comes_true(async || proxy.open_connections() == 0).await);
}

#[test]
fn a_store_whose_runtime_ended_says_so() {
    let redis = Redis::start().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let store = first.block_on(store(&redis.url()));
    drop(first);
    let error = runtime().block_on(store.get(&some_entry(), &[])).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("runtime"), "{error}");
}
