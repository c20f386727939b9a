//! The protocol with a transaction that answers as it is told and writes down what it is asked.

use std::sync::{Arc, Mutex};

use super::*;
use crate::error::{StoreErrorKind, WriteErrorKind};
use crate::subject::Kind;
use crate::testkit::{ChaosStore, Command};
use crate::{Builder, MemoryStore};

type Asked = Arc<Mutex<Vec<&'static str>>>;

struct Scripted {
    asked: Asked,
    store: ChaosStore,
    standing: Option<Result<Standing, Unnamed<&'static str>>>,
    commit: Result<(), Uncommitted<&'static str>>,
}

impl Scripted {
    fn asked(&self, what: &'static str) {
        self.asked.lock().unwrap().push(what);
    }
}

impl OpenTransaction for Scripted {
    type Error = &'static str;

    async fn standing(&mut self) -> Result<Standing, Unnamed<&'static str>> {
        self.asked("standing");
        self.standing.take().unwrap()
    }

    async fn commit(self) -> Result<(), Uncommitted<&'static str>> {
        let fenced = self.store.count(Command::Mark) == 1 && self.store.count(Command::Clear) == 0;
        self.asked(if fenced { "commit, fenced" } else { "commit, not fenced" });
        self.commit
    }

    async fn roll_back(self) -> Result<(), &'static str> {
        self.asked("roll back");
        Ok(())
    }
}

struct World {
    store: ChaosStore,
    cache: Cache,
    asked: Asked,
}

impl World {
    fn new(change: impl FnOnce(Builder) -> Builder) -> Self {
        let store = ChaosStore::new(MemoryStore::default());
        let cache = change(Cache::builder("t").store(store.clone())).build().unwrap();
        Self { store, cache, asked: Asked::default() }
    }

    async fn end(
        &self,
        standing: Result<Standing, Unnamed<&'static str>>,
        commit: Result<(), Uncommitted<&'static str>>,
        touches: bool,
    ) -> Result<(), CommitError<&'static str>> {
        let recording = self.cache.recording();
        if touches {
            recording.touch(Kind::Entity, |text| text.literal("row"));
        }
        let (asked, store) = (self.asked.clone(), self.store.clone());
        run(Scripted { asked, store, standing: Some(standing), commit }, self.cache.clone(), recording).await
    }

    fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap().clone()
    }

    fn commands(&self) -> (u64, u64) {
        (self.store.count(Command::Mark), self.store.count(Command::Clear))
    }
}

fn open() -> Result<Standing, Unnamed<&'static str>> {
    Ok(Standing::Open(Origin::new("db:1").unwrap()))
}

#[tokio::test]
async fn the_fence_stands_from_before_commit_until_after_it() {
    let world = World::new(|builder| builder);
    world.end(open(), Ok(()), true).await.unwrap();
    assert_eq!(world.asked(), ["standing", "commit, fenced"]);
    assert_eq!(world.commands(), (1, 1));
}

#[tokio::test]
async fn what_records_nothing_is_committed_without_a_question() {
    let world = World::new(|builder| builder);
    world.end(open(), Ok(()), false).await.unwrap();
    assert_eq!((world.asked(), world.commands()), (vec!["commit, not fenced"], (0, 0)));
}

#[tokio::test]
async fn what_cannot_be_named_is_rolled_back_unfenced() {
    for (unnamed, wanted) in [
        (Unnamed::Failed("no"), "RolledBack(\"no\")"),
        (Unnamed::Conflict("no"), "Database(\"no\")"),
        (Unnamed::Refused("no"), "Unidentified(\"no\")"),
    ] {
        let world = World::new(|builder| builder);
        let error = world.end(Err(unnamed), Ok(()), true).await.unwrap_err();
        assert_eq!(format!("{error:?}"), wanted);
        assert_eq!((world.asked(), world.commands()), (vec!["standing", "roll back"], (0, 0)));
    }
}

#[tokio::test]
async fn what_cannot_be_fenced_is_rolled_back() {
    let world = World::new(|builder| builder);
    world.store.down();
    let error = world.end(open(), Ok(()), true).await.unwrap_err();
    assert!(matches!(&error, CommitError::Unfenced(e) if e.kind() == WriteErrorKind::Unfenced), "{error:?}");
    assert_eq!(world.asked(), ["standing", "roll back"]);
}

#[tokio::test]
async fn an_outcome_that_is_unknown_leaves_the_fence_and_one_that_is_known_lifts_it() {
    let world = World::new(|builder| builder);
    let error = world.end(open(), Err(Uncommitted::Unknown("lost")), true).await.unwrap_err();
    assert!(matches!(error, CommitError::CommitUnknown("lost")), "{error:?}");
    tokio::task::yield_now().await;
    assert_eq!(world.commands(), (1, 0), "the fence stays");

    let world = World::new(|builder| builder);
    let clear = world.store.hold(Command::Clear);
    let error = world.end(open(), Err(Uncommitted::Undone("constraint")), true).await.unwrap_err();
    assert!(matches!(error, CommitError::Database("constraint")), "{error:?}");
    clear.reached().await;
}

#[tokio::test]
async fn what_ended_elsewhere_is_invalidated_and_said() {
    let world = World::new(|builder| builder);
    let error = world.end(Ok(Standing::Ended), Ok(()), true).await.unwrap_err();
    assert!(matches!(error, CommitError::CommittedOutside), "{error:?}");
    assert_eq!((world.asked(), world.commands()), (vec!["standing", "roll back"], (1, 1)));
}

#[tokio::test]
async fn a_change_that_was_made_is_said_to_be_made() {
    let wait = std::time::Duration::from_millis(1);
    let world = World::new(|builder| builder.clear_wait(wait));
    let _held = world.store.hold(Command::Clear);
    let error = world.end(open(), Ok(()), true).await.unwrap_err();
    assert!(matches!(&error, CommitError::Unclear(e) if e.kind() == WriteErrorKind::Unclear), "{error:?}");
}

#[test]
fn each_error_says_whether_the_change_was_made() {
    let lost = crate::StoreError::new(StoreErrorKind::Unavailable, "down");
    let unfenced = CommitError::<&str>::Unfenced(WriteError::new(WriteErrorKind::Unfenced, Some(lost)));
    assert!(unfenced.to_string().starts_with("the write was not made"));
    assert!(CommitError::CommitUnknown("lost").to_string().starts_with("it is unknown"));
}
