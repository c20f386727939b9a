//! What keeps the own memories of several processes coherent over Redis: who is told, who is waited for, and what is served meanwhile.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod doubts;
mod instance;
mod waits;

use std::time::Duration;

use cache_core::backend::redis::RedisStore;
use cache_core::key::Namespace;
use cache_core::store::Store;
use cache_core::subject::{EntryKey, Kind};
use cache_test_support::Redis;

/// More than anything here takes, less than a stuck test run.
const BOUND: Duration = Duration::from_secs(30);

async fn store(url: &str) -> RedisStore {
    let store = RedisStore::connect(url).await.unwrap();
    let subject = Namespace::new("looking").unwrap().subject(Kind::Entity, |text| text.literal("entry"));
    let key = EntryKey { subject, field: 1 };
    assert!(comes_true(async || store.get(&key, &[]).await.is_ok()).await, "{store:?} is not reached");
    store
}

async fn comes_true(condition: impl AsyncFn() -> bool) -> bool {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, waiting).await.is_ok()
}

/// Runs a command on a connection of its own.
fn ask<T: redis::FromRedisValue>(redis: &Redis, words: &[&str]) -> T {
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).unwrap()
}

/// The board of a namespace is whole when it is older than a lease: until then writers wait for time alone.
async fn board_is_whole(redis: &Redis, namespace: &str) {
    let board = format!("{{{namespace}#~}}:m");
    let is_old = async || {
        let is: Option<String> = ask(redis, &["HGET", &board, "is"]);
        let (now, _): (u64, u64) = ask(redis, &["TIME"]);
        let born = is.and_then(|is| is.split('|').nth(2)?.parse::<u64>().ok());
        born.is_some_and(|born| now * 1000 >= born + 1200)
    };
    assert!(comes_true(is_old).await, "there is no board");
}
