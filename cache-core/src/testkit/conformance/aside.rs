//! What marks drop, where entries ask to be kept aside. A store may keep nothing; what it keeps must not pass for anything else.

use std::time::Duration;

use super::trial::{Trial, blob};
use crate::entry;
use crate::store::{Aside, Leased, Put};
use crate::subject::EntryKey;
use crate::time::StoreTime;

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(60);

/// An entry that asks to be kept aside for so long, and when its lease was granted.
async fn filled(trial: &Trial<'_>, key: &EntryKey, value: &str, aside: Duration) -> StoreTime {
    let lease = trial.granted(key).await;
    assert!(trial.fill_with(&lease, &blob(lease.epoch, value), LONG, aside).await.stored);
    lease.now
}

/// The bytes that are kept, if they are these or none.
async fn kept(trial: &Trial<'_>, key: &EntryKey, value: &str) -> Option<Aside> {
    let kept = trial.aside(key).await?;
    assert_eq!(kept.blob, blob(kept.epoch, value), "what is kept is what was dropped last, in its epoch");
    Some(kept)
}

/// Whether a store keeps anything aside. Not a fact: one that keeps nothing is as good, only slower for those who ask.
pub async fn keeps(trial: &Trial<'_>) -> bool {
    let user = trial.entry("user:1");
    filled(trial, &user, "old", LONG).await;
    trial.invalidate(&user.subject).await;
    kept(trial, &user, "old").await.is_some()
}

/// Not before it is dropped, and not if it did not ask for it.
pub async fn nothing_is_kept_aside_unasked(trial: &Trial<'_>) {
    let (asked, unasked) = (trial.entry("user:1"), trial.entry("user:2"));
    assert!(trial.aside(&asked).await.is_none());
    filled(trial, &asked, "old", LONG).await;
    filled(trial, &unasked, "old", Duration::ZERO).await;
    assert!(trial.aside(&asked).await.is_none(), "an entry that stands is not aside");
    trial.invalidate(&unasked.subject).await;
    assert!(trial.aside(&unasked).await.is_none());
}

/// With the moment of the mark, on the one clock.
pub async fn what_a_mark_drops_is_kept_aside_from_that_moment(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let before = filled(trial, &user, "old", LONG).await;
    let write = trial.mark(&[&user.subject]).await;
    for _ in 0..2 {
        if let Some(Aside { now, since, .. }) = kept(trial, &user, "old").await {
            assert!(before <= since && since <= write.marked.now, "{since:?} is not when it was marked");
            assert!(now >= since);
        }
        trial.clear(&write).await;
    }
    let other = EntryKey { field: !user.field, ..user };
    assert!(trial.aside(&other).await.is_none(), "each entry by itself");
}

/// I1 and I2: it is no entry, under the fence and after it.
pub async fn what_is_kept_aside_is_no_entry(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    filled(trial, &user, "old", LONG).await;
    let write = trial.mark(&[&user.subject]).await;
    assert_eq!(trial.blob(&user).await, None);
    trial.fenced(&user).await;
    trial.clear(&write).await;
    assert_eq!(trial.blob(&user).await, None);
    assert!(matches!(trial.lease(trial.request(&user, &[])).await, Leased::Granted { .. }));
}

/// Entries that a clear finds were filled while a fence was lost: nobody knows how old they are.
pub async fn a_clear_keeps_nothing_aside(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let mut write = trial.mark(&[&user.subject]).await;
    trial.clear(&write).await;
    filled(trial, &user, "old", LONG).await;
    write.writer = trial.writer();
    trial.clear(&write).await;
    assert_eq!(trial.blob(&user).await, None);
    assert!(trial.aside(&user).await.is_none());
}

/// The moment is that at which it was dropped, whatever came later.
pub async fn a_mark_that_finds_nothing_makes_what_is_kept_no_younger(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    filled(trial, &user, "old", LONG).await;
    let first = trial.mark(&[&user.subject]).await;
    trial.clock_reaches(first.marked.now).await;
    trial.clear(&first).await;
    let second = trial.mark(&[&user.subject]).await;
    trial.clear(&second).await;
    if let Some(aside) = kept(trial, &user, "old").await {
        assert!(aside.since <= first.marked.now, "it was dropped by the first mark");
    }
}

/// Of two, the newer one.
pub async fn what_is_dropped_later_takes_the_place_of_what_was_dropped_before(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    for value in ["first", "second"] {
        filled(trial, &user, value, LONG).await;
        let write = trial.mark(&[&user.subject]).await;
        trial.clear(&write).await;
        kept(trial, &user, value).await;
    }
}

/// What was kept is gone when its window is over.
pub async fn what_is_kept_aside_goes_when_its_window_is_over(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    filled(trial, &user, "old", SHORT).await;
    let write = trial.mark(&[&user.subject]).await;
    trial.clear(&write).await;
    trial.clock_reaches(write.marked.now.after(SHORT)).await;
    assert!(trial.comes_true(async || trial.aside(&user).await.is_none()).await, "it outlives its window");
}

/// A shorter one of the same subject takes nothing from it, whichever was filled first.
pub async fn the_longest_window_of_a_subject_counts(trial: &Trial<'_>) {
    if !keeps(trial).await {
        return;
    }
    for (name, short_comes_first) in [("user:2", true), ("user:3", false)] {
        let long = trial.entry(name);
        let short = EntryKey { field: !long.field, ..long.clone() };
        let order = if short_comes_first { [&short, &long] } else { [&long, &short] };
        for key in order {
            filled(trial, key, "old", if key == &long { LONG } else { SHORT }).await;
        }
        let write = trial.mark(&[&long.subject]).await;
        trial.clear(&write).await;
        trial.clock_reaches(write.marked.now.after(SHORT * 2)).await;
        assert!(trial.aside(&long).await.is_some(), "short first: {short_comes_first}");
    }
}

/// As if it had been loaded.
pub async fn a_put_asks_to_be_kept_aside_like_a_fill(trial: &Trial<'_>) {
    let [asked, unasked] = ["user:1", "user:2"].map(|name| trial.entry(name));
    let keeps = keeps(&Trial::new(trial.store)).await;
    for (key, aside) in [(&asked, LONG), (&unasked, Duration::ZERO)] {
        let write = trial.mark(&[&key.subject]).await;
        let put = Put { aside, ..trial.put(&write, key, "put") };
        assert_eq!(trial.clear_with(&write, &[put]).await, 1);
        trial.invalidate(&key.subject).await;
        assert_eq!(kept(trial, key, "put").await.is_some(), keeps && !aside.is_zero());
    }
}

/// What was kept before the namespace was cleared is of an epoch that no answer has any more.
pub async fn a_clear_of_the_namespace_makes_what_is_kept_worthless(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    filled(trial, &user, "old", LONG).await;
    trial.invalidate(&user.subject).await;
    trial.clear_namespace().await;
    if let Some(Aside { epoch, blob, .. }) = trial.aside(&user).await {
        assert_ne!(blob.get(entry::EPOCH), Some(&epoch.0.to_le_bytes()[..]));
    }
}
