//! Facts about leases: one loads, a token is good for one fill, and losing it only refuses that fill.

use std::time::Duration;

use bytes::Bytes;

use super::trial::{Trial, blob};
use crate::entry;
use crate::store::{LeaseRequest, Leased};
use crate::subject::Epoch;

const LONG: Duration = Duration::from_secs(600);

async fn busy(trial: &Trial<'_>, request: LeaseRequest<'_>) {
    let leased = trial.lease(request).await;
    assert!(matches!(leased, Leased::Busy), "lease answered {leased:?} although someone loads");
}

/// The second to ask waits for the first.
pub async fn one_loads_and_the_others_are_busy(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let lease = trial.granted(&user).await;
    busy(trial, trial.request(&user, &[])).await;
    busy(trial, trial.request(&user, &[])).await;
    assert!(trial.fill(&lease, "Ann").await, "asking takes nothing from the one who loads");
}

/// Asking at the same moment makes no second loader.
pub async fn one_of_many_at_once_is_granted(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let ask = || trial.lease(trial.request(&user, &[]));
    let (a, b, c, d, e, f) = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask());
    let granted = [a, b, c, d, e, f].iter().filter(|leased| matches!(leased, Leased::Granted { .. })).count();
    assert_eq!(granted, 1);
}

/// Who asks after the fill gets the entry instead of a lease.
pub async fn an_entry_that_stands_is_present(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let stored = trial.filled(&user, "Ann").await;
    match trial.lease(trial.request(&user, &[])).await {
        Leased::Present(found) => assert_eq!(found.blob, Some(stored)),
        other => panic!("lease answered {other:?} although an entry stands"),
    }
}

/// An early refresh loads while everybody else is still served.
pub async fn a_forced_lease_is_granted_over_an_entry(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let old = trial.filled(&user, "old").await;
    let lease = trial.granted_for(LeaseRequest { force: true, ..trial.request(&user, &[]) }).await;
    assert_eq!(trial.blob(&user).await, Some(old), "the entry stands while it is loaded again");
    assert!(trial.fill(&lease, "new").await);
    assert_eq!(trial.blob(&user).await, Some(blob(lease.epoch, "new")));
}

/// Two processes find that an entry is due; the second asks when the first has filled already. Nothing has to be loaded then.
pub async fn a_forced_lease_is_granted_over_the_entry_it_was_meant_for_only(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let due = |over| LeaseRequest { force: true, over: Some(over), ..trial.request(&user, &[]) };
    let old = trial.filled(&user, "old").await;
    let seen = entry::mark_of(&old).expect("an entry has a checksum");
    let lease = trial.granted_for(due(seen)).await;
    assert!(trial.fill(&lease, "new").await);
    match trial.lease(due(seen)).await {
        Leased::Present(found) => assert_eq!(found.blob, Some(blob(lease.epoch, "new"))),
        other => panic!("lease answered {other:?} although the entry is another one by now"),
    }
    let lease = trial.granted_for(due(entry::mark_of(&blob(lease.epoch, "new")).expect("as above"))).await;
    assert!(trial.fill(&lease, "newer").await);
    let write = trial.mark(&[&user.subject]).await;
    trial.clear(&write).await;
    // None stands: whoever was due to load it may.
    trial.granted_for(due(seen)).await;
}

/// Force passes over an entry, not over another loader.
pub async fn a_forced_lease_is_busy_while_someone_loads(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let lease = trial.granted(&user).await;
    busy(trial, LeaseRequest { force: true, ..trial.request(&user, &[]) }).await;
    assert!(trial.fill(&lease, "Ann").await);
}

/// Somebody else's token, or a made-up one, stores nothing.
pub async fn a_fill_needs_the_exact_token(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let mut stranger = trial.granted(&user).await;
    let lease = stranger.clone();
    stranger.token = trial.token();
    assert!(!trial.fill(&stranger, "wrong").await);
    assert_eq!(trial.blob(&user).await, None);
    assert!(trial.fill(&lease, "Ann").await, "a wrong token takes nothing from the live one");

    let mut nobody = lease;
    nobody.key = trial.entry("user:2");
    assert!(!trial.fill(&nobody, "wrong").await, "a token is for one entry");
}

/// A second fill by the same load would outlive what happened in between.
pub async fn a_fill_uses_its_token_up(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let lease = trial.granted(&user).await;
    assert!(trial.fill(&lease, "first").await);
    assert!(!trial.fill(&lease, "second").await);
    assert_eq!(trial.blob(&user).await, Some(blob(lease.epoch, "first")));
}

/// Refused means untouched.
pub async fn a_refused_fill_leaves_the_entry_as_it_was(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let stored = trial.filled(&user, "Ann").await;
    let mut lease = trial.granted_for(LeaseRequest { force: true, ..trial.request(&user, &[]) }).await;
    lease.token = trial.token();
    assert!(!trial.fill(&lease, "wrong").await);
    assert_eq!(trial.blob(&user).await, Some(stored));
}

/// A loader that died blocks the entry no longer than its lease; when it wakes up again, it is too late.
pub async fn a_lapsed_lease_is_replaced_and_then_refused(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let request = LeaseRequest { duration: Duration::from_millis(5), ..trial.request(&user, &[]) };
    let lapsed = trial.granted_for(request).await;
    let next = trial.request(&user, &[]);
    let replaced = trial.comes_true(async || matches!(trial.lease(next).await, Leased::Granted { .. })).await;
    assert!(replaced, "a lapsed lease still blocks the entry");
    assert!(!trial.fill(&lapsed, "late").await);
    let mut lease = lapsed;
    lease.token = next.token;
    assert!(trial.fill(&lease, "Ann").await);
}

/// A load that takes longer than its lease: no mark came in between, or the token would be gone.
pub async fn a_lapsed_lease_nobody_took_over_still_fills(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let duration = Duration::from_millis(5);
    let lapsed = trial.granted_for(LeaseRequest { duration, ..trial.request(&user, &[]) }).await;
    trial.clock_reaches(lapsed.now.after(duration * 4)).await;
    assert!(trial.fill(&lapsed, "Ann").await);

    let lapsed = trial.granted_for(LeaseRequest { duration, force: true, ..trial.request(&user, &[]) }).await;
    trial.clock_reaches(lapsed.now.after(duration * 4)).await;
    trial.invalidate(&user.subject).await;
    assert!(!trial.fill(&lapsed, "old").await, "lapsed or not, a mark drops it");
}

/// A loader that failed lets the next one try at once.
pub async fn a_released_lease_is_free_at_once(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let released = trial.granted(&user).await;
    trial.release(&user, released.token).await;
    assert!(!trial.fill(&released, "late").await, "a token that was given back is void");
    let lease = trial.granted(&user).await;
    assert!(trial.fill(&lease, "Ann").await);
}

/// Giving back what one does not hold is no error and takes nothing from others.
pub async fn the_release_of_another_token_changes_nothing(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    trial.release(&user, trial.token()).await;
    let lease = trial.granted(&user).await;
    trial.release(&user, trial.token()).await;
    busy(trial, trial.request(&user, &[])).await;
    assert!(trial.fill(&lease, "Ann").await);
}

/// Entries of an earlier dataset may have missed invalidations: they are loaded again and replaced.
pub async fn an_entry_of_another_epoch_is_no_entry(trial: &Trial<'_>) {
    let user = trial.entry("user:1");
    let lease = trial.granted(&user).await;
    let foreign = blob(Epoch(lease.epoch.0 ^ 1), "old");
    assert!(
        trial.fill_blob(&lease, &foreign, LONG).await.stored,
        "the store does not judge what it is given"
    );
    let lease = trial.granted(&user).await;
    assert!(trial.fill(&lease, "Ann").await);
    assert_eq!(trial.blob(&user).await, Some(blob(lease.epoch, "Ann")));
}

/// Nor are bytes that end before the epoch would.
pub async fn bytes_without_an_epoch_are_no_entry(trial: &Trial<'_>) {
    for length in [0, 4, 11] {
        let key = trial.entry(&format!("blob:{length}"));
        let lease = trial.granted(&key).await;
        let cut: Bytes = blob(lease.epoch, "").slice(..length);
        assert!(trial.fill_blob(&lease, &cut, LONG).await.stored);
        let lease = trial.granted(&key).await;
        assert!(trial.fill(&lease, "Ann").await, "{length} bytes are replaced");
    }
}
