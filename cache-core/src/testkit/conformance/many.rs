//! Facts about commands for many entries: they are the single commands, each by itself, and in order.

use std::time::Duration;

use super::trial::{Lease, Trial, blob};
use crate::store::{FillRequest, Filled, Found, GetRequest, LeaseRequest, Leased, Origin};
use crate::subject::{EntryKey, Subject};

const LONG: Duration = Duration::from_secs(600);

fn entries(trial: &Trial<'_>, count: usize) -> Vec<EntryKey> {
    (0..count).map(|n| trial.entry(&format!("user:{n}"))).collect()
}

fn requests<'r>(trial: &Trial<'_>, keys: &'r [EntryKey], tags: &'r [Subject]) -> Vec<LeaseRequest<'r>> {
    let seed = trial.random();
    keys.iter().map(|key| LeaseRequest { seed, ..trial.request(key, tags) }).collect()
}

async fn get(trial: &Trial<'_>, keys: &[EntryKey], tags: &[Subject]) -> Vec<Found> {
    let requests: Vec<_> = keys.iter().map(|key| GetRequest { key, tags, shares: false }).collect();
    let answers = trial.store.get_many(&requests).await;
    answers.into_iter().map(|answer| answer.expect("get_many answers")).collect()
}

async fn lease(trial: &Trial<'_>, requests: &[LeaseRequest<'_>]) -> Vec<Leased> {
    let answers = trial.store.lease_many(requests).await;
    answers.into_iter().map(|answer| answer.expect("lease_many answers")).collect()
}

fn granted(request: &LeaseRequest<'_>, leased: Leased) -> Lease {
    match leased {
        Leased::Granted { epoch, now, tags: stamps, .. } => {
            let (key, tags, token) = (request.key.clone(), request.tags.to_vec(), request.token);
            Lease { key, tags, token, epoch, now, stamps }
        }
        other => panic!("lease_many answered {other:?} for {} instead of granting", request.key.subject),
    }
}

async fn all_granted(trial: &Trial<'_>, keys: &[EntryKey], tags: &[Subject]) -> Vec<Lease> {
    let requests = requests(trial, keys, tags);
    let leased = lease(trial, &requests).await;
    requests.iter().zip(leased).map(|(request, leased)| granted(request, leased)).collect()
}

async fn fill(trial: &Trial<'_>, leases: &[Lease]) -> Vec<Filled> {
    let blobs: Vec<_> = leases.iter().map(|lease| blob(lease.epoch, lease.key.subject.name())).collect();
    let request = |(lease, blob)| {
        let lease: &Lease = lease;
        FillRequest {
            key: &lease.key,
            tags: &lease.tags,
            token: lease.token,
            blob,
            ttl: LONG,
            aside: Duration::ZERO,
        }
    };
    let requests: Vec<_> = leases.iter().zip(&blobs).map(request).collect();
    let answers = trial.store.fill_many(&requests).await;
    answers.into_iter().map(|answer| answer.expect("fill_many answers")).collect()
}

/// No requests, no answers.
pub async fn nothing_is_answered_to_nothing(trial: &Trial<'_>) {
    assert!(trial.store.get_many(&[]).await.is_empty());
    assert!(trial.store.lease_many(&[]).await.is_empty());
    assert!(trial.store.fill_many(&[]).await.is_empty());
    assert!(trial.store.release_many(&[]).await.is_empty());
}

/// Entries that are there and entries that are not, and the stamps of each one's tags.
pub async fn many_gets_are_answered_in_order(trial: &Trial<'_>) {
    let keys = entries(trial, 6);
    for key in keys.iter().step_by(2) {
        trial.filled(key, key.subject.name()).await;
    }
    let tags = [trial.tag("users"), trial.tag("orgs")];
    trial.granted_for(trial.request(&trial.entry("other"), &tags[1..])).await;
    let org = trial.generation(&tags[1]).await;
    for (n, found) in get(trial, &keys, &tags).await.into_iter().enumerate() {
        let single = trial.get(&keys[n], &tags).await;
        assert_eq!(found.blob, single.blob, "entry {n}");
        assert_eq!(found.blob.is_some(), n % 2 == 0, "entry {n}");
        assert_eq!((found.epoch, &found.tags[1..]), (single.epoch, &[org][..]), "entry {n}");
    }
}

/// Granted, busy, present and fenced, side by side.
pub async fn many_leases_are_judged_each_by_itself(trial: &Trial<'_>) {
    let keys = entries(trial, 5);
    trial.granted(&keys[1]).await;
    let stored = trial.filled(&keys[2], "Ann").await;
    trial.mark(&[&keys[3].subject]).await;
    trial.filled(&keys[4], "old").await;
    let mut asked = requests(trial, &keys, &[]);
    asked[4].force = true;
    let leased = lease(trial, &asked).await;
    assert!(matches!(leased[0], Leased::Granted { .. }), "{:?}", leased[0]);
    assert!(matches!(leased[1], Leased::Busy), "{:?}", leased[1]);
    match &leased[2] {
        Leased::Present(found) => assert_eq!(found.blob, Some(stored)),
        other => panic!("lease_many answered {other:?} although an entry stands"),
    }
    match &leased[3] {
        Leased::Fenced(fences) => assert_eq!(fences[0].subject, keys[3].subject),
        other => panic!("lease_many answered {other:?} although a fence stands"),
    }
    assert!(matches!(leased[4], Leased::Granted { .. }), "{:?}", leased[4]);
}

/// All entries of a tag get the one generation it has.
pub async fn a_tag_of_many_is_one_tag(trial: &Trial<'_>) {
    let (keys, tags) = (entries(trial, 4), [trial.tag("users")]);
    let leases = all_granted(trial, &keys, &tags).await;
    let generation = trial.generation(&tags[0]).await;
    assert!(generation.generation.is_some());
    assert!(leases.iter().all(|lease| lease.stamps == [generation]), "{leases:?}");
}

/// A fence on one's tag fences, gives the lease back, and leaves entries without that tag alone.
pub async fn a_fence_on_a_tag_keeps_its_own_entries_out_of_many(trial: &Trial<'_>) {
    let keys = entries(trial, 4);
    let (even, odd) = ([trial.tag("even")], [trial.tag("odd")]);
    let write = trial.mark(&[&even[0]]).await;
    let seed = trial.random();
    let asked: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| LeaseRequest { seed, ..trial.request(key, if n % 2 == 0 { &even } else { &odd }) })
        .collect();
    for (n, leased) in lease(trial, &asked).await.into_iter().enumerate() {
        match (n % 2, &leased) {
            (0, Leased::Fenced(fences)) => assert_eq!(fences[0].subject, even[0]),
            (1, Leased::Granted { .. }) => {}
            _ => panic!("lease_many answered {leased:?} for entry {n}"),
        }
    }
    trial.clear(&write).await;
    trial.granted_for(trial.request(&keys[0], &even)).await;
}

/// A fence is lifted where its writer is finished, and stays elsewhere.
pub async fn finished_writers_are_lifted_for_many(trial: &Trial<'_>) {
    let (keys, tags) = (entries(trial, 3), [trial.tag("users")]);
    let dead = trial.mark_as(trial.writer(), &Origin::none(), &[&keys[0].subject, &tags[0]]).await;
    trial.mark(&[&keys[1].subject]).await;
    let finished = [dead.writer];
    let asked = requests(trial, &keys, &tags);
    let asked: Vec<_> =
        asked.into_iter().map(|request| LeaseRequest { finished: &finished, ..request }).collect();
    let leased = lease(trial, &asked).await;
    assert!(matches!(leased[0], Leased::Granted { .. }), "{:?}", leased[0]);
    assert!(matches!(leased[1], Leased::Fenced(_)), "{:?}", leased[1]);
    assert!(matches!(leased[2], Leased::Granted { .. }), "{:?}", leased[2]);
}

/// A mark in between refuses the fill of its own entry.
pub async fn many_fills_are_judged_each_by_itself(trial: &Trial<'_>) {
    let keys = entries(trial, 4);
    let mut leases = all_granted(trial, &keys, &[]).await;
    trial.invalidate(&keys[1].subject).await;
    leases[2].token = trial.token();
    let filled: Vec<_> = fill(trial, &leases).await.iter().map(|filled| filled.stored).collect();
    assert_eq!(filled, [true, false, false, true]);
    let found: Vec<_> = get(trial, &keys, &[]).await.into_iter().map(|found| found.blob.is_some()).collect();
    assert_eq!(found, [true, false, false, true]);
}

/// Each is told the generations of its own tags, as they are once it is filled.
pub async fn many_fills_tell_the_generations_after_them(trial: &Trial<'_>) {
    let keys = entries(trial, 4);
    let (even, odd) = ([trial.tag("even")], [trial.tag("odd")]);
    let mut leases = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        leases.push(trial.granted_for(trial.request(key, if n % 2 == 0 { &even } else { &odd })).await);
    }
    let write = trial.mark(&[&even[0]]).await;
    trial.clear(&write).await;
    let now = [trial.generation(&even[0]).await, trial.generation(&odd[0]).await];
    for (n, filled) in fill(trial, &leases).await.into_iter().enumerate() {
        assert!(filled.stored, "a mark of a tag leaves tokens alone");
        assert_eq!(filled.tags, [now[n % 2]], "entry {n}");
        assert_eq!(filled.tags == leases[n].stamps, n % 2 == 1, "entry {n}");
    }
}

/// Given back, they are free.
pub async fn many_leases_are_released_at_once(trial: &Trial<'_>) {
    let keys = entries(trial, 3);
    let leases = all_granted(trial, &keys, &[]).await;
    let mut back: Vec<_> = leases.iter().map(|lease| (lease.key.clone(), lease.token)).collect();
    back[2].1 = trial.token();
    assert!(trial.store.release_many(&back).await.iter().all(Result::is_ok));
    let leased = lease(trial, &requests(trial, &keys, &[])).await;
    let free: Vec<_> = leased.iter().map(|leased| matches!(leased, Leased::Granted { .. })).collect();
    assert_eq!(free, [true, true, false], "another's token is no way to give it back");
}

/// The second question finds the first one's token.
pub async fn one_key_twice_among_many_is_granted_once(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let keys = [user.clone(), user];
    let leased = lease(trial, &requests(trial, &keys, &[])).await;
    let granted = leased.iter().filter(|leased| matches!(leased, Leased::Granted { .. })).count();
    assert_eq!(granted, 1, "{leased:?}");
}

/// As many as a batch has.
pub async fn a_thousand_entries_come_and_go_together(trial: &Trial<'_>) {
    let (keys, tags) = (entries(trial, 1000), [trial.tag("users")]);
    let leases = all_granted(trial, &keys, &tags).await;
    assert!(fill(trial, &leases).await.iter().all(|filled| filled.stored));
    for (key, found) in keys.iter().zip(get(trial, &keys, &tags).await) {
        assert_eq!(found.blob, Some(blob(found.epoch, key.subject.name())), "each gets its own");
    }
}
