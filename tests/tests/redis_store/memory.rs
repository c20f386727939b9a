//! A server whose memory is full: what keeps the promise works, what only saves work does not.

use cache_core::error::StoreErrorKind;
use cache_core::store::{FillRequest, Leased, Store};
use cache_core::testkit::conformance::{Trial, blob};
use cache_test_support::Redis;

use super::{BOUND, ask, store};

#[tokio::test]
async fn marks_and_clears_work_at_maxmemory_and_fills_do_not() {
    let redis = Redis::options().args(["--maxmemory-policy", "noeviction"]).start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let (user, filled, tags) = (trial.entry("user:1"), trial.entry("user:2"), [trial.tag("users")]);
    trial.filled(&filled, "Bob").await;
    // Without leases, so that a mark has nothing to free before it keeps the entry.
    let kept = trial.entry("user:4");
    let asking = trial.granted(&kept).await;
    assert!(trial.fill_with(&asking, &blob(asking.epoch, "Dan"), BOUND, BOUND).await.stored);
    let lease = trial.granted_for(trial.request(&user, &tags)).await;
    let waiting = trial.granted(&trial.entry("user:3")).await;
    let () = ask(&redis, &["CONFIG", "SET", "maxmemory", "1"]);

    let old = blob(lease.epoch, "old");
    let fill =
        FillRequest { key: &lease.key, tags: &[], token: lease.token, blob: &old, ttl: BOUND, aside: BOUND };
    let error = store.fill(fill).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Rejected);
    assert!(error.to_string().contains("maxmemory"), "{error}");
    assert_eq!(trial.blob(&user).await, None);
    assert!(matches!(trial.lease(trial.request(&filled, &[])).await, Leased::Present(_)), "hits go on");

    let before = trial.generation(&tags[0]).await;
    let write = trial.mark(&[&user.subject, &filled.subject, &tags[0]]).await;
    assert_ne!(trial.generation(&tags[0]).await, before);
    assert_eq!(trial.blob(&filled).await, None);
    assert_eq!(trial.fenced_for(trial.request(&user, &tags)).await.len(), 2);
    let third = trial.mark(&[&kept.subject]).await;
    assert_eq!(trial.blob(&kept).await, None);
    assert_eq!(trial.aside(&kept).await.unwrap().blob, blob(asking.epoch, "Dan"));
    trial.clear(&third).await;
    let second = trial.mark(&[&filled.subject]).await;
    trial.clear(&second).await;
    let puts = [trial.put(&write, &user, "new")];
    assert_eq!(trial.clear_with(&write, &puts).await, 0, "a put is a fill");
    assert_eq!(trial.blob(&user).await, None);

    let () = ask(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
    trial.granted_for(trial.request(&user, &tags)).await;
    assert!(trial.fill(&waiting, "Cid").await, "the lease from before still stands");
    let write = trial.mark(&[&user.subject]).await;
    assert_eq!(trial.clear_with(&write, &[trial.put(&write, &user, "new")]).await, 1);
}
