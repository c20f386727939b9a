//! A namespace is cleared on every master, or it is said where it is not.

use std::time::Duration;

use cache_core::Cache;
use cache_core::entry::EPOCH;
use cache_core::store::{Found, Store};
use cache_core::testkit::conformance::Trial;

use super::{cluster, comes_true, entry_on, masters, store};

fn is_current(found: &Found) -> bool {
    found.blob.as_deref().is_some_and(|blob| blob[EPOCH] == found.epoch.0.to_le_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clear_reaches_every_master_and_every_instance() {
    let cluster = cluster().await;
    let (here, there) = (store(&cluster).await, store(&cluster).await);
    let trial = Trial::new(&here);
    let entries = masters(&cluster).map(|node| entry_on(&cluster, &trial, node));
    for entry in &entries {
        trial.filled(entry, "old").await;
        assert!(is_current(&there.get(entry, &[]).await.unwrap()));
    }
    trial.clear_namespace().await;
    for entry in &entries {
        for instance in [&here, &there] {
            assert!(!is_current(&instance.get(entry, &[]).await.unwrap()), "{entry:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_away_is_named_and_the_others_are_cleared() {
    let cluster = cluster().await;
    let here = store(&cluster).await;
    let cache = Cache::builder("cleared").store(here.clone()).mark_deadline(super::BOUND).build().unwrap();
    let [a, b, _] = masters(&cluster);
    let there = |node| {
        let names = (0..).map(|number: u32| {
            let subject =
                cache.namespace().subject(cache_core::subject::Kind::Entity, |text| text.part(&number));
            cache_core::subject::EntryKey { subject, field: 1 }
        });
        let on = |key: &cache_core::subject::EntryKey| {
            cluster.node_of(super::slot_of(&cluster, &key.subject)).unwrap() == node
        };
        names.into_iter().find(on).unwrap()
    };
    let (gone, reached) = (there(a), there(b));
    let before = here.get(&reached, &[]).await.unwrap().epoch;
    let address = cluster.nodes()[a].address();
    // It does not answer, and its replica has not taken over yet.
    cluster.nodes()[a].pause();
    let error = cache.clear().await.unwrap_err().to_string();
    assert!(error.contains("parts of `cleared` are not cleared"), "{error}");
    assert!(error.contains(&address.to_string()), "{error}");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_ne!(here.get(&reached, &[]).await.unwrap().epoch, before, "the others are cleared");
    cluster.nodes()[a].resume();
    assert!(comes_true(async || cache.clear().await.is_ok()).await, "once it is back");
    assert!(comes_true(async || here.get(&gone, &[]).await.is_ok()).await);
}
