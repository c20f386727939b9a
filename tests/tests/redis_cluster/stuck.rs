//! A migration that is stuck half-way: scripts over several keys are refused for as long as it lasts, and the promise holds.

use cache_core::backend::redis::RedisStore;
use cache_core::store::{LeaseRequest, Leased};
use cache_core::subject::{EntryKey, Subject};
use cache_core::testkit::conformance::{Trial, blob};
use cache_test_support::Cluster;

use super::{BOUND, cluster, entry_on, key, masters, slot_of, store, tag_on};

/// How such a migration ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    Reverted,
}

const ENDS: [End; 2] = [End::Finished, End::Reverted];

struct Stuck<'a> {
    cluster: &'a Cluster,
    slot: u16,
    to: usize,
}

impl<'a> Stuck<'a> {
    /// Begins to move the slot of a subject; of its keys only these are moved.
    fn begin(cluster: &'a Cluster, subject: &Subject, moved: &[char]) -> Self {
        let slot = slot_of(cluster, subject);
        let to = cluster.other_master(slot).unwrap();
        cluster.open_migration(slot, to).unwrap();
        let keys: Vec<_> = moved.iter().map(|&part| key(subject, part)).collect();
        cluster.move_keys(slot, to, &keys).unwrap();
        Self { cluster, slot, to }
    }

    fn end(self, how: End) {
        match how {
            End::Finished => self.cluster.finish_migration(self.slot, self.to).unwrap(),
            End::Reverted => self.cluster.revert_migration(self.slot, self.to).unwrap(),
        }
    }
}

/// A world in which one entry stands and the token of another is out.
struct World<'a> {
    cluster: &'a Cluster,
    trial: Trial<'a>,
}

impl<'a> World<'a> {
    fn new(cluster: &'a Cluster, store: &'a RedisStore) -> Self {
        Self { cluster, trial: Trial::new(store) }
    }

    fn entry(&self) -> EntryKey {
        entry_on(self.cluster, &self.trial, masters(self.cluster)[0])
    }

    async fn is_fenced(&self, key: &EntryKey) -> bool {
        !self.trial.fenced(key).await.is_empty()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_and_nothing_is_filled() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let world = World::new(&cluster, &store);
    let trial = &world.trial;
    let user = world.entry();
    let filled = trial.filled(&user, "Ann").await;
    let token = trial.granted_for(LeaseRequest { force: true, ..trial.request(&user, &[]) }).await;

    let stuck = Stuck::begin(&cluster, &user.subject, &[]);
    assert_eq!(trial.blob(&user).await, Some(filled), "what has not moved is where it was");
    assert!(trial.fenced(&user).await.is_empty(), "nobody writes, and nobody may fill");
    assert!(!trial.fill(&token, "old").await);
    stuck.end(End::Finished);
    trial.filled(&user, "new").await;

    let stuck = Stuck::begin(&cluster, &user.subject, &['v']);
    assert_eq!(trial.blob(&user).await, None, "what has moved is not known to be valid");
    stuck.end(End::Finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_whatever_has_moved_and_however_it_ends() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    for moved in [&[][..], &['v'], &['l'], &['v', 'l']] {
        for end in ENDS {
            let world = World::new(&cluster, &store);
            let trial = &world.trial;
            let user = world.entry();
            let lease = trial.granted(&user).await;
            assert!(trial.fill_with(&lease, &blob(lease.epoch, "old"), BOUND, BOUND).await.stored);
            let late = trial.granted_for(LeaseRequest { force: true, ..trial.request(&user, &[]) }).await;
            let what = format!("{moved:?} moved, then {end:?}");

            let stuck = Stuck::begin(&cluster, &user.subject, moved);
            let write = trial.mark(&[&user.subject]).await;
            assert_eq!(trial.blob(&user).await, None, "{what}: marked");
            assert!(trial.aside(&user).await.is_none(), "{what}: key by key nothing is kept");
            assert!(world.is_fenced(&user).await, "{what}");
            assert!(!trial.fill(&late, "old").await, "{what}: a fill from before the mark");
            stuck.end(end);
            assert!(world.is_fenced(&user).await, "{what}: and afterwards");
            assert_eq!(trial.blob(&user).await, None, "{what}: and afterwards");
            assert!(!trial.fill(&late, "old").await, "{what}: afterwards, a fill from before");
            let cleared = trial.cleared(&write, &[trial.put(&write, &user, "new")]).await;
            assert!(cleared.intact, "{what}");
            assert_eq!(cleared.installed, 0, "{what}: nobody knows who else was there");
            trial.filled(&user, "new").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_began_before_is_cleared_while_it_is_stuck() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    for (moved, end) in [(&[][..], End::Finished), (&['c'], End::Finished), (&['c'], End::Reverted)] {
        let world = World::new(&cluster, &store);
        let trial = &world.trial;
        let user = world.entry();
        let write = trial.mark(&[&user.subject]).await;
        let stuck = Stuck::begin(&cluster, &user.subject, moved);
        let cleared = trial.cleared(&write, &[trial.put(&write, &user, "new")]).await;
        assert!(cleared.intact, "{moved:?}: the fence stood");
        assert_eq!(cleared.installed, 0);
        assert!(!trial.cleared(&write, &[]).await.intact, "{moved:?}: and is gone");
        assert!(!world.is_fenced(&user).await);
        stuck.end(end);
        trial.filled(&user, "new").await;
    }
}

/// What was kept before is nothing once it has moved, for its epoch is gone; until then it is as old as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_aside_before_stays_as_it_was_until_the_slot_has_moved() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let world = World::new(&cluster, &store);
    let trial = &world.trial;
    let user = world.entry();
    let lease = trial.granted(&user).await;
    assert!(trial.fill_with(&lease, &blob(lease.epoch, "old"), BOUND, BOUND).await.stored);
    trial.invalidate(&user.subject).await;
    let kept = trial.aside(&user).await.unwrap();

    let stuck = Stuck::begin(&cluster, &user.subject, &[]);
    trial.invalidate(&user.subject).await;
    assert_eq!(trial.aside(&user).await.unwrap().since, kept.since);
    stuck.end(End::Finished);
    if let Some(moved) = trial.aside(&user).await {
        assert_ne!(moved.epoch, kept.epoch, "{moved:?}");
    }
}

/// A fence that a migration has lost was not standing all the time, and the clear says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clear_does_not_claim_a_fence_that_a_reverted_migration_has_lost() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let world = World::new(&cluster, &store);
    let trial = &world.trial;
    let user = world.entry();
    let stuck = Stuck::begin(&cluster, &user.subject, &[]);
    let write = trial.mark(&[&user.subject]).await;
    cluster.tell(stuck.to, &["FLUSHALL"]).unwrap();
    assert!(!trial.cleared(&write, &[]).await.intact);
    stuck.end(End::Reverted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_writers_put_is_not_installed_over_a_write_in_a_stuck_slot() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let world = World::new(&cluster, &store);
    let trial = &world.trial;
    let user = world.entry();
    let alone = trial.mark(&[&user.subject]).await;
    let stuck = Stuck::begin(&cluster, &user.subject, &['c']);
    trial.invalidate(&user.subject).await;
    stuck.end(End::Finished);
    // In the epoch of the mark nothing would be installed on another node, whoever had been there.
    let put = cache_core::store::Put {
        epoch: trial.get(&user, &[]).await.epoch,
        ..trial.put(&alone, &user, "old")
    };
    assert_eq!(trial.clear_with(&alone, &[put]).await, 0);
    assert_eq!(trial.blob(&user).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fence_of_a_dead_writer_is_lifted_by_a_reader() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    for marked_before in [true, false] {
        let world = World::new(&cluster, &store);
        let trial = &world.trial;
        let (user, tag) = (world.entry(), tag_on(&cluster, trial, masters(&cluster)[1]));
        let before = if marked_before { Some(trial.mark(&[&user.subject, &tag]).await) } else { None };
        let entity = Stuck::begin(&cluster, &user.subject, &[]);
        let group = Stuck::begin(&cluster, &tag, &[]);
        let dead = match before {
            Some(write) => write,
            None => trial.mark(&[&user.subject, &tag]).await,
        };
        let tags = [tag.clone()];
        let told = trial.fenced_for(trial.request(&user, &tags)).await;
        assert!(told.len() == 2 && told.iter().all(|fence| fence.writer == dead.writer), "{told:?}");
        let stranger = [trial.writer()];
        let request = LeaseRequest { finished: &stranger, ..trial.request(&user, &tags) };
        assert_eq!(trial.fenced_for(request).await.len(), 2, "proof of another's end is no proof");
        let finished = [dead.writer];
        let request = LeaseRequest { finished: &finished, ..trial.request(&user, &tags) };
        assert!(trial.fenced_for(request).await.is_empty(), "healed, and still nobody may fill");
        group.end(End::Finished);
        entity.end(End::Finished);
        let lease = trial.granted_for(trial.request(&user, &tags)).await;
        assert!(trial.fill(&lease, "new").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_in_a_stuck_slot_turns_at_mark_and_at_clear() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    for (moved, end) in [(&[][..], End::Finished), (&['g'], End::Finished), (&['g'], End::Reverted)] {
        let world = World::new(&cluster, &store);
        let trial = &world.trial;
        let tag = tag_on(&cluster, trial, masters(&cluster)[0]);
        let (list, tags) = (entry_on(&cluster, trial, masters(&cluster)[1]), [tag.clone()]);
        let lease = trial.granted_for(trial.request(&list, &tags)).await;
        assert!(trial.fill(&lease, "old").await);
        let what = format!("{moved:?} moved, then {end:?}");

        let stuck = Stuck::begin(&cluster, &tag, moved);
        let write = trial.mark(&[&tag]).await;
        assert_ne!(trial.get(&list, &tags).await.tags, lease.stamps, "{what}: marked");
        assert_eq!(trial.fenced_for(trial.request(&list, &tags)).await.len(), 1, "{what}");
        let untagged = LeaseRequest { force: true, ..trial.request(&list, &[]) };
        assert!(
            matches!(trial.lease(untagged).await, Leased::Granted { .. }),
            "{what}: no lease was left behind"
        );
        assert!(trial.cleared(&write, &[]).await.intact, "{what}");
        stuck.end(end);
        assert_ne!(trial.get(&list, &tags).await.tags, lease.stamps, "{what}: cleared");
    }
}

/// Each mark and each clear makes a generation that was never there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_in_a_stuck_slot_never_repeat() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let world = World::new(&cluster, &store);
    let trial = &world.trial;
    let tag = tag_on(&cluster, trial, masters(&cluster)[0]);
    let stuck = Stuck::begin(&cluster, &tag, &[]);
    let mut seen = std::collections::HashSet::new();
    let generation = || cluster.tell_importing(stuck.to, &["GET", &key(&tag, 'g')]).unwrap();
    for _ in 0..5 {
        let write = trial.mark(&[&tag]).await;
        assert!(seen.insert(generation()), "marked");
        trial.clear(&write).await;
        assert!(seen.insert(generation()), "cleared");
    }
    assert!(seen.iter().all(|text| text.len() == 16), "{seen:?}");
    stuck.end(End::Finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_in_a_stuck_slot_work_at_maxmemory() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let world = World::new(&cluster, &store);
    let trial = &world.trial;
    let user = world.entry();
    let tag = tag_on(&cluster, trial, masters(&cluster)[0]);
    trial.filled(&user, "old").await;
    let (entity, group) = (Stuck::begin(&cluster, &user.subject, &[]), Stuck::begin(&cluster, &tag, &[]));
    for node in masters(&cluster) {
        cluster.tell(node, &["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    }
    let write = trial.mark(&[&user.subject, &tag]).await;
    assert_eq!(trial.blob(&user).await, None);
    assert_eq!(trial.fenced_for(trial.request(&user, std::slice::from_ref(&tag))).await.len(), 2);
    assert!(trial.cleared(&write, &[]).await.intact);
    for node in masters(&cluster) {
        cluster.tell(node, &["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    }
    group.end(End::Finished);
    entity.end(End::Finished);
}

/// A migration that ends while a fill is on its way: refused or stored, never under a fence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_from_before_a_write_never_fills_wherever_the_slot_has_gone() {
    let cluster = cluster().await;
    let store = store(&cluster).await;
    let world = World::new(&cluster, &store);
    let trial = &world.trial;
    let user = world.entry();
    let token = trial.granted(&user).await;
    let stuck = Stuck::begin(&cluster, &user.subject, &[]);
    let write = trial.mark(&[&user.subject]).await;
    stuck.end(End::Finished);
    trial.clear(&write).await;
    let old = blob(token.epoch, "old");
    assert!(!trial.fill_blob(&token, &old, BOUND).await.stored);
    assert_eq!(trial.blob(&user).await, None);
}
