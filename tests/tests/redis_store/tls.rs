//! TLS: who is trusted, and what is said where nobody can be.

use std::fs;
use std::path::Path;

use cache_core::backend::redis::RedisStore;
use cache_core::testkit::conformance::{self, Trial};
use cache_test_support::{FaultProxy, Redis};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use super::sentinel::FakeSentinel;
use super::{comes_true, look, store};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A folder with an authority's certificate, and one for a host with its key, signed by that authority.
fn certificates(authority: &Authority, host: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let cert = params.signed_by(&key, authority).unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("ca.pem", authority.pem());
    write("cert.pem", cert.pem());
    write("key.pem", key.serialize_pem());
    folder
}

fn at(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

async fn refusal(url: &str) -> String {
    match RedisStore::connect(url).await {
        Ok(store) => panic!("{store:?} was not refused"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_store_behind_tls_keeps_every_promise_and_nothing_passes_in_the_clear() {
    let folder = certificates(&authority("ours"), "127.0.0.1");
    let redis = Redis::options().tls(folder.path()).start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let store = store(&proxy.url()).await;
    let report = conformance::run(&store).await;
    assert!(report.is_clean(), "{report}");
    assert!(proxy.traffic().to_server > 10_000);
    let readable = ["INFO", "TIME", "HGET", "EVALSHA"].map(|name| proxy.commands_named(name));
    assert_eq!(readable, [0; 4], "the proxy reads no command");
}

#[tokio::test]
async fn sentinels_are_asked_over_tls_too() {
    let folder = certificates(&authority("ours"), "127.0.0.1");
    let redis = Redis::options().tls(folder.path()).start().unwrap();
    let sentinel = FakeSentinel::naming_over_tls(redis.address(), 1, folder.path()).await;
    let url = format!("rediss+sentinel://{}/shop?ca={}", sentinel.address, at(folder.path(), "ca.pem"));
    let (named, direct) = (store(&url).await, store(&redis.url()).await);
    assert_eq!(look(&named).await.unwrap().epoch, look(&direct).await.unwrap().epoch);

    let plain = FakeSentinel::naming(redis.address(), 1).await;
    let url = url.replace(&sentinel.address.to_string(), &plain.address.to_string());
    let store = RedisStore::connect(&url).await.unwrap();
    let is_refused =
        async || look(&store).await.is_err_and(|error| error.to_string().contains("no sentinel"));
    assert!(comes_true(is_refused).await, "it does not fall back to speaking in the clear");
}

#[tokio::test]
async fn a_restarted_server_behind_tls_is_found_again() {
    let folder = certificates(&authority("ours"), "localhost");
    let redis = Redis::options().tls(folder.path()).start().unwrap();
    let store = store(&redis.url().replace("127.0.0.1", "localhost")).await;
    redis.kill();
    redis.restart().unwrap();
    assert!(comes_true(async || look(&store).await.is_ok()).await);
    let trial = Trial::new(&store);
    trial.filled(&trial.entry("user:1"), "Ann").await;
}

#[tokio::test]
async fn an_authority_nobody_knows_is_said() {
    let folder = certificates(&authority("ours"), "127.0.0.1");
    let redis = Redis::options().tls(folder.path()).start().unwrap();
    let (address, stranger) = (redis.address(), certificates(&authority("ours"), "127.0.0.1"));
    for url in
        [format!("rediss://{address}"), format!("rediss://{address}?ca={}", at(stranger.path(), "ca.pem"))]
    {
        let text = refusal(&url).await;
        assert!(text.contains("nobody who is trusted") && text.contains("?ca="), "{text}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_is_said() {
    let folder = certificates(&authority("ours"), "cache.example");
    let redis = Redis::options().tls(folder.path()).start().unwrap();
    let text = refusal(&redis.url()).await;
    assert!(text.contains("another host than 127.0.0.1"), "{text}");
}

async fn says(url: &str, part: &str) {
    let store = RedisStore::connect(url).await.unwrap();
    let says_so = async || look(&store).await.is_err_and(|error| error.to_string().contains(part));
    assert!(comes_true(says_so).await, "{:?}", look(&store).await);
}

#[tokio::test]
async fn a_server_without_tls_behind_rediss_is_said() {
    let folder = certificates(&authority("ours"), "127.0.0.1");
    let redis = Redis::start().unwrap();
    let url = format!("rediss://{}?ca={}", redis.address(), at(folder.path(), "ca.pem"));
    says(&url, "a server without it is silent, too (redis://)").await;
}

#[tokio::test]
async fn a_server_with_tls_behind_redis_is_said() {
    let folder = certificates(&authority("ours"), "127.0.0.1");
    let redis = Redis::options().tls(folder.path()).start().unwrap();
    says(&format!("redis://{}", redis.address()), "that wants TLS (rediss://)").await;
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_ours_or_it_is_said() {
    let authority = authority("ours");
    let folder = certificates(&authority, "127.0.0.1");
    let options = Redis::options().tls(folder.path()).args(["--tls-auth-clients", "yes"]);
    let redis = options.start().unwrap();
    let text = refusal(&redis.url()).await;
    assert!(text.contains("?cert="), "{text}");

    let ours = certificates(&authority, "client");
    let identity = |folder: &Path| format!("&cert={}&key={}", at(folder, "cert.pem"), at(folder, "key.pem"));
    let store = store(&format!("{}{}", redis.url(), identity(ours.path()))).await;
    look(&store).await.unwrap();

    let foreign = certificates(&self::authority("another"), "client");
    let text = refusal(&format!("{}{}", redis.url(), identity(foreign.path()))).await;
    assert!(text.contains("option cert"), "{text}");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_said_before_anything_is_sent() {
    let folder = certificates(&authority("ours"), "127.0.0.1");
    fs::write(folder.path().join("empty.pem"), "nothing").unwrap();
    let file = |name| at(folder.path(), name);
    for (query, part) in [
        (format!("ca={}", file("none.pem")), "none.pem of the option ca"),
        (format!("ca={}", file("empty.pem")), "no certificate"),
        (format!("cert={}&key={}", file("cert.pem"), file("none.pem")), "none.pem of the option key"),
        (format!("cert={}&key={}", file("cert.pem"), file("empty.pem")), "empty.pem of the option key"),
    ] {
        let text = refusal(&format!("rediss://127.0.0.1:1?{query}")).await;
        assert!(text.contains(part), "{query}: {text}");
    }
}
