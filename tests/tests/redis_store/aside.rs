//! What marks keep aside on a real server: under which keys, for how long, and what else may be there.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use cache_core::store::{MarkRequest, Origin, Store};
use cache_core::subject::{EntryKey, WriterId};
use cache_core::testkit::conformance::{Trial, blob};
use cache_core::testkit::{ChaosStore, Command};
use cache_core::{Cache, Outcome, WriteError, bounded, cached, explain, invalidates};
use cache_test_support::Redis;

use super::{ask, comes_true, store};

const WINDOW: Duration = Duration::from_secs(30);

fn key_of(key: &EntryKey, part: char) -> String {
    format!("{{{}}}:{part}", key.subject.name())
}

async fn filled(trial: &Trial<'_>, key: &EntryKey, aside: Duration) {
    let lease = trial.granted(key).await;
    assert!(trial.fill_with(&lease, &blob(lease.epoch, "old"), 20 * WINDOW, aside).await.stored);
}

#[tokio::test]
async fn only_what_asks_for_it_is_kept_and_no_longer_than_it_asks_for() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let (asks, does_not) = (trial.entry("user:1"), trial.entry("user:2"));
    filled(&trial, &asks, WINDOW).await;
    filled(&trial, &does_not, Duration::ZERO).await;
    let fields: Vec<String> = ask(&redis, &["HKEYS", &key_of(&does_not, 'v')]);
    assert_eq!(fields, [does_not.field_text()], "an entry that does not ask for it is alone");
    trial.mark(&[&asks.subject, &does_not.subject]).await;

    let left: i64 = ask(&redis, &["PTTL", &key_of(&asks, 's')]);
    assert!((1..=30_000).contains(&left), "{left} ms");
    for (key, part) in [(&asks, 'v'), (&does_not, 'v'), (&does_not, 's')] {
        let there: u64 = ask(&redis, &["EXISTS", &key_of(key, part)]);
        assert_eq!(there, 0, "{}", key_of(key, part));
    }
}

/// Whatever lies under our names, a mark drops the entries, and nobody is told of it.
#[tokio::test]
async fn somebody_else_s_values_under_our_names_stop_no_mark_and_are_nothing() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    for (name, window) in
        ["", "0", "-5", "1e3", "0x10", "ten", "99999999999999999999", "10 "].iter().enumerate()
    {
        let user = trial.entry(&format!("user:{name}"));
        filled(&trial, &user, WINDOW).await;
        let () = ask(&redis, &["HSET", &key_of(&user, 'v'), "aside", window]);
        trial.mark(&[&user.subject]).await;
        assert_eq!(trial.blob(&user).await, None, "{window:?}");
        assert!(trial.aside(&user).await.is_none(), "{window:?}");
    }
    let user = trial.entry("string");
    for part in ['v', 's'] {
        let () = ask(&redis, &["SET", &key_of(&user, part), "strange"]);
    }
    assert!(trial.aside(&user).await.is_none());
    trial.invalidate(&user.subject).await;
    filled(&trial, &user, WINDOW).await;
    let () = ask(&redis, &["SET", &key_of(&user, 's'), "strange"]);
    trial.invalidate(&user.subject).await;
    assert!(trial.aside(&user).await.is_some(), "ours takes its place");
    for since in ["", "now", "-1", "1e99", "99999999999999999999"] {
        let () = ask(&redis, &["HSET", &key_of(&user, 's'), "since", since]);
        assert!(trial.aside(&user).await.is_none(), "{since:?}");
    }
}

/// The same connection repeats a mark whose answer was lost; what it has kept stays as old as it was.
#[tokio::test]
async fn a_mark_that_arrives_twice_keeps_what_the_first_has_kept() {
    let redis = Redis::start().unwrap();
    let store = store(&redis.url()).await;
    let trial = Trial::new(&store);
    let user = trial.entry("user:1");
    filled(&trial, &user, WINDOW).await;
    let subjects = [user.subject.clone()];
    let (writer, origin) = (WriterId(7), Origin::none());
    let mark = MarkRequest { writer, origin: &origin, subjects: &subjects, seed: 1, tag_ttl: WINDOW };
    store.mark(mark).await.unwrap();
    let first = trial.aside(&user).await.unwrap();
    trial.clock_reaches(first.since).await;
    store.mark(mark).await.unwrap();
    let second = trial.aside(&user).await.unwrap();
    assert_eq!((second.since, second.blob), (first.since, first.blob));
}

#[derive(Clone)]
struct Users {
    cache: Cache,
    row: Arc<AtomicI64>,
}

impl Users {
    #[cached(key = "kept:<id>", ttl = "1h", bounded = "30s")]
    async fn kept(&self, id: i64) -> i64 {
        let _ = id;
        self.row.load(SeqCst)
    }

    #[cached(key = "brief:<id>", ttl = "1h", bounded = "20ms")]
    async fn brief(&self, id: i64) -> i64 {
        let _ = id;
        self.row.load(SeqCst)
    }

    #[invalidates(keys = ["kept:<id>", "brief:<id>"])]
    async fn write(&self, id: i64, row: i64) -> Result<(), WriteError> {
        let _ = id;
        self.row.store(row, SeqCst);
        Ok(())
    }
}

/// While a write is in flight, and from another instance: the old value for those who ask, the new one for the others.
#[tokio::test]
async fn under_an_open_fence_bounded_calls_get_the_old_value_and_the_others_load() {
    let redis = Redis::start().unwrap();
    let chaos = ChaosStore::new(store(&redis.url()).await);
    let cache = |store| Cache::builder("shop").store(store).build().unwrap();
    let users = Users { cache: cache(chaos.clone()), row: Arc::new(AtomicI64::new(1)) };
    let others = Users { cache: cache(ChaosStore::new(store(&redis.url()).await)), ..users.clone() };
    assert_eq!((users.kept(1).await, users.brief(1).await), (1, 1));
    let clear = chaos.hold(Command::Clear);
    let writing = tokio::spawn({
        let users = users.clone();
        async move { users.write(1, 2).await }
    });
    clear.reached().await;
    for reader in [&users, &others] {
        let (old, explained) = explain(bounded(reader.kept(1))).await;
        assert_eq!((old, explained.calls()[0].outcome), (1, Outcome::Bounded), "{explained}");
        assert_eq!(reader.kept(1).await, 2);
    }
    assert!(comes_true(async || bounded(others.brief(1)).await == 2).await, "the window is over");
    clear.release();
    writing.await.unwrap().unwrap();
    assert!(comes_true(async || bounded(users.kept(1)).await == 2).await, "loaded behind its back");
}
