//! What goes over the wire and what lies in Redis.

use std::time::Duration;

use cache_core::store::{BoxFuture, ClearRequest, FillRequest, GetRequest, LeaseRequest, Leased, Store};
use cache_core::testkit::conformance::{Trial, blob};
use cache_test_support::{FaultProxy, Redis};

use super::{ask, store};

/// The commands since the last reset, apart from the supervisor's own.
fn commands(proxy: &FaultProxy) -> Vec<String> {
    let mut commands = proxy.commands();
    commands.retain(|name| name != "INFO" && name != "TIME");
    commands
}

#[tokio::test]
async fn a_hit_is_one_command_and_one_more_for_each_tag() {
    let redis = Redis::start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let store = store(&proxy.url()).await;
    let trial = Trial::new(&store);
    let (user, tags) = (trial.entry("user:1"), [trial.tag("users"), trial.tag("orgs")]);
    let lease = trial.granted_for(trial.request(&user, &tags)).await;
    assert!(trial.fill(&lease, "Ann").await);

    proxy.reset();
    assert!(trial.get(&user, &[]).await.blob.is_some());
    assert_eq!(commands(&proxy), ["HGET"]);
    proxy.reset();
    assert_eq!(trial.get(&user, &tags).await.tags, lease.stamps);
    assert_eq!(commands(&proxy), ["HGET", "GET", "GET"]);
}

#[tokio::test]
async fn a_miss_is_two_commands_and_a_write_is_two() {
    let redis = Redis::start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let store = store(&proxy.url()).await;
    let trial = Trial::new(&store);
    let user = trial.entry("user:1");
    // A miss begins with a look, which also learns the namespace's generation.
    trial.get(&user, &[]).await;
    proxy.reset();
    trial.filled(&user, "Ann").await;
    assert_eq!(commands(&proxy), ["EVALSHA", "EVALSHA"]);
    proxy.reset();
    trial.invalidate(&user.subject).await;
    assert_eq!(commands(&proxy), ["EVALSHA", "EVALSHA"]);
}

/// All commands are under way before any answer is: with answers held back, the whole pipeline arrives all the same.
#[tokio::test]
async fn many_entries_are_one_round_trip() {
    let redis = Redis::start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let store = store(&proxy.url()).await;
    let trial = Trial::new(&store);
    let keys: Vec<_> = (0..300).map(|n| trial.entry(&format!("user:{n}"))).collect();
    let tags = [trial.tag("users")];
    let seed = trial.random();
    let asked: Vec<_> = keys.iter().map(|key| LeaseRequest { seed, ..trial.request(key, &tags) }).collect();
    let leased = store.lease_many(&asked).await;
    let epoch = match &leased[0] {
        Ok(Leased::Granted { epoch, .. }) => *epoch,
        other => panic!("{other:?}"),
    };
    let bytes = blob(epoch, "Ann");
    let fills: Vec<_> = asked
        .iter()
        .map(|asked| FillRequest {
            key: asked.key,
            tags: &tags,
            token: asked.token,
            blob: &bytes,
            ttl: Duration::from_secs(600),
            aside: Duration::ZERO,
        })
        .collect();
    assert!(store.fill_many(&fills).await.iter().all(|filled| filled.as_ref().unwrap().stored));
    let gets: Vec<_> = keys.iter().map(|key| GetRequest { key, tags: &tags, shares: false }).collect();
    let back: Vec<_> = asked.iter().map(|asked| (asked.key.clone(), asked.token)).collect();

    let one_pipeline = async |name: &str, commands: u64, tags: u64, sending: BoxFuture<'_, ()>| {
        proxy.reset();
        proxy.drop_replies();
        let arrived = async {
            while proxy.commands_named(name) < commands || proxy.commands_named("GET") < tags {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = sending => panic!("{name}: answered although answers are dropped"),
            outcome = tokio::time::timeout(Duration::from_secs(30), arrived) => outcome.expect("all of it was sent"),
        }
        assert_eq!(
            (proxy.commands_named(name), proxy.commands_named("GET")),
            (commands, tags),
            "each tag once"
        );
        proxy.pass_replies();
        assert!(trial.comes_true(async || store.get(&keys[0], &[]).await.is_ok()).await, "it connects again");
    };
    one_pipeline("HGET", 300, 1, Box::pin(async { drop(store.get_many(&gets).await) })).await;
    one_pipeline("EVALSHA", 301, 0, Box::pin(async { drop(store.lease_many(&asked).await) })).await;
    one_pipeline("EVALSHA", 300, 1, Box::pin(async { drop(store.fill_many(&fills).await) })).await;
    one_pipeline("EVALSHA", 300, 0, Box::pin(async { drop(store.release_many(&back).await) })).await;
}

#[tokio::test]
async fn lost_scripts_are_loaded_again_and_only_they_are_sent_again() {
    let redis = Redis::start().unwrap();
    let proxy = FaultProxy::redis(&redis.url()).unwrap();
    let store = store(&proxy.url()).await;
    let trial = Trial::new(&store);
    let (user, tags) = (trial.entry("user:1"), [trial.tag("users")]);

    let () = ask(&redis, &["SCRIPT", "FLUSH"]);
    trial.invalidate(&user.subject).await;
    proxy.reset();
    let write = trial.mark(&[&user.subject, &tags[0]]).await;
    assert_eq!(commands(&proxy), ["EVALSHA", "EVALSHA", "SCRIPT", "EVALSHA"], "the entity's mark was done");
    assert_eq!(trial.fenced_for(trial.request(&user, &tags)).await.len(), 2, "and both fences stand");

    let () = ask(&redis, &["SCRIPT", "FLUSH"]);
    trial.clear(&write).await;
    let lease = trial.granted_for(trial.request(&user, &tags)).await;
    proxy.reset();
    assert!(trial.fill(&lease, "Ann").await);
    let expected = ["EVALSHA", "GET", "SCRIPT", "EVALSHA", "GET"];
    assert_eq!(commands(&proxy), expected, "generations are read after the fill");
}

#[tokio::test]
async fn keys_lie_in_one_slot_and_all_but_fences_and_what_a_clear_turns_expire() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let (user, tag) = (trial.entry("user"), trial.tag("users"));
    let tags = [tag.clone()];
    let key = |subject: &cache_core::subject::Subject, part| format!("{{{}}}:{part}", subject.name());
    let lives = |name: String| ask::<i64>(&redis, &["PTTL", &name]);

    let lease = trial.granted_for(trial.request(&user, &tags)).await;
    assert!(lives(key(&user.subject, "l")) > 0);
    assert!(lives(key(&tag, "g")) > 0);
    assert!(trial.fill(&lease, "Ann").await);
    assert!(lives(key(&user.subject, "v")) > 0);
    let of_namespaces = |name: &String| name.ends_with("#~}:g");
    let (whole, mut found): (Vec<String>, Vec<String>) =
        ask::<Vec<String>>(&redis, &["KEYS", "*"]).into_iter().partition(of_namespaces);
    found.sort();
    let mut expected = [key(&user.subject, "v"), key(&tag, "g")];
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(whole.len(), 2, "one that was looked at, and the trial's; they stay");

    let write = trial.mark(&[&user.subject, &tag]).await;
    assert_eq!((lives(key(&user.subject, "c")), lives(key(&tag, "c"))), (-1, -1));
    assert!(lives(key(&tag, "g")) > 0, "marked");
    trial.clear(&write).await;
    assert!(lives(key(&tag, "g")) > 0, "cleared");
    let mut left: Vec<String> = ask(&redis, &["KEYS", "*"]);
    left.retain(|name| !of_namespaces(name));
    assert_eq!(left, [key(&tag, "g")], "nothing else is left");
}

#[tokio::test]
async fn somebody_elses_values_under_our_names_are_replaced() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let (user, tags) = (trial.entry("user:1"), [trial.tag("users"), trial.tag("orgs")]);
    let name = |subject: &cache_core::subject::Subject, part| format!("{{{}}}:{part}", subject.name());
    let () = ask(&redis, &["SET", &name(&user.subject, "v"), "hello"]);
    let () = ask(&redis, &["SET", &name(&tags[0], "g"), "hello"]);
    let _: i64 = ask(&redis, &["RPUSH", &name(&tags[1], "g"), "hello"]);

    let found = trial.get(&user, &tags).await;
    assert_eq!(found.blob, None);
    assert!(found.tags.iter().all(|stamp| stamp.generation.is_none()));
    let lease = trial.granted_for(trial.request(&user, &tags)).await;
    assert!(trial.fill(&lease, "Ann").await);
    let found = trial.get(&user, &tags).await;
    assert!(found.blob.is_some());
    assert_eq!(found.tags, lease.stamps);
}

#[tokio::test]
async fn a_fence_nobody_understands_is_an_error_and_is_not_lifted() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let user = trial.entry("user:1");
    let fences = format!("{{{}}}:c", user.subject.name());
    let _: i64 = ask(&redis, &["HSET", &fences, "00ff", "two words"]);
    assert!(store.lease(trial.request(&user, &[])).await.is_err());
    assert_eq!(ask::<i64>(&redis, &["HLEN", &fences]), 1);
}

/// A mark drops the tokens, and nobody gets one under a fence; a fill looks for the fence all the same.
#[tokio::test]
async fn a_fence_keeps_fills_out_although_the_token_is_there() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let user = trial.entry("user:1");
    let lease = trial.granted(&user).await;
    let _: i64 = ask(&redis, &["HSET", &format!("{{{}}}:c", user.subject.name()), "00ff", "none|1|1"]);
    assert!(!trial.fill(&lease, "old").await);
    assert_eq!(trial.blob(&user).await, None);
}

#[tokio::test]
async fn futures_dropped_anywhere_mix_no_replies_up() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let keys: Vec<_> = (0..40).map(|id| trial.entry(&format!("user:{id}"))).collect();
    for (id, key) in keys.iter().enumerate() {
        trial.filled(key, &format!("value {id}")).await;
    }
    for round in 0..200_usize {
        let dropped = &keys[round % keys.len()];
        // Polled a few times, so that it is dropped before it was sent, on its way, and after its answer.
        let reading = store.get(dropped, &[]);
        tokio::select! {
            biased;
            _ = reading => {}
            () = async { for _ in 0..round % 7 { tokio::task::yield_now().await } } => {}
        }
        let id = (round * 7) % keys.len();
        let blob = trial.blob(&keys[id]).await.unwrap();
        assert!(blob.ends_with(format!("value {id}").as_bytes()), "round {round}: {blob:?}");
    }
}

#[tokio::test]
async fn a_clear_names_its_subjects_even_when_there_are_thousands() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let subjects: Vec<_> = (0..3_000).map(|id| trial.subject(&format!("user:{id}"))).collect();
    let write = trial.mark(&subjects.iter().collect::<Vec<_>>()).await;
    // Two namespaces were used, and the generation of each stays.
    assert_eq!(ask::<i64>(&redis, &["DBSIZE"]), 3_002);
    let request =
        ClearRequest { writer: write.writer, subjects: &subjects, puts: &[], seed: 1, tag_ttl: super::BOUND };
    store.clear(request).await.unwrap();
    assert_eq!(ask::<i64>(&redis, &["DBSIZE"]), 2);
}
