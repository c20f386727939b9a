//! Who is believed, and what is said of sentinels that name nobody.

use cache_core::backend::redis::RedisStore;
use cache_core::error::StoreErrorKind;
use cache_test_support::{Redis, Sentinels};

use super::super::log::Log;
use super::super::{comes_true, fails_with, look, store};
use super::fake::FakeSentinel;
use super::sentinels;

fn url(sentinels: &[&FakeSentinel]) -> String {
    let listed: Vec<String> = sentinels.iter().map(|sentinel| sentinel.address.to_string()).collect();
    format!("redis+sentinel://{}/shop", listed.join(","))
}

#[tokio::test]
async fn a_living_master_is_left_when_a_sentinel_knows_of_a_later_failover() {
    let (old, new) = (Redis::start().unwrap(), Redis::start().unwrap());
    let near = FakeSentinel::naming(old.address(), 3).await;
    let far = FakeSentinel::naming(old.address(), 3).await;
    let store = store(&url(&[&near, &far])).await;
    let before = look(&store).await.unwrap().epoch;
    // The old master lives and says that it is one.
    far.names(new.address(), 4);
    let is_left = async || look(&store).await.is_ok_and(|found| found.epoch != before);
    assert!(comes_true(is_left).await);
    let after = look(&store).await.unwrap().epoch;

    // The other sentinel still names the old one. It is asked again and again, and does not know better.
    let log = Log::of(near.address);
    let told = log.count("the store is unavailable");
    let answers = near.answers();
    let is_asked = async || {
        assert_eq!(look(&store).await.unwrap().epoch, after);
        near.answers() > answers + 3
    };
    assert!(comes_true(is_asked).await);
    assert_eq!(log.count("the store is unavailable"), told);
}

#[tokio::test]
async fn of_two_masters_the_one_of_the_latest_failover_is_taken() {
    let (old, new) = (Redis::start().unwrap(), Redis::start().unwrap());
    let stale = FakeSentinel::naming(old.address(), 3).await;
    let fresh = FakeSentinel::naming(new.address(), 4).await;
    let (both, direct) = (store(&url(&[&stale, &fresh])).await, store(&new.url()).await);
    assert_eq!(look(&both).await.unwrap().epoch, look(&direct).await.unwrap().epoch);
}

#[tokio::test]
async fn a_server_that_is_named_has_to_say_that_it_is_the_master() {
    let master = Redis::start().unwrap();
    let port = master.address().port().to_string();
    let replica = Redis::options().args(["--replicaof", "127.0.0.1", &port]).start().unwrap();
    let wrong = FakeSentinel::naming(replica.address(), 9).await;
    let right = FakeSentinel::naming(master.address(), 9).await;
    let alone = RedisStore::connect(&url(&[&wrong])).await.unwrap();
    let says_why =
        async || look(&alone).await.is_err_and(|error| error.to_string().contains("it is a slave"));
    assert!(comes_true(says_why).await);
    let text = look(&alone).await.unwrap_err().to_string();
    assert!(text.contains(&replica.address().to_string()), "{text}");

    let (both, direct) = (store(&url(&[&wrong, &right])).await, store(&master.url()).await);
    // The first replica of a master begins a new epoch; both have to have seen it.
    let same = async || {
        let (here, there) = (look(&both).await, look(&direct).await);
        here.is_ok_and(|here| there.is_ok_and(|there| there.epoch == here.epoch))
    };
    assert!(comes_true(same).await);
}

#[tokio::test]
async fn sentinels_that_are_absent_at_start_are_no_error_and_are_found_later() {
    let master = Redis::start().unwrap();
    let sentinel = FakeSentinel::naming(master.address(), 1).await;
    let url = url(&[&sentinel]);
    drop(sentinel);
    let store = RedisStore::connect(&url).await.unwrap();
    assert!(comes_true(async || fails_with(&store, StoreErrorKind::Unavailable).await).await);
    let text = look(&store).await.unwrap_err().to_string();
    assert!(text.contains("refused") || text.contains("being connected"), "{text}");
}

async fn refusal(url: &str) -> String {
    let error = RedisStore::connect(url).await.unwrap_err().to_string();
    assert!(!error.contains("s3cret"), "{error}");
    error
}

/// One set of sentinels for all: it takes seconds to start.
#[tokio::test]
async fn what_is_wrong_with_a_url_of_sentinels_is_said() {
    let all: Sentinels = sentinels(0).await;
    let text = refusal(&all.url().replace("cache-master", "shop")).await;
    assert!(text.contains("no master with the name shop (it watches cache-master)"), "{text}");

    let sentinel = &all.sentinels()[0];
    let text = refusal(&format!("redis://{}", sentinel.address())).await;
    assert!(text.contains("is a sentinel: write redis+sentinel://"), "{text}");
    let text = refusal(&format!("redis+sentinel://{}/cache-master", all.server(0).address())).await;
    assert!(text.contains("no sentinel but a server"), "{text}");

    let url = format!("redis+sentinel://{}/cache-master", sentinel.address());
    let text = refusal(&format!("{url}?sentinel_password=s3cret")).await;
    assert!(text.contains("leave sentinel_password away"), "{text}");
    // As the manual has it.
    let rights = ["+sentinel|master", "+sentinel|masters", "+sentinel|get-master-addr-by-name"];
    let user = [&["ACL", "SETUSER", "watch", "on", ">s3cret"], &rights[..]].concat();
    assert_eq!(sentinel.says(&user), ["OK"]);
    assert_eq!(sentinel.says(&["ACL", "SETUSER", "default", "resetpass", ">other"]), ["OK"]);
    assert!(refusal(&url).await.contains("sentinel_password="));
    assert!(refusal(&format!("{url}?sentinel_password=wrong")).await.contains("refused sentinel_user"));
    let login = "sentinel_user=watch&sentinel_password=s3cret";
    let store = store(&format!("{url}?{login}")).await;
    let text = refusal(&format!("{}?{login}", url.replace("cache-master", "shop"))).await;
    assert!(text.contains("it watches cache-master"), "{text}");
    let printed = format!("{store:?}");
    assert!(printed.contains("cache-master") && !printed.contains("s3cret"), "{printed}");
}
