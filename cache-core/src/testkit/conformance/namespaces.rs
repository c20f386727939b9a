//! A namespace is cleared: what was there is of an epoch that no answer has any more.

use super::trial::{Trial, blob};
use crate::entry;
use crate::store::{Found, Leased};

fn is_current(found: &Found) -> bool {
    found.blob.as_deref().and_then(|blob| blob.get(entry::EPOCH)) == Some(&found.epoch.0.to_le_bytes()[..])
}

async fn current(trial: &Trial<'_>, name: &str) -> bool {
    is_current(&trial.get(&trial.entry(name), &[]).await)
}

/// Whatever their number.
pub async fn a_clear_of_the_namespace_makes_every_entry_worthless(trial: &Trial<'_>) {
    let names: Vec<_> = (0..50).map(|number| format!("user:{number}")).collect();
    for name in &names {
        trial.filled(&trial.entry(name), "old").await;
        assert!(current(trial, name).await, "what was filled is there");
    }
    trial.clear_namespace().await;
    for name in &names {
        assert!(!current(trial, name).await, "{name} is still there");
    }
}

/// A lease does not present the old one, and gives way to a new value.
pub async fn what_is_filled_after_a_clear_is_found(trial: &Trial<'_>) {
    let key = trial.entry("user:1");
    trial.filled(&key, "old").await;
    trial.clear_namespace().await;
    let new = trial.filled(&key, "new").await;
    let found = trial.get(&key, &[]).await;
    assert!(is_current(&found) && found.blob == Some(new));
    assert!(matches!(trial.lease(trial.request(&key, &[])).await, Leased::Present(_)));
}

/// Its load began before the clear.
pub async fn a_fill_under_a_lease_from_before_the_clear_is_worthless(trial: &Trial<'_>) {
    let key = trial.entry("user:1");
    let lease = trial.granted(&key).await;
    trial.clear_namespace().await;
    let filled =
        trial.fill_blob(&lease, &blob(lease.epoch, "old"), std::time::Duration::from_secs(600)).await;
    assert_ne!(filled.epoch, lease.epoch, "who waits for the fill can tell");
    assert!(!current(trial, "user:1").await);
}

/// The write began before the clear.
pub async fn a_put_from_before_the_clear_is_worthless(trial: &Trial<'_>) {
    let key = trial.entry("user:1");
    trial.get(&key, &[]).await;
    let write = trial.mark(&[&key.subject]).await;
    trial.clear_namespace().await;
    trial.clear_with(&write, &[trial.put(&write, &key, "old")]).await;
    assert!(!current(trial, "user:1").await);
}

/// The namespace is all there is to clear.
pub async fn a_clear_leaves_other_namespaces_alone(trial: &Trial<'_>) {
    let other = Trial::new(trial.store);
    other.filled(&other.entry("user:1"), "kept").await;
    trial.clear_namespace().await;
    assert!(current(&other, "user:1").await);
}

/// One of several.
pub async fn every_clear_counts(trial: &Trial<'_>) {
    let key = trial.entry("user:1");
    let mut epochs = Vec::new();
    for _ in 0..3 {
        trial.filled(&key, "old").await;
        epochs.push(trial.get(&key, &[]).await.epoch);
        trial.clear_namespace().await;
        let now = trial.get(&key, &[]).await.epoch;
        assert!(!epochs.contains(&now), "an epoch came back");
    }
}
