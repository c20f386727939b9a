//! Facts about entries: what was filled is found, for as long as it lives, and nothing else.

use std::time::Duration;

use bytes::Bytes;

use super::trial::{Trial, blob};
use crate::subject::EntryKey;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(600);

/// A fresh subject holds nothing.
pub async fn nothing_is_found_before_a_fill(trial: &Trial<'_>) {
    assert_eq!(trial.blob(&trial.entry("user:1")).await, None);
}

/// The plain way: lease, fill, get.
pub async fn what_was_filled_is_found(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let stored = trial.filled(&user, "Ann").await;
    assert_eq!(trial.blob(&user).await, Some(stored));
}

/// A blob is bytes: none, every value, line ends, a megabyte.
pub async fn any_bytes_are_kept(trial: &Trial<'_>) {
    let every: Vec<u8> = (0..=255).collect();
    let blobs = [Vec::new(), vec![0], b"\r\n$-1\r\n".to_vec(), every.repeat(3), vec![0xa5; 1 << 20]];
    for (number, bytes) in blobs.into_iter().enumerate() {
        let (key, bytes) = (trial.entry(&format!("blob:{number}")), Bytes::from(bytes));
        let lease = trial.granted(&key).await;
        assert!(trial.fill_blob(&lease, &bytes, LONG).await.stored);
        assert_eq!(trial.blob(&key).await, Some(bytes), "blob {number}");
    }
}

/// Two releases with different fingerprints neither read nor fill nor block each other's entries.
pub async fn fields_of_one_subject_are_independent(trial: &Trial<'_>) {
    let old = trial.entry("user:1");
    let new = EntryKey { field: !old.field, ..old.clone() };
    let old_lease = trial.granted(&old).await;
    let new_lease = trial.granted(&new).await;
    assert!(trial.fill(&new_lease, "new").await);
    assert_eq!(trial.blob(&old).await, None);
    assert!(trial.fill(&old_lease, "old").await);
    assert_eq!(trial.blob(&new).await, Some(blob(new_lease.epoch, "new")));
    assert_eq!(trial.blob(&old).await, Some(blob(old_lease.epoch, "old")));
}

/// Names with separators, braces, control characters, other scripts, none at all, and long ones that end in a digest.
pub async fn strange_names_do_not_meet(trial: &Trial<'_>) {
    let long = "x".repeat(500);
    let names = [
        "",
        ":",
        "a",
        "a:",
        "a b",
        "{a}",
        "{a",
        "a}:v",
        "a:v",
        "a|b",
        "\0",
        "\r\n",
        "\u{7f}\u{1b}[0m",
        "*?[a]",
        "Zoë 🦀 名",
        long.as_str(),
        &format!("{long}y"),
        &format!("{long}z"),
    ];
    let mut stored = Vec::new();
    for name in names {
        assert_eq!(trial.blob(&trial.entry(name)).await, None, "{name:?} before its fill");
        stored.push((name, trial.filled(&trial.entry(name), name).await));
    }
    let Some((last, _)) = stored.pop() else { return };
    trial.mark(&[&trial.subject(last)]).await;
    for (name, blob) in stored {
        let found = trial.blob(&trial.entry(name)).await;
        assert_eq!(found, Some(blob), "{name:?} when all were filled and the last was marked");
    }
}

/// `user:1` may be an entity here and a tag there.
pub async fn a_tag_and_an_entity_of_one_name_are_independent(trial: &Trial<'_>) {
    let (user, tag) = (trial.entry("user:1"), trial.tag("user:1"));
    let tags = [tag.clone()];
    let lease = trial.granted_for(trial.request(&user, &tags)).await;
    assert!(trial.fill(&lease, "Ann").await);
    let write = trial.mark(&[&tag]).await;
    let found = trial.get(&user, &tags).await;
    assert_eq!(found.blob, Some(blob(lease.epoch, "Ann")), "a mark of the tag leaves the entity's entry");
    trial.clear(&write).await;

    let before = trial.generation(&tag).await;
    let write = trial.mark(&[&user.subject]).await;
    assert_eq!(trial.generation(&tag).await, before, "a mark of the entity leaves the tag's generation");
    trial.granted_for(trial.request(&trial.entry("user:2"), &tags)).await;
    trial.clear(&write).await;
    assert_eq!(trial.generation(&tag).await, before, "so does its clear");
}

/// An entry whose time has passed is gone, at the latest when no other entry of the subject lives longer.
pub async fn an_entry_expires(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let lease = trial.granted(&user).await;
    assert!(trial.fill_blob(&lease, &blob(lease.epoch, "Ann"), SHORT).await.stored);
    assert!(trial.comes_true(async || trial.blob(&user).await.is_none()).await, "the entry outlives its ttl");
}

/// A short-lived entry of the same subject, filled before or after, does not take a longer one with it.
pub async fn a_longer_entry_outlives_a_shorter_one(trial: &Trial<'_>) {
    for short_comes_first in [true, false] {
        let long = trial.entry(if short_comes_first { "user:1" } else { "user:2" });
        let short = EntryKey { field: !long.field, ..long.clone() };
        let (long_lease, short_lease) = (trial.granted(&long).await, trial.granted(&short).await);
        if !short_comes_first {
            assert!(trial.fill(&long_lease, "long").await);
        }
        assert!(trial.fill_blob(&short_lease, &blob(short_lease.epoch, "short"), SHORT).await.stored);
        if short_comes_first {
            assert!(trial.fill(&long_lease, "long").await);
        }
        let filled_by = trial.get(&long, &[]).await.now;
        trial.clock_reaches(filled_by.after(SHORT * 2)).await;
        let found = trial.blob(&long).await;
        assert_eq!(found, Some(blob(long_lease.epoch, "long")), "short first: {short_comes_first}");
    }
}

/// One dataset, one epoch, and a subject is in one; one store, one clock, whichever command tells it.
pub async fn all_answers_carry_one_epoch_and_one_clock(trial: &Trial<'_>) {
    let (user, tags) = (trial.entry("user:1"), [trial.tag("users")]);
    let lease = trial.granted_for(trial.request(&user, &tags)).await;
    let filled = trial.fill_blob(&lease, &blob(lease.epoch, "Ann"), LONG).await;
    let found = trial.get(&user, &tags).await;
    let write = trial.mark(&[&user.subject, &tags[0]]).await;
    assert_eq!([filled.epoch, found.epoch, write.marked.epochs[0]], [lease.epoch; 3]);
    let of_tag = [filled.tags[0].epoch, found.tags[0].epoch, write.marked.epochs[1]];
    assert_eq!(of_tag, [lease.stamps[0].epoch; 3]);
    for (command, now) in [("get", found.now), ("mark", write.marked.now)] {
        let apart = now.since(lease.now) + lease.now.since(now);
        assert!(apart < Duration::from_secs(30), "{command} and lease tell times {apart:?} apart");
    }
}
