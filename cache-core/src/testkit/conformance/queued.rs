//! Facts about queued writes: one that stands is what readers get, and nothing older comes back. A store may show none; then it
//! says so.

use std::time::Duration;

use bytes::Bytes;

use super::trial::{Lease, Trial};
use crate::error::StoreErrorKind;
use crate::store::{Leased, PendRequest, Queued};
use crate::subject::{EntryKey, JournalId, Position, Subject};

const JOURNAL: JournalId = JournalId(u128::MAX - 7);
const OTHER: JournalId = JournalId(3);

/// Shows a write of this journal; whether the store shows queued writes at all.
async fn pend(
    trial: &Trial<'_>,
    key: &EntryKey,
    (journal, position): (JournalId, u128),
    value: &str,
) -> bool {
    let payload = Bytes::copy_from_slice(value.as_bytes());
    let position = Position(position);
    match trial.store.pend(PendRequest { key, journal, position, payload: &payload }).await {
        Ok(_) => true,
        Err(error) if error.kind() == StoreErrorKind::Rejected => false,
        Err(error) => panic!("pend failed: {error}"),
    }
}

async fn settle(trial: &Trial<'_>, subject: &Subject, (journal, position): (JournalId, u128)) {
    trial.store.settle(subject, journal, Position(position)).await.expect("settle is answered");
}

/// What a lease answers, which must be the same as what is told about the subject.
async fn queued(trial: &Trial<'_>, key: &EntryKey) -> Option<Queued> {
    let told = trial.store.queued(&key.subject).await.expect("queued is answered");
    let request = trial.request(key, &[]);
    let token = request.token;
    let leased = match trial.lease(request).await {
        Leased::Queued(queued) => Some(queued),
        Leased::Granted { .. } => {
            trial.release(key, token).await;
            None
        }
        _ => None,
    };
    let alike = |queued: &Queued| (queued.journal, queued.position, queued.field, queued.payload.clone());
    assert_eq!(told.as_ref().map(alike), leased.as_ref().map(alike));
    leased
}

async fn value(trial: &Trial<'_>, key: &EntryKey) -> Option<String> {
    queued(trial, key).await.map(|queued| String::from_utf8_lossy(&queued.payload).into_owned())
}

/// Whether a store shows queued writes. Not a fact: one that does not says so, and `#[writes_behind]` needs another.
pub async fn shows(trial: &Trial<'_>) -> bool {
    let user = trial.entry("user:1");
    pend(trial, &user, (JOURNAL, 1), "new").await && queued(trial, &user).await.is_some()
}

/// With all that the reader needs to judge it, and any bytes.
pub async fn a_queued_write_is_what_a_lease_answers(trial: &Trial<'_>) {
    let user = EntryKey { field: 7, ..trial.entry("user: {1}\u{0}ü") };
    let odd = "a:b\u{0}\n}{~\u{7f}é";
    if !pend(trial, &user, (JOURNAL, 1 << 100), odd).await {
        return;
    }
    let shown = queued(trial, &user).await.expect("it stands");
    assert_eq!((shown.journal, shown.position, shown.field), (JOURNAL, Position(1 << 100), 7));
    assert_eq!(shown.payload, odd.as_bytes());
    assert!(shown.is_of_epoch && shown.age < Duration::from_secs(60), "{shown:?}");
    let other = EntryKey { field: 8, ..user };
    assert_eq!(
        value(trial, &other).await.as_deref(),
        Some(odd),
        "whatever entry of the subject is asked for"
    );
    assert_eq!(value(trial, &trial.entry("user:2")).await, None);
}

/// I1 and I2, as under a mark.
pub async fn a_queued_write_drops_entries_and_tokens(trial: &Trial<'_>) {
    let (user, other) = (trial.entry("user:1"), trial.entry("user:2"));
    trial.filled(&user, "old").await;
    let lease: Lease = trial.granted(&other).await;
    if !pend(trial, &user, (JOURNAL, 1), "new").await {
        return;
    }
    assert!(pend(trial, &other, (JOURNAL, 2), "new").await);
    assert_eq!(trial.blob(&user).await, None);
    assert!(!trial.fill(&lease, "old").await, "what was leased before is refused");
    assert_eq!(trial.blob(&other).await, None);
}

/// A write that is in flight may be older or newer; nobody fills either way.
pub async fn a_queued_write_is_shown_under_a_fence_too(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let write = trial.mark(&[&user.subject]).await;
    if !pend(trial, &user, (JOURNAL, 1), "new").await {
        return;
    }
    assert_eq!(value(trial, &user).await.as_deref(), Some("new"));
    trial.clear(&write).await;
    assert_eq!(value(trial, &user).await.as_deref(), Some("new"), "a clear is not about what is queued");
    trial.invalidate(&user.subject).await;
    assert_eq!(value(trial, &user).await.as_deref(), Some("new"));
}

/// Their commands may overtake each other.
pub async fn of_one_journal_the_later_write_stands(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    if !pend(trial, &user, (JOURNAL, 0x10), "newer").await {
        return;
    }
    pend(trial, &user, (JOURNAL, 0xf), "older").await;
    assert_eq!(value(trial, &user).await.as_deref(), Some("newer"));
    pend(trial, &user, (JOURNAL, 0x10), "newer").await;
    pend(trial, &user, (JOURNAL, 0x11), "newest").await;
    assert_eq!(value(trial, &user).await.as_deref(), Some("newest"));
    pend(trial, &user, (OTHER, 1), "another's").await;
    assert_eq!(value(trial, &user).await.as_deref(), Some("another's"), "of two the one that came last");
}

/// Its value is in the database.
pub async fn a_settled_write_is_gone_and_stays_gone(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    if !pend(trial, &user, (JOURNAL, 5), "new").await {
        return;
    }
    settle(trial, &user.subject, (JOURNAL, 7)).await;
    assert_eq!(value(trial, &user).await, None);
    for late in [4, 5, 7] {
        pend(trial, &user, (JOURNAL, late), "late").await;
        assert_eq!(value(trial, &user).await, None, "it was on its way while it was flushed");
    }
    trial.filled(&user, "loaded").await;
    pend(trial, &user, (JOURNAL, 8), "next").await;
    assert_eq!((trial.blob(&user).await, value(trial, &user).await.as_deref()), (None, Some("next")));
}

/// Nobody knows what was stored while it was lost.
pub async fn a_settle_drops_entries_and_tokens(trial: &Trial<'_>) {
    let (user, other) = (trial.entry("user:1"), trial.entry("user:2"));
    if !pend(trial, &trial.entry("user:3"), (JOURNAL, 1), "any").await {
        return;
    }
    trial.filled(&user, "old").await;
    let lease = trial.granted(&other).await;
    settle(trial, &user.subject, (JOURNAL, 5)).await;
    settle(trial, &other.subject, (JOURNAL, 5)).await;
    assert_eq!(trial.blob(&user).await, None);
    assert!(!trial.fill(&lease, "old").await);
    pend(trial, &user, (JOURNAL, 5), "late").await;
    assert_eq!(value(trial, &user).await, None, "also where nothing stood");
}

/// Of the same journal or another.
pub async fn a_settle_leaves_what_it_is_not_about(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    if !pend(trial, &user, (JOURNAL, 9), "new").await {
        return;
    }
    settle(trial, &user.subject, (JOURNAL, 8)).await;
    assert_eq!(value(trial, &user).await.as_deref(), Some("new"));
    settle(trial, &user.subject, (OTHER, 100)).await;
    assert_eq!(value(trial, &user).await.as_deref(), Some("new"));
    settle(trial, &user.subject, (JOURNAL, 9)).await;
    assert_eq!(value(trial, &user).await, None);
}

/// So that a covered write does not commit in front of one that was queued before it.
pub async fn a_mark_tells_where_queued_writes_stand(trial: &Trial<'_>) {
    let [plain, user, gone] = ["user:1", "user:2", "user:3"].map(|name| trial.entry(name));
    if !pend(trial, &user, (JOURNAL, 1), "new").await {
        return;
    }
    pend(trial, &gone, (JOURNAL, 2), "new").await;
    settle(trial, &gone.subject, (JOURNAL, 2)).await;
    let tag = trial.tag("users");
    let write = trial.mark(&[&plain.subject, &tag, &user.subject, &gone.subject]).await;
    assert_eq!(write.marked.queued, [2]);
    let again = trial.mark_as(write.writer, &crate::store::Origin::none(), &[&user.subject]).await;
    assert_eq!(again.marked.queued, [0]);
}

/// The writer's value is not the newest, or may not be.
pub async fn no_put_over_a_queued_write(trial: &Trial<'_>) {
    let [before, between, over, lost] =
        ["user:1", "user:2", "user:3", "user:4"].map(|name| trial.entry(name));
    if !pend(trial, &before, (JOURNAL, 1), "queued").await {
        return;
    }
    pend(trial, &over, (JOURNAL, 1), "queued").await;
    let subjects = [&before.subject, &between.subject, &over.subject, &lost.subject];
    let write = trial.mark(&subjects).await;
    pend(trial, &between, (JOURNAL, 2), "queued").await;
    settle(trial, &over.subject, (JOURNAL, 2)).await;
    settle(trial, &lost.subject, (JOURNAL, 2)).await;
    let all = [&before, &between, &over, &lost];
    let puts = all.map(|key| trial.put(&write, key, "older"));
    assert_eq!(trial.clear_with(&write, &puts).await, 0);
    for key in all {
        assert_eq!(trial.blob(key).await, None, "{key:?}");
    }
}

/// So that a flush need not show everything again, only what was lost.
pub async fn many_are_told_whether_they_are_shown(trial: &Trial<'_>) {
    let [none, this, later, settled, others] =
        ["user:1", "user:2", "user:3", "user:4", "user:5"].map(|key| trial.entry(key));
    if !pend(trial, &this, (JOURNAL, 5), "new").await {
        return;
    }
    pend(trial, &later, (JOURNAL, 6), "newer").await;
    pend(trial, &settled, (JOURNAL, 5), "new").await;
    settle(trial, &settled.subject, (JOURNAL, 5)).await;
    pend(trial, &others, (OTHER, 5), "new").await;
    let payload = Bytes::from_static(b"new");
    let request = |key, position| PendRequest {
        key,
        journal: JOURNAL,
        position: Position(position),
        payload: &payload,
    };
    let keys = [&none, &this, &this, &later, &settled, &others];
    let requests: Vec<_> =
        keys.into_iter().zip([5, 5, 0x10, 5, 5, 5]).map(|(key, at)| request(key, at)).collect();
    let shown: Vec<_> = trial
        .store
        .show_many(&requests)
        .await
        .into_iter()
        .map(|shown| shown.expect("it is answered"))
        .collect();
    assert_eq!(shown, [false, true, false, true, false, false]);
    // And many are shown, and settled, in one go, whatever stands there.
    let answers = trial.store.pend_many(&requests[..3]).await;
    assert!(answers.len() == 3 && answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(value(trial, &none).await.as_deref(), Some("new"));
    let subjects = [&none, &this, &later].map(|key| key.subject.clone());
    let answers = trial.store.settle_many(&subjects, JOURNAL, Position(5)).await;
    assert!(answers.len() == 3 && answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(value(trial, &none).await, None);
    assert!(value(trial, &this).await.is_some() && value(trial, &later).await.is_some(), "later ones stand");
}
