//! Servers and settings that somebody has to change: said at once, in words, and without the password.

use cache_core::backend::redis::RedisStore;
use cache_core::store::Store;
use cache_test_support::Redis;

use super::{ask, comes_true, look};

async fn refusal(url: &str) -> String {
    let error = RedisStore::connect(url).await.unwrap_err().to_string();
    assert!(!error.contains("s3cret"), "{error}");
    error
}

#[tokio::test]
async fn a_url_that_cannot_be_used_says_what_to_write() {
    for (url, advice) in [
        ("localhost", "write redis://"),
        ("redis://:s3cret@a,b", "write redis://"),
        ("redis+sentinel+cluster://:s3cret@a,b", "write redis://"),
        ("redis+sentinel://:s3cret@a", "write redis+sentinel://"),
        ("redis+cluster://:s3cret@a/3", "write redis+cluster://"),
    ] {
        assert!(refusal(url).await.contains(advice), "{url}");
    }
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_said_and_the_right_one_is_never_printed() {
    let redis = Redis::options().args(["--requirepass", "s3cret"]).start().unwrap();
    let address = redis.address();
    assert!(refusal(&redis.url()).await.contains("wants a password"));
    assert!(refusal(&format!("redis://{address}/3")).await.contains("wants a password"));
    assert!(refusal(&format!("redis://:wrong@{address}")).await.contains("refused the user or the password"));
    let store = RedisStore::connect(&format!("redis://:s3cret@{address}/3")).await.unwrap();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    let printed = format!("{store:?} {}", store.describe());
    assert!(printed.contains(&address.to_string()) && printed.contains("database 3"), "{printed}");
    assert!(!printed.contains("s3cret"), "{printed}");
}

#[tokio::test]
async fn a_password_for_a_server_without_one_is_said() {
    let redis = Redis::start().unwrap();
    let text = refusal(&format!("redis://:s3cret@{}", redis.address())).await;
    assert!(text.contains("AUTH"), "{text}");
}

#[tokio::test]
async fn a_user_who_may_not_ask_is_said() {
    let redis = Redis::start().unwrap();
    let () = ask(&redis, &["ACL", "SETUSER", "ann", "on", ">s3cret", "~*", "+@all", "-info"]);
    let text = refusal(&format!("redis://ann:s3cret@{}", redis.address())).await;
    assert!(text.contains("INFO") && text.contains("NOPERM"), "{text}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_said() {
    let redis = Redis::start().unwrap();
    let text = refusal(&format!("redis://{}/99", redis.address())).await;
    assert!(text.contains("SELECT"), "{text}");
}

#[tokio::test]
async fn a_cluster_node_is_said() {
    let redis = Redis::options().args(["--cluster-enabled", "yes"]).start().unwrap();
    let text = refusal(&redis.url()).await;
    assert!(text.contains("cluster"), "{text}");
}
