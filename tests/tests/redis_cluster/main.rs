//! RedisStore on a real cluster: keys on several nodes, slots that move or are stuck half-way, masters that die or fall silent.
//! One cluster for all tests, one test at a time. Moving slots blocks the thread, so connections are watched over on others.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod app;
mod clear;
mod failover;
mod migration;
mod order;
mod shards;
mod stuck;

use std::sync::OnceLock;
use std::time::Duration;

use cache_core::backend::redis::RedisStore;
use cache_core::error::StoreError;
use cache_core::store::{Found, Store};
use cache_core::subject::{EntryKey, Subject};
use cache_core::testkit::conformance::Trial;
use cache_test_support::Cluster;
use tokio::sync::{Mutex, MutexGuard};

/// More than anything here takes, less than a stuck test run.
const BOUND: Duration = Duration::from_secs(20);

/// The cluster, until the guard is dropped: with three masters, all slots served, nothing migrating.
async fn cluster() -> MutexGuard<'static, Cluster> {
    static CLUSTER: OnceLock<Mutex<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Mutex::new(Cluster::start().unwrap())).lock().await;
    for (at, node) in cluster.nodes().iter().enumerate() {
        // What a test that failed has left behind.
        node.resume();
        if node.pid().is_none() {
            node.restart().unwrap();
        }
        cluster.tell(at, &["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    }
    cluster.give_up_migrations().unwrap();
    cluster.settled().unwrap();
    cluster
}

async fn store(cluster: &Cluster) -> RedisStore {
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let trial = Trial::new(&store);
    // An entry on each master, read until all three answer.
    for master in (0..6).filter(|&node| cluster.is_master(node).unwrap()) {
        let entry = entry_on(cluster, &trial, master);
        assert!(
            comes_true(async || look(&store, &entry).await.is_ok()).await,
            "node {master} is not reached"
        );
    }
    store
}

async fn look(store: &RedisStore, entry: &EntryKey) -> Result<Found, StoreError> {
    tokio::time::timeout(BOUND, store.get(entry, &[])).await.expect("no command hangs")
}

async fn comes_true(condition: impl AsyncFn() -> bool) -> bool {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(BOUND, waiting).await.is_ok()
}

fn key(subject: &Subject, part: char) -> String {
    format!("{{{}}}:{part}", subject.name())
}

fn slot_of(cluster: &Cluster, subject: &Subject) -> u16 {
    cluster.slot_of(&key(subject, 'v')).unwrap()
}

/// Some name that the node serves.
fn on_node<T>(
    cluster: &Cluster,
    node: usize,
    make: impl Fn(&str) -> T,
    subject: impl Fn(&T) -> &Subject,
) -> T {
    let mut names = (0..).map(|number| make(&format!("name:{number}")));
    names.find(|made| cluster.node_of(slot_of(cluster, subject(made))).unwrap() == node).unwrap()
}

fn entry_on(cluster: &Cluster, trial: &Trial<'_>, node: usize) -> EntryKey {
    on_node(cluster, node, |name| trial.entry(name), |entry| &entry.subject)
}

fn tag_on(cluster: &Cluster, trial: &Trial<'_>, node: usize) -> Subject {
    on_node(cluster, node, |name| trial.tag(name), |tag| tag)
}

/// The masters, by their places.
fn masters(cluster: &Cluster) -> [usize; 3] {
    let masters: Vec<_> = (0..6).filter(|&node| cluster.is_master(node).unwrap()).collect();
    masters.try_into().unwrap()
}
