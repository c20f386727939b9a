//! Who hears of writes, over two handles of one store that stand for two instances. For stores that an L1 may stand in front of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::trial::Trial;
use crate::bus::{Listener, Moment};
use crate::store::{GetRequest, LeaseRequest, Leased, MarkRequest, Origin};
use crate::subject::Subject;
use crate::time::{Clock, SystemClock};

/// Remembers what it was told.
#[derive(Debug, Default)]
struct Diary {
    clock: SystemClock,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    marks: HashMap<u64, u64>,
    doubts: u64,
    until: Duration,
}

impl Diary {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marks(&self, subject: &Subject) -> u64 {
        self.told().marks.get(&subject.stripe()).copied().unwrap_or_default()
    }

    fn doubts_so_far(&self) -> u64 {
        self.told().doubts
    }

    fn is_vouched_for(&self) -> bool {
        self.clock.monotonic() < self.told().until
    }
}

impl Listener for Diary {
    fn now(&self) -> Moment {
        Moment::new(&self.clock, self.doubts_so_far())
    }

    fn marked(&self, stripes: &[u64]) {
        let mut told = self.told();
        stripes.iter().for_each(|stripe| *told.marks.entry(*stripe).or_default() += 1);
    }

    fn doubts(&self) {
        let mut told = self.told();
        (told.doubts, told.until) = (told.doubts + 1, Duration::ZERO);
    }

    fn vouches(&self, since: Moment, lease: Duration) {
        let mut told = self.told();
        if since.doubts() == told.doubts {
            told.until = told.until.max(since.monotonic().saturating_add(lease));
        }
    }
}

async fn joined(trial: &Trial<'_>) -> Arc<Diary> {
    let diary = Arc::new(Diary::default());
    let listener: Arc<dyn Listener> = diary.clone();
    let joined = trial.store.join(&trial.namespace, Arc::downgrade(&listener));
    assert_eq!(joined, Ok(()), "nobody may listen");
    assert!(trial.comes_true(async || diary.is_vouched_for()).await, "nobody vouches");
    diary
}

/// The own process hears of a mark before anything of the write becomes visible.
pub async fn a_listener_is_told_before_a_mark_and_a_clear_return(one: &Trial<'_>, _: &Trial<'_>) {
    let (diary, user, other) = (joined(one).await, one.subject("user:1"), one.subject("user:2"));
    let tag = one.tag("users");
    let write = one.mark(&[&user, &tag]).await;
    let marked = (diary.marks(&user), diary.marks(&tag));
    assert!(marked.0 > 0 && marked.1 > 0, "the mark has returned");
    one.clear(&write).await;
    assert!(diary.marks(&user) > marked.0 && diary.marks(&tag) > marked.1, "the clear has returned");
    assert_eq!(diary.marks(&other), 0, "nobody wrote this one");
}

/// What is read to be kept is known to be, once somebody vouches.
pub async fn what_is_read_for_keeping_is_shared(one: &Trial<'_>, _: &Trial<'_>) {
    let _diary = joined(one).await;
    let (key, tags) = (one.entry("user:1"), [one.tag("users")]);
    let get = GetRequest { key: &key, tags: &tags, shares: true };
    let found = one.store.get_many(&[get]).await.pop().expect("one answer").expect("an answer");
    assert!(found.shared, "a look");
    let request = LeaseRequest { shares: true, ..one.request(&key, &tags) };
    match one.store.lease(request).await.expect("an answer") {
        Leased::Granted { shared, .. } => assert!(shared, "a lease"),
        other => panic!("{other:?}"),
    }
}

/// Whoever has read what another instance marks acknowledges it when he has heard, and then nobody waits for him.
pub async fn a_mark_elsewhere_is_heard_before_it_is_acknowledged(one: &Trial<'_>, other: &Trial<'_>) {
    let (diary, key) = (joined(one).await, one.entry("user:1"));
    let get = GetRequest { key: &key, tags: &[], shares: true };
    one.store.get_many(&[get]).await.pop().expect("one answer").expect("an answer");
    let origin = Origin::none();
    let request = MarkRequest {
        writer: other.writer(),
        origin: &origin,
        subjects: std::slice::from_ref(&key.subject),
        seed: other.random(),
        tag_ttl: Duration::from_secs(600),
    };
    // Until the store is sure that it knows everybody, only time tells.
    let is_known = async || {
        let marked = other.store.mark(request).await.expect("an answer");
        if marked.sharers.is_unknown {
            return false;
        }
        other.store.acknowledged(&marked.sharers).await;
        true
    };
    assert!(other.comes_true(is_known).await, "it never knows everybody");
    assert!(diary.marks(&key.subject) > 0, "he has acknowledged it");
}

/// Everything kept of a namespace that was cleared is worthless, wherever it was cleared.
pub async fn a_clear_of_the_namespace_is_a_doubt(one: &Trial<'_>, other: &Trial<'_>) {
    let diary = joined(one).await;
    for trial in [one, other] {
        let doubts = diary.doubts_so_far();
        trial.clear_namespace().await;
        assert!(one.comes_true(async || diary.doubts_so_far() > doubts).await, "he is not told");
        assert!(one.comes_true(async || diary.is_vouched_for()).await, "and nobody vouches any more");
    }
}
