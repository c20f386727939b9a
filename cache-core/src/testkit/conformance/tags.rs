//! Facts about tags: a generation is made once, never comes back, and a fence on a tag keeps its entries from being filled.

use std::time::Duration;

use super::trial::{Trial, blob};
use crate::store::{ClearRequest, LeaseRequest, Leased, MarkRequest, Origin};

const LONG: Duration = Duration::from_secs(600);

/// A get makes nothing.
pub async fn a_tag_nobody_used_has_no_generation(trial: &Trial<'_>) {
    let tag = trial.tag("users");
    assert_eq!(trial.generation(&tag).await.generation, None);
    assert_eq!(trial.generation(&tag).await.generation, None);
}

/// All leases, gets and fills between two writes see one generation.
pub async fn a_generation_is_made_once_and_stays(trial: &Trial<'_>) {
    let tags = [trial.tag("users")];
    let [first, second] = ["users:1", "users:2"].map(|name| trial.entry(name));
    let a = trial.granted_for(trial.request(&first, &tags)).await;
    let b = trial.granted_for(trial.request(&second, &tags)).await;
    assert!(a.stamps[0].generation.is_some());
    assert_eq!(a.stamps, b.stamps);
    assert_eq!(trial.generation(&tags[0]).await, a.stamps[0]);
    assert_eq!(trial.fill_blob(&a, &blob(a.epoch, "list"), LONG).await.tags, a.stamps);
    assert_eq!(trial.get(&first, &tags).await.tags, a.stamps);
}

/// Each tag turns for itself, so two must not share a generation by accident.
pub async fn one_seed_gives_every_tag_its_own_generation(trial: &Trial<'_>) {
    let tags = [trial.tag("users"), trial.tag("orgs")];
    let lease = trial.granted_for(trial.request(&trial.entry("list"), &tags)).await;
    assert_ne!(lease.stamps[0], lease.stamps[1]);
    let write = trial.mark(&[&tags[0], &tags[1]]).await;
    assert_ne!(trial.generation(&tags[0]).await, trial.generation(&tags[1]).await, "marked");
    trial.clear(&write).await;
    assert_ne!(trial.generation(&tags[0]).await, trial.generation(&tags[1]).await, "cleared");
}

/// A mark and a clear each kill what was stamped before, also when they are repeated.
pub async fn every_mark_and_every_clear_turns_the_generation(trial: &Trial<'_>) {
    turns(trial, || trial.random()).await;
}

/// A command that arrives a second time, after later writes, carries the seed it had: the generation it made then must not
/// come back, for old entries are stamped with it.
pub async fn generations_never_repeat_although_the_seed_does(trial: &Trial<'_>) {
    let seed = trial.random();
    turns(trial, || seed).await;
}

async fn turns(trial: &Trial<'_>, seed: impl Fn() -> u64) {
    let (store, tags, writer) = (trial.store, [trial.tag("users")], trial.writer());
    let list = trial.entry("list");
    let request = LeaseRequest { seed: seed(), ..trial.request(&list, &tags) };
    let mut seen = vec![trial.granted_for(request).await.stamps[0]];
    for command in ["mark", "mark", "clear", "clear", "mark", "clear"] {
        let (seed, subjects, tag_ttl) = (seed(), &tags, LONG);
        let error = if command == "mark" {
            let origin = &Origin::none();
            store.mark(MarkRequest { writer, origin, subjects, seed, tag_ttl }).await.err()
        } else {
            store.clear(ClearRequest { writer, subjects, puts: &[], seed, tag_ttl }).await.err()
        };
        assert!(error.is_none(), "{command} failed: {error:?}");
        let stamp = trial.generation(&tags[0]).await;
        assert!(stamp.generation.is_some(), "{command} leaves no generation");
        assert!(!seen.contains(&stamp), "{command} brings {stamp:?} back, after {seen:?}");
        seen.push(stamp);
    }
}

/// The fence may have been lost, and entries been filled under the generation of the mark.
pub async fn a_clear_turns_the_generation_although_the_fence_is_gone(trial: &Trial<'_>) {
    let tags = [trial.tag("users")];
    let list = trial.entry("list");
    let write = trial.mark(&[&tags[0]]).await;
    let request = LeaseRequest { finished: &[write.writer], ..trial.request(&list, &tags) };
    let lease = trial.granted_for(request).await;
    assert!(trial.fill(&lease, "old").await);
    trial.clear(&write).await;
    assert_ne!(trial.get(&list, &tags).await.tags, lease.stamps);
}

/// The caller compares by position.
pub async fn stamps_come_in_the_order_asked_for(trial: &Trial<'_>) {
    let (list, [a, b, c]) = (trial.entry("list"), ["a", "b", "c"].map(|name| trial.tag(name)));
    let tags = [a.clone(), b.clone(), c.clone()];
    let lease = trial.granted_for(trial.request(&list, &tags)).await;
    assert!(trial.fill(&lease, "list").await);
    let turned = [c, a.clone(), b];
    let [x, y, z] = [lease.stamps[0], lease.stamps[1], lease.stamps[2]];
    assert_eq!(trial.get(&list, &turned).await.tags, [z, x, y]);
    let unknown = [trial.tag("unknown"), a];
    let stamps = trial.get(&list, &unknown).await.tags;
    assert_eq!((stamps[0].generation, stamps[1]), (None, x));
}

/// A mark of a tag does not look for entries; their stamps no longer match.
pub async fn an_entry_outlives_its_tags_mark_under_an_old_stamp(trial: &Trial<'_>) {
    let (list, tags) = (trial.entry("list"), [trial.tag("users")]);
    let lease = trial.granted_for(trial.request(&list, &tags)).await;
    assert!(trial.fill(&lease, "list").await);
    let write = trial.mark(&[&tags[0]]).await;
    assert_ne!(trial.get(&list, &tags).await.tags, lease.stamps, "marked");
    trial.clear(&write).await;
    assert_ne!(trial.get(&list, &tags).await.tags, lease.stamps, "cleared");
    let request = LeaseRequest { force: true, ..trial.request(&list, &tags) };
    let lease = trial.granted_for(request).await;
    assert!(trial.fill(&lease, "new").await);
    let found = trial.get(&list, &tags).await;
    assert_eq!((found.blob, found.tags), (Some(blob(lease.epoch, "new")), lease.stamps));
}

/// "Stored" proves nothing about a write that marked only the tag, so the fill reads the generations again.
pub async fn a_fill_tells_the_generations_after_it(trial: &Trial<'_>) {
    let (list, tags) = (trial.entry("list"), [trial.tag("users"), trial.tag("orgs")]);
    let lease = trial.granted_for(trial.request(&list, &tags)).await;
    trial.invalidate(&tags[0]).await;
    let filled = trial.fill_blob(&lease, &blob(lease.epoch, "list"), LONG).await;
    assert!(filled.stored, "a mark of a tag leaves the leases of its entries");
    assert_ne!(filled.tags[0], lease.stamps[0]);
    assert_eq!(filled.tags[1], lease.stamps[1]);
}

/// Present or found, the caller compares the same stamps.
pub async fn a_present_entry_comes_with_its_stamps(trial: &Trial<'_>) {
    let (list, tags) = (trial.entry("list"), [trial.tag("users"), trial.tag("orgs")]);
    let lease = trial.granted_for(trial.request(&list, &tags)).await;
    assert!(trial.fill(&lease, "list").await);
    match trial.lease(trial.request(&list, &tags)).await {
        Leased::Present(found) => assert_eq!(found.tags, lease.stamps),
        other => panic!("lease answered {other:?} although an entry stands"),
    }
}

/// One fence on one of several tags: nobody fills, and nobody is kept waiting by a lease that was never used.
pub async fn a_fence_on_a_tag_fences_and_gives_the_lease_back(trial: &Trial<'_>) {
    let (list, tags) = (trial.entry("list"), [trial.tag("users"), trial.tag("orgs")]);
    let write = trial.mark(&[&tags[1]]).await;
    let fences = trial.fenced_for(trial.request(&list, &tags)).await;
    assert_eq!(fences.len(), 1);
    assert_eq!((&fences[0].subject, fences[0].writer), (&tags[1], write.writer));
    let untagged = trial.granted(&list).await;
    trial.release(&list, untagged.token).await;
    trial.clear(&write).await;
    trial.granted_for(trial.request(&list, &tags)).await;
}

/// A fence on the subject and one on a tag are both told; an entry under a fenced tag is not served.
pub async fn a_fence_on_a_tag_hides_an_entry_that_stands(trial: &Trial<'_>) {
    let (list, tags) = (trial.entry("list"), [trial.tag("users")]);
    let lease = trial.granted_for(trial.request(&list, &tags)).await;
    assert!(trial.fill(&lease, "list").await);
    trial.mark(&[&tags[0]]).await;
    assert_eq!(trial.fenced_for(trial.request(&list, &tags)).await.len(), 1);
    trial.mark(&[&list.subject]).await;
    assert_eq!(trial.fenced_for(trial.request(&list, &tags)).await.len(), 2);
}

/// Healing works on tags as on entities.
pub async fn finished_writers_are_lifted_from_tags_too(trial: &Trial<'_>) {
    let (list, tags) = (trial.entry("list"), [trial.tag("users")]);
    let write = trial.mark(&[&list.subject, &tags[0]]).await;
    assert_eq!(trial.fenced_for(trial.request(&list, &tags)).await.len(), 2);
    let request = LeaseRequest { finished: &[write.writer], ..trial.request(&list, &tags) };
    let lease = trial.granted_for(request).await;
    assert!(trial.fill(&lease, "new").await);
    trial.granted_for(trial.request(&trial.entry("list:2"), &tags)).await;
}

/// A tag that was evicted or has expired gets another generation from the same seed, so entries from before are dead. A
/// store that keeps generations longer than asked keeps this one: then it must not change.
pub async fn a_lost_generation_is_made_anew(trial: &Trial<'_>) {
    let tags = [trial.tag("users")];
    let [first, second] = ["list:1", "list:2"].map(|name| trial.entry(name));
    let request = LeaseRequest { tag_ttl: Duration::from_millis(5), ..trial.request(&first, &tags) };
    let lease = trial.granted_for(request).await;
    let lost = trial.comes_true(async || trial.generation(&tags[0]).await.generation.is_none()).await;
    let again = trial.granted_for(trial.request(&second, &tags)).await;
    assert!(again.stamps[0].generation.is_some());
    assert_eq!(again.stamps == lease.stamps, !lost, "{:?}, then {:?}", lease.stamps, again.stamps);
}
