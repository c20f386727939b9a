//! Users with no more rights than the manual gives them, and with fewer.

use cache_core::backend::redis::RedisStore;
use cache_core::testkit::conformance;
use cache_core::{Cache, WriteError, cached, invalidates};
use cache_test_support::Redis;

use super::{ask, comes_true, look};

/// As `docs/manual/operating.md` has them.
const RIGHTS: [&str; 19] = [
    "select",
    "info",
    "time",
    "script|load",
    "evalsha",
    "get",
    "set",
    "hget",
    "hset",
    "hsetnx",
    "hdel",
    "hgetall",
    "hlen",
    "exists",
    "type",
    "unlink",
    "rename",
    "pttl",
    "pexpire",
];

fn user(redis: &Redis, keys: &[&str], rights: impl IntoIterator<Item = &'static str>) -> String {
    let rights: Vec<String> = rights.into_iter().map(|right| format!("+{right}")).collect();
    let fixed = ["ACL", "SETUSER", "shop", "reset", "on", ">s3cret", "resetchannels", "-@all"];
    let words: Vec<&str> =
        fixed.into_iter().chain(keys.iter().copied()).chain(rights.iter().map(String::as_str)).collect();
    let () = ask(redis, &words);
    format!("redis://shop:s3cret@{}/1", redis.address())
}

#[derive(Clone)]
struct Users {
    cache: Cache,
}

impl Users {
    #[cached(key = "member:<id>", tags = ["members"], ttl = "1h")]
    async fn find(&self, id: i64) -> i64 {
        id
    }

    #[invalidates(key = "member:<id>", tag = "members")]
    async fn touch(&self, id: i64) -> Result<(), WriteError> {
        let _ = id;
        Ok(())
    }
}

async fn users(namespace: &str, url: &str) -> Users {
    let store = RedisStore::connect(url).await.unwrap();
    assert!(comes_true(async || !looks_away(&store).await).await);
    Users { cache: Cache::builder(namespace).store(store).build().unwrap() }
}

/// A key that this user may not touch is an answer, too.
async fn looks_away(store: &RedisStore) -> bool {
    look(store).await.is_err_and(|error| !error.to_string().contains("NOPERM"))
}

#[tokio::test]
async fn a_user_confined_to_a_namespace_reads_and_writes_in_it_and_nowhere_else() {
    let redis = Redis::start().unwrap();
    let url = user(&redis, &["~{shop:*", "~{shop#*"], RIGHTS);
    let users = users("shop", &url).await;
    assert_eq!((users.find(1).await, users.find(1).await), (1, 1));
    let total = users.cache.stats().total();
    assert_eq!((total.fills, total.hits, total.degraded), (1, 1, 0));
    users.touch(1).await.unwrap();
    users.find(1).await;
    assert_eq!(users.cache.stats().total().fills, 2);

    let foreign = self::users("other", &url).await;
    let text = format!("{:?}", foreign.touch(1).await.unwrap_err());
    assert!(text.contains("NOPERM") && !text.contains("s3cret"), "{text}");
}

/// Two rights more, and the channel, for who listens. Without them nobody vouches, and nothing else suffers.
#[tokio::test]
async fn who_listens_needs_the_channels_of_the_namespace() {
    let redis = Redis::start().unwrap();
    let without = RedisStore::connect(&user(&redis, &["~{*"], RIGHTS)).await.unwrap();
    assert!(comes_true(async || look(&without).await.is_ok()).await);
    let words =
        ["ACL", "SETUSER", "listener", "reset", "on", ">s3cret", "-@all", "~{*", "resetchannels", "&{*"];
    let rights = RIGHTS.into_iter().chain(["publish", "subscribe"]).map(|right| format!("+{right}"));
    let words: Vec<String> = words.into_iter().map(str::to_owned).chain(rights).collect();
    let () = ask(&redis, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let url = format!("redis://listener:s3cret@{}/1", redis.address());
    let (one, other) = (RedisStore::connect(&url).await.unwrap(), RedisStore::connect(&url).await.unwrap());
    assert!(comes_true(async || look(&one).await.is_ok() && look(&other).await.is_ok()).await);
    let report = conformance::tells_listeners(&one, &other).await;
    assert!(report.is_clean(), "{report}");
}

/// A right more than these is one too many, and a missing one is named.
#[tokio::test]
async fn every_right_is_needed_and_the_missing_one_is_named() {
    let redis = Redis::start().unwrap();
    let store = RedisStore::connect(&user(&redis, &["~{*"], RIGHTS)).await.unwrap();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");

    for missing in RIGHTS {
        let url = user(&redis, &["~{*"], RIGHTS.into_iter().filter(|right| *right != missing));
        let said = match RedisStore::connect(&url).await {
            Err(error) => error.to_string().to_lowercase(),
            Ok(store) => {
                let report = conformance::run(&store).await;
                assert!(!report.is_clean(), "{missing} is not needed");
                report.to_string().to_lowercase()
            }
        };
        let name = missing.split('|').next().unwrap();
        let said: Vec<&str> = said.lines().filter(|line| line.contains("permission")).collect();
        let is_named = said.iter().any(|line| {
            line.contains(&format!("'{missing}'")) || line.split([' ', ':']).any(|word| word == name)
        });
        assert!(is_named, "{missing}: {said:#?}");
    }
}
