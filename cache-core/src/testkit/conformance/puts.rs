//! Facts about write-through: a value is installed at clear only by a writer who was alone from mark to clear.

use std::time::Duration;

use super::trial::{Trial, blob};
use crate::store::{LeaseRequest, Origin, Put};
use crate::subject::{EntryKey, Epoch};

/// Alone from mark to clear: the next reader finds the value.
pub async fn a_put_of_a_solo_writer_is_installed(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    trial.filled(&user, "old").await;
    let write = trial.mark(&[&user.subject]).await;
    assert_eq!(trial.clear_with(&write, &[trial.put(&write, &user, "new")]).await, 1);
    assert_eq!(trial.blob(&user).await, Some(blob(write.epoch(), "new")));
}

/// One row may be cached in several shapes.
pub async fn several_puts_on_one_subject_are_installed(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let [second, untouched] = [1, 2].map(|n| EntryKey { field: user.field + n, ..user.clone() });
    trial.filled(&untouched, "old").await;
    let write = trial.mark(&[&user.subject]).await;
    let puts = [trial.put(&write, &user, "a"), trial.put(&write, &second, "b")];
    assert_eq!(trial.clear_with(&write, &puts).await, 2);
    assert_eq!(trial.blob(&user).await, Some(blob(write.epoch(), "a")));
    assert_eq!(trial.blob(&second).await, Some(blob(write.epoch(), "b")));
    assert_eq!(trial.blob(&untouched).await, None, "shapes that were not put are dropped");
}

/// The other may have committed last.
pub async fn no_put_after_another_writer_came_and_went(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let write = trial.mark(&[&user.subject]).await;
    trial.invalidate(&user.subject).await;
    assert_eq!(trial.clear_with(&write, &[trial.put(&write, &user, "old")]).await, 0);
    assert_eq!(trial.blob(&user).await, None);
    trial.granted(&user).await;
}

/// The one who was there first may commit last.
pub async fn no_put_after_a_writer_who_was_there_first(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let first = trial.mark(&[&user.subject]).await;
    let write = trial.mark(&[&user.subject]).await;
    trial.clear(&first).await;
    assert_eq!(trial.clear_with(&write, &[trial.put(&write, &user, "old")]).await, 0);
    assert_eq!(trial.blob(&user).await, None);
}

/// I1: while any fence stands there is no entry, whichever of the two came first.
pub async fn no_put_under_anothers_fence(trial: &Trial<'_>) {
    for (name, is_first) in [("user:1", true), ("user:2", false)] {
        let user = trial.entry(name);
        let first = trial.mark(&[&user.subject]).await;
        let second = trial.mark(&[&user.subject]).await;
        let (write, other) = if is_first { (first, second) } else { (second, first) };
        assert_eq!(trial.clear_with(&write, &[trial.put(&write, &user, "old")]).await, 0);
        assert_eq!(trial.blob(&user).await, None);
        assert_eq!(trial.fenced(&user).await[0].writer, other.writer);
    }
}

/// The dataset of the mark is gone, and what happened in between with it.
pub async fn no_put_in_another_epoch(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let write = trial.mark(&[&user.subject]).await;
    let put = Put { epoch: Epoch(write.epoch().0 ^ 1), ..trial.put(&write, &user, "old") };
    assert_eq!(trial.clear_with(&write, &[put]).await, 0);
    assert_eq!(trial.blob(&user).await, None);
    trial.granted(&user).await;
}

/// Without a fence nobody kept the others out.
pub async fn no_put_without_a_mark(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let mut write = trial.mark(&[&user.subject]).await;
    trial.clear(&write).await;
    write.writer = trial.writer();
    assert_eq!(trial.clear_with(&write, &[trial.put(&write, &user, "old")]).await, 0);
    assert_eq!(trial.blob(&user).await, None);
}

/// A clear whose answer was lost is sent again, and arrives after the next write.
pub async fn no_put_from_a_repeated_clear(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let write = trial.mark(&[&user.subject]).await;
    let puts = [trial.put(&write, &user, "old")];
    assert_eq!(trial.clear_with(&write, &puts).await, 1);
    trial.invalidate(&user.subject).await;
    assert_eq!(trial.clear_with(&write, &puts).await, 0);
    assert_eq!(trial.blob(&user).await, None);
}

/// A reader who was told that the writer is finished lifts the fence; others may have written since.
pub async fn no_put_after_the_fence_was_lifted_by_a_reader(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let write = trial.mark(&[&user.subject]).await;
    trial.granted_for(LeaseRequest { finished: &[write.writer], ..trial.request(&user, &[]) }).await;
    assert_eq!(trial.clear_with(&write, &[trial.put(&write, &user, "old")]).await, 0);
    assert_eq!(trial.blob(&user).await, None);
}

/// One's own repeated mark is not another writer's.
pub async fn marking_again_keeps_the_solo_bit(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let write = trial.mark(&[&user.subject]).await;
    trial.mark_as(write.writer, &Origin::none(), &[&user.subject]).await;
    assert_eq!(trial.clear_with(&write, &[trial.put(&write, &user, "new")]).await, 1);

    let write = trial.mark(&[&user.subject]).await;
    trial.invalidate(&user.subject).await;
    trial.mark_as(write.writer, &Origin::none(), &[&user.subject]).await;
    let installed = trial.clear_with(&write, &[trial.put(&write, &user, "old")]).await;
    assert_eq!(installed, 0, "nor does it bring a lost bit back");
}

/// Company on one subject does not cost the others their puts.
pub async fn each_put_is_decided_for_its_own_subject(trial: &Trial<'_>) {
    let [alone, crowded, plain] = ["user:1", "user:2", "user:3"].map(|name| trial.entry(name));
    let write = trial.mark(&[&alone.subject, &crowded.subject, &plain.subject]).await;
    trial.invalidate(&crowded.subject).await;
    let puts = [trial.put(&write, &crowded, "old"), trial.put(&write, &alone, "new")];
    assert_eq!(trial.clear_with(&write, &puts).await, 1);
    assert_eq!(trial.blob(&alone).await, Some(blob(write.epoch(), "new")));
    assert_eq!((trial.blob(&crowded).await, trial.blob(&plain).await), (None, None));
    trial.granted(&crowded).await;
    trial.granted(&plain).await;
}

/// A put lives as long as an entry that was filled.
pub async fn an_installed_put_expires(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let write = trial.mark(&[&user.subject]).await;
    let put = Put { ttl: Duration::from_millis(30), ..trial.put(&write, &user, "new") };
    assert_eq!(trial.clear_with(&write, &[put]).await, 1);
    assert!(trial.comes_true(async || trial.blob(&user).await.is_none()).await, "the entry outlives its ttl");
}
