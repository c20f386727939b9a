//! RedisStore on real servers: what goes over the wire, what it survives, and what it says.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod aside;
mod connection;
mod epoch;
mod findings;
mod journal;
mod log;
mod memory;
mod refusal;
mod rights;
mod sentinel;
mod tls;
mod wire;

use std::time::Duration;

use cache_core::backend::redis::RedisStore;
use cache_core::error::{StoreError, StoreErrorKind};
use cache_core::store::{Found, Store};
use cache_core::subject::EntryKey;
use cache_test_support::Redis;

/// More than anything here takes, less than a stuck test run.
const BOUND: Duration = Duration::from_secs(30);

async fn store(url: &str) -> RedisStore {
    log::listen();
    let store = RedisStore::connect(url).await.unwrap();
    assert!(comes_true(async || look(&store).await.is_ok()).await, "{store:?} is not reached");
    store
}

fn some_entry() -> EntryKey {
    let namespace = cache_core::key::Namespace::new("looking").unwrap();
    let subject = namespace.subject(cache_core::subject::Kind::Entity, |text| text.literal("entry"));
    EntryKey { subject, field: 1 }
}

/// Any read, to see whether the store answers.
async fn look(store: &RedisStore) -> Result<Found, StoreError> {
    tokio::time::timeout(BOUND, store.get(&some_entry(), &[])).await.expect("no command hangs")
}

async fn fails_with(store: &RedisStore, kind: StoreErrorKind) -> bool {
    look(store).await.is_err_and(|error| error.kind() == kind)
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
