//! What the log says about a server's settings when a store begins to use it.

use cache_test_support::{FaultProxy, Redis};

use super::log::Log;
use super::{ask, comes_true, look, store};

#[tokio::test]
async fn a_policy_that_evicts_fences_is_warned_of_once() {
    let limits = ["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"];
    let redis = Redis::options().args(limits).start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let log = Log::of(proxy.address());
    let store = store(&proxy.url()).await;
    assert_eq!(log.count("allkeys-lru"), 1);
    proxy.cut();
    assert!(comes_true(async || log.count("the store is available again") >= 1).await);
    look(&store).await.unwrap();
    assert_eq!(log.count("allkeys-lru"), 1, "not again at every connection");

    let () = ask(&redis, &["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    let quiet = super::store(&redis.url()).await;
    look(&quiet).await.unwrap();
    assert_eq!(Log::of(redis.address()).count("may evict"), 0);
    assert_eq!(Log::of(redis.address()).count("the store is available"), 1);
}

#[tokio::test]
async fn a_server_alone_with_nothing_on_disk_is_told_at_debug() {
    let redis = Redis::start().unwrap();
    let _store = store(&redis.url()).await;
    let log = Log::of(redis.address());
    let loud = || log.count(" WARN ") + log.count(" INFO ");
    assert_eq!((loud(), log.count("a restart of this server loses the fences")), (0, 1));

    let redis = Redis::options().args(["--appendonly", "yes"]).start().unwrap();
    let _store = store(&redis.url()).await;
    let log = Log::of(redis.address());
    assert_eq!((loud(), log.count("a restart of this server keeps its fences")), (0, 1));
}

#[tokio::test]
async fn a_server_with_replicas_says_what_a_failover_costs() {
    let redis = Redis::start().unwrap();
    let port = redis.address().port().to_string();
    let _replica = Redis::options().args(["--replicaof", "127.0.0.1", &port]).start().unwrap();
    let is_followed = async || ask::<String>(&redis, &["INFO", "replication"]).contains("connected_slaves:1");
    assert!(comes_true(is_followed).await);
    let _store = store(&redis.url()).await;
    let log = Log::of(redis.address());
    assert!(comes_true(async || log.count("a failover of this server loses fences") == 1).await);
    assert_eq!((log.count(" INFO "), log.count("replicas=1"), log.count(" WARN ")), (1, 1, 0));
}

#[tokio::test]
async fn a_server_that_refuses_writes_for_want_of_replicas_or_of_its_disk_is_warned_of() {
    let redis = Redis::options().args(["--min-replicas-to-write", "1", "--save", "3600 1"]).start().unwrap();
    let first = store(&redis.url()).await;
    let log = Log::of(redis.address());
    assert_eq!((log.count("min-replicas-to-write"), log.count(" WARN ")), (1, 1));
    drop(first);

    let () = ask(&redis, &["CONFIG", "SET", "min-replicas-to-write", "0"]);
    let folder: Vec<String> = ask(&redis, &["CONFIG", "GET", "dir"]);
    std::fs::create_dir(format!("{}/dump.rdb", folder[1])).unwrap();
    let _: redis::Value = ask(&redis, &["BGSAVE"]);
    let has_failed = async || ask::<String>(&redis, &["INFO", "persistence"]).contains("bgsave_status:err");
    assert!(comes_true(has_failed).await);
    let _second = store(&redis.url()).await;
    assert_eq!((log.count("could not save its data"), log.count(" WARN ")), (1, 2));
}
