//! Facts about fences: while a write is in flight nobody fills, and only its own writer or proof of its end lifts it.

use super::trial::{Trial, Write};
use crate::store::{LeaseRequest, Leased, Origin};
use crate::subject::EntryKey;

/// The load began before the write: its value may be older.
pub async fn fill_after_mark_is_refused(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let lease = trial.granted(&user).await;
    trial.mark(&[&user.subject]).await;
    assert!(!trial.fill(&lease, "old").await);
    assert_eq!(trial.blob(&user).await, None);
}

/// The stale-set race: a reader misses, a writer commits, the reader's value arrives too late.
pub async fn fill_after_invalidate_is_refused(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let lease = trial.granted(&user).await;
    trial.invalidate(&user.subject).await;
    assert!(!trial.fill(&lease, "old").await);
    assert_eq!(trial.blob(&user).await, None);
}

/// A write names the subject; it does not know which releases keep which entries there.
pub async fn a_mark_drops_every_entry_of_the_subject(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let other = EntryKey { field: !user.field, ..user.clone() };
    trial.filled(&user, "Ann").await;
    trial.filled(&other, "Ann").await;
    let write = trial.mark(&[&user.subject]).await;
    assert_eq!((trial.blob(&user).await, trial.blob(&other).await), (None, None), "marked");
    trial.clear(&write).await;
    assert_eq!((trial.blob(&user).await, trial.blob(&other).await), (None, None), "cleared");
}

/// After the write the next reader loads at once: the leases from before are void.
pub async fn a_mark_drops_tokens(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    trial.granted(&user).await;
    trial.invalidate(&user.subject).await;
    let lease = trial.granted(&user).await;
    assert!(trial.fill(&lease, "new").await);
}

/// A fence may have been lost before its clear, so a clear drops what was filled or leased since.
pub async fn a_late_clear_drops_entries_and_tokens_again(trial: &Trial<'_>) {
    let (user, leased) = (trial.entry("user:1"), trial.entry("user:2"));
    let write = trial.mark(&[&user.subject, &leased.subject]).await;
    trial.clear(&write).await;
    trial.filled(&user, "old").await;
    let lease = trial.granted(&leased).await;
    trial.clear(&write).await;
    assert_eq!(trial.blob(&user).await, None);
    assert!(!trial.fill(&lease, "old").await);
}

/// The answer names the writer, so that a healer can be asked; force changes nothing.
pub async fn nobody_leases_under_a_fence(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let origin = Origin::new("pg:7301:1:48213").expect("plain text");
    let write = trial.mark_as(trial.writer(), &origin, &[&user.subject]).await;
    for force in [false, true] {
        let fences = trial.fenced_for(LeaseRequest { force, ..trial.request(&user, &[]) }).await;
        assert_eq!(fences.len(), 1);
        assert_eq!((&fences[0].subject, fences[0].writer), (&user.subject, write.writer));
        assert_eq!(fences[0].origin, origin);
    }
    trial.clear(&write).await;
    trial.granted(&user).await;
}

/// Two writers on one subject: it is free when both are done.
pub async fn fences_of_several_writers_stand_until_each_is_lifted(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let first = trial.mark(&[&user.subject]).await;
    let second = trial.mark(&[&user.subject]).await;
    let mut standing: Vec<_> = trial.fenced(&user).await.iter().map(|fence| fence.writer).collect();
    standing.sort_unstable();
    let mut both = [first.writer, second.writer];
    both.sort_unstable();
    assert_eq!(standing, both);
    trial.clear(&first).await;
    assert_eq!(trial.fenced(&user).await[0].writer, second.writer);
    trial.clear(&second).await;
    trial.granted(&user).await;
}

/// I3: an attempt that was given up is cleared late, when the next attempt's fence stands.
pub async fn a_late_clear_of_one_attempt_lifts_no_other_fence(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let given_up = trial.mark(&[&user.subject]).await;
    trial.clear(&given_up).await;
    let next = trial.mark(&[&user.subject]).await;
    trial.clear(&given_up).await;
    let fences = trial.fenced(&user).await;
    assert_eq!(fences.iter().map(|fence| fence.writer).collect::<Vec<_>>(), [next.writer]);
}

/// Commands are sent again when their answer was lost.
pub async fn marking_and_clearing_twice_is_as_once(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let write = trial.mark(&[&user.subject]).await;
    trial.mark_as(write.writer, &Origin::none(), &[&user.subject]).await;
    assert_eq!(trial.fenced(&user).await.len(), 1);
    trial.clear(&write).await;
    trial.granted(&user).await;
    trial.clear(&write).await;
    trial.granted(&user).await;
}

/// Healing: a reader who knows that a writer is finished lifts its fence, and no other.
pub async fn finished_writers_are_lifted_by_a_lease(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let [a, b, c] = [trial.writer(), trial.writer(), trial.writer()];
    for writer in [a, b, c] {
        trial.mark_as(writer, &Origin::none(), &[&user.subject]).await;
    }
    let fences = trial.fenced_for(LeaseRequest { finished: &[a, b], ..trial.request(&user, &[]) }).await;
    assert_eq!(fences.iter().map(|fence| fence.writer).collect::<Vec<_>>(), [c]);
    let lease = trial.granted_for(LeaseRequest { finished: &[c], ..trial.request(&user, &[]) }).await;
    assert!(trial.fill(&lease, "new").await);
}

/// The load began before the write; a reader lifts the fence, and no clear has come by to drop the token.
pub async fn fill_after_a_mark_that_a_reader_lifted_is_refused(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let old = trial.granted(&user).await;
    let write = trial.mark(&[&user.subject]).await;
    let request = LeaseRequest { finished: &[write.writer], ..trial.request(&user, &[]) };
    let new = trial.granted_for(request).await;
    assert!(!trial.fill(&old, "old").await);
    assert!(trial.fill(&new, "new").await);
}

/// Proof of another writer's end is no proof of this one's.
pub async fn a_finished_writer_nobody_knows_changes_nothing(trial: &Trial<'_>) {
    let (user, free) = (trial.entry("user:1"), trial.entry("user:2"));
    trial.mark(&[&user.subject]).await;
    let finished = [trial.writer()];
    trial.fenced_for(LeaseRequest { finished: &finished, ..trial.request(&user, &[]) }).await;
    trial.granted_for(LeaseRequest { finished: &finished, ..trial.request(&free, &[]) }).await;
}

/// A write with many subjects fences all of them, entities and tags.
pub async fn one_mark_fences_every_subject(trial: &Trial<'_>) {
    let keys: Vec<_> = (0..50).map(|id| trial.entry(&format!("user:{id}"))).collect();
    let tags = [trial.tag("users"), trial.tag("orgs")];
    let subjects: Vec<_> = keys.iter().map(|key| &key.subject).chain(&tags).collect();
    let write = trial.mark(&subjects).await;
    for key in &keys {
        trial.fenced(key).await;
    }
    let tagged = trial.entry("list");
    for tag in &tags {
        trial.fenced_for(trial.request(&tagged, std::slice::from_ref(tag))).await;
    }
    trial.clear(&write).await;
    for key in &keys {
        trial.granted(key).await;
    }
    trial.granted_for(trial.request(&tagged, &tags)).await;
}

/// A write to one user leaves the others' entries, leases and fences.
pub async fn a_fence_leaves_other_subjects_alone(trial: &Trial<'_>) {
    let [marked, filled, leased] = ["user:1", "user:10", "user:11"].map(|name| trial.entry(name));
    let stored = trial.filled(&filled, "Ann").await;
    let lease = trial.granted(&leased).await;
    let write = trial.mark(&[&marked.subject]).await;
    assert_eq!(trial.blob(&filled).await, Some(stored.clone()));
    assert!(trial.fill(&lease, "Bob").await);
    trial.clear(&write).await;
    assert_eq!(trial.blob(&filled).await, Some(stored));
}

/// Healers ask about old fences only, so a fence tells its age on the store's clock.
pub async fn a_fence_grows_old(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let write = trial.mark(&[&user.subject]).await;
    let grows = trial.comes_true(async || trial.fenced(&user).await[0].age.as_millis() >= 20).await;
    assert!(grows, "the fence stays young");
    let now = trial.get(&user, &[]).await.now;
    let age = trial.fenced(&user).await[0].age;
    assert!(age.as_millis() <= now.since(write.marked.now).as_millis() + 10_000, "{age:?} is too old");
}

/// The longest origin comes back as it was given.
pub async fn a_long_origin_is_kept(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let origin = Origin::new(&"~!{}:\"'\\%".repeat(22)).expect("198 printable characters");
    trial.mark_as(trial.writer(), &origin, &[&user.subject]).await;
    assert_eq!(trial.fenced(&user).await[0].origin, origin);
}

/// A write without subjects is no error.
pub async fn marking_nothing_is_allowed(trial: &Trial<'_>) {
    let write = trial.mark(&[]).await;
    trial.clear(&write).await;
    let leased = trial.lease(trial.request(&trial.entry("user:1"), &[])).await;
    assert!(matches!(leased, Leased::Granted { .. }), "{leased:?}");
}

/// A writer whose fence is gone cannot know what was filled meanwhile.
pub async fn a_clear_tells_whether_every_fence_stood(trial: &Trial<'_>) {
    let (user, other, tag) = (trial.entry("user:1"), trial.entry("user:2"), trial.tag("users"));
    let subjects = [&user.subject, &other.subject, &tag];
    let write = trial.mark(&subjects).await;
    assert!(trial.cleared(&write, &[]).await.intact, "all stood");
    assert!(!trial.cleared(&write, &[]).await.intact, "all are gone");
    for lifted in [&other.subject, &tag] {
        let write = trial.mark(&subjects).await;
        trial.clear(&Write { subjects: vec![lifted.clone()], ..write.clone() }).await;
        assert!(!trial.cleared(&write, &[]).await.intact, "one is gone");
    }
}
