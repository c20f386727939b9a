//! The stores that ship with the crate keep the seam's promises.

use cache_core::MemoryStore;
use cache_core::backend::redis::RedisStore;
use cache_core::testkit::conformance;

#[tokio::test]
async fn memory_keeps_every_promise() {
    let report = conformance::run(&MemoryStore::default()).await;
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn redis_keeps_every_promise() {
    let store = RedisStore::connect(&cache_test_support::redis_url().unwrap()).await.unwrap();
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");
    assert!(conformance::keeps_aside(&store).await);
}

#[tokio::test]
async fn redis_cluster_keeps_every_promise() {
    let cluster = cache_test_support::Cluster::start().unwrap();
    let store = RedisStore::connect(&cluster.url()).await.unwrap();
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");
    assert!(conformance::keeps_aside(&store).await);
}
