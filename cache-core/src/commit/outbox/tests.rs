//! Writes past a store that cannot be reached, by scripted interleavings. Each rule has a control that fails without it.

mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;

use self::world::{Instance, Tx, World, key, patient, settle, warm};
use super::*;
use crate::commit::run;
use crate::error::WriteErrorKind;
use crate::subject::Kind;
use crate::testkit::{Command, Rule};

#[tokio::test]
async fn a_write_past_the_store_is_never_hidden_from_the_instance_that_made_it() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    warm([&a, &b]).await;
    a.store.down();
    a.write(2).await.unwrap();
    assert_eq!((world.database.rows(), a.cache.stats().writes().outboxed), (1, 1));
    a.store.up();
    assert_eq!(a.read_often().await, [2; 6]);
    assert_eq!(b.find().await, 1, "until a relay has reached the store");
    world.database.relay(&b).await;
    assert_eq!(world.database.rows(), 0);
    for instance in [&b, &a] {
        assert!(instance.read_until_hit().await.iter().all(|seen| *seen == 2));
    }
}

#[tokio::test]
async fn control_a_store_that_is_trusted_at_once_hides_the_write_from_its_own_instance() {
    let world = World::new();
    let (a, b) = (world.with(|builder| builder.without(Rule::TrustAfterOutbox)), world.instance());
    warm([&a, &b]).await;
    a.store.down();
    a.write(2).await.unwrap();
    a.store.up();
    assert_eq!(a.find().await, 1);
}

/// The mark is late rather than lost, so that nothing but the commit itself is a reason for doubt.
async fn asked_while_the_commit_was_on_its_way(a: &Instance) -> u64 {
    let database = &a.database;
    let _late = a.store.hold(Command::Mark);
    database.0.commit.close();
    let write = a.spawn_write(2);
    database.0.commit.reached.notified().await;
    let asked = database.0.questions.load(Ordering::SeqCst);
    a.read_often().await;
    let asked = database.0.questions.load(Ordering::SeqCst) - asked;
    database.0.commit.opened.notify_one();
    write.await.unwrap().unwrap();
    assert_eq!(a.find().await, 2);
    asked
}

#[tokio::test]
async fn what_the_outbox_says_before_the_commit_is_seen_counts_for_nothing() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    warm([&a, &b]).await;
    assert_eq!(asked_while_the_commit_was_on_its_way(&a).await, 0);
    assert_eq!(a.read_often().await, [2; 6]);
}

#[tokio::test]
#[should_panic(expected = "left: 1")]
async fn control_an_outbox_that_was_asked_before_the_commit_was_seen_hides_the_write() {
    let world = World::new();
    let (a, b) = (world.with(|builder| builder.without(Rule::AskedAfterCommit)), world.instance());
    warm([&a, &b]).await;
    asked_while_the_commit_was_on_its_way(&a).await;
}

#[tokio::test]
async fn an_answer_that_was_on_its_way_during_the_write_counts_for_nothing() {
    let world = World::new();
    let b = world.instance();
    let a = world.instance();
    b.read_until_hit().await;
    world.database.0.answer.close();
    assert_eq!(a.find().await, 1);
    world.database.0.answer.reached.notified().await;
    let _late = a.store.hold(Command::Mark);
    a.write(2).await.unwrap();
    world.database.0.answer.opened.notify_one();
    settle().await;
    assert_eq!(a.read_often().await, [2; 6]);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_keeps_the_store_out_until_it_is_known_how_it_ended() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    warm([&a, &b]).await;
    world.database.0.commit.close();
    let _late = a.store.hold(Command::Mark);
    let error = a.write_by(2, true).await.unwrap_err();
    assert!(matches!(error, CommitError::CommitUnknown("lost")), "{error:?}");
    assert_eq!(a.read_often().await, [1; 6], "it is not visible yet");
    world.database.0.commit.reached.notified().await;
    world.database.0.commit.opened.notify_one();
    settle().await;
    assert_eq!(a.read_often().await, [2; 6]);
    world.database.relay(&b).await;
    assert!(a.read_until_hit().await.iter().all(|seen| *seen == 2));
}

/// Others see the change before its writer hears of it (promise B).
#[tokio::test]
async fn while_the_commit_is_on_its_way_its_instance_is_served_nothing() {
    let world = World::new();
    let a = world.instance();
    a.read_until_hit().await;
    let _late = a.store.hold(Command::Mark);
    world.database.0.answered.close();
    let write = a.spawn_write(2);
    world.database.0.answered.reached.notified().await;
    assert_eq!(a.find().await, 2);
    world.database.0.answered.opened.notify_one();
    write.await.unwrap().unwrap();
    assert_eq!(a.find().await, 2);
}

#[tokio::test]
async fn control_a_commit_whose_answer_was_lost_is_hidden_when_it_becomes_visible_after_all() {
    let world = World::new();
    let (a, b) = (world.with(|builder| builder.without(Rule::AskedAfterCommit)), world.instance());
    warm([&a, &b]).await;
    world.database.0.commit.close();
    let _late = a.store.hold(Command::Mark);
    a.write_by(2, true).await.unwrap_err();
    a.read_often().await;
    world.database.0.commit.reached.notified().await;
    world.database.0.commit.opened.notify_one();
    settle().await;
    assert_eq!(a.find().await, 1);
}

#[tokio::test]
async fn an_instance_that_has_just_started_or_was_away_asks_before_it_is_served() {
    let world = World::new();
    let (a, away) = (world.instance(), world.instance());
    warm([&a, &away]).await;
    a.store.down();
    away.store.down();
    a.write(2).await.unwrap();
    let new = world.instance();
    assert_eq!(new.read_often().await, [2; 6]);
    away.store.up();
    assert_eq!(away.read_often().await, [2; 6]);
    world.database.relay(&new).await;
    for instance in [&new, &away] {
        assert!(instance.read_until_hit().await.iter().all(|seen| *seen == 2));
    }
}

#[tokio::test]
async fn control_an_instance_that_does_not_ask_is_served_what_was_written_over() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    warm([&a, &b]).await;
    a.store.down();
    a.write(2).await.unwrap();
    let new = world.with(|builder| builder.without(Rule::TrustAfterOutbox));
    assert_eq!(new.find().await, 1);
}

/// A load that began while the store was reached must not be kept when the write has passed it by.
#[tokio::test]
async fn what_was_loaded_before_the_write_is_not_filled_after_it() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    b.read_until_hit().await;
    let (loaded, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    a.read_until_hit().await;
    world.memory.lose_everything();
    let slow = tokio::spawn({
        let (a, loaded, goes_on) = (a.clone(), loaded.clone(), goes_on.clone());
        async move {
            a.find_by(async || {
                loaded.notify_one();
                goes_on.notified().await;
            })
            .await
        }
    });
    loaded.notified().await;
    let _late = a.store.hold(Command::Mark);
    a.write(2).await.unwrap();
    let joins = tokio::spawn({
        let a = a.clone();
        async move { a.find().await }
    });
    settle().await;
    goes_on.notify_one();
    assert_eq!((slow.await.unwrap(), joins.await.unwrap()), (1, 2));
    assert_eq!(a.cache.stats().total().fills, 0, "{}", a.cache.stats());
}

#[tokio::test]
async fn an_answer_to_the_mark_that_was_lost_counts_as_not_reached() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    warm([&a, &b]).await;
    a.store.lose_reply(Command::Mark);
    a.write(2).await.unwrap();
    assert_eq!(world.database.rows(), 1);
    settle().await;
    assert_eq!(
        a.store.count(Command::Clear),
        0,
        "what may stand stands until it is known that the commit is over"
    );
    assert_eq!((a.find().await, b.find().await), (2, 2));
    world.database.0.is_finished.store(true, Ordering::SeqCst);
    world.database.relay(&b).await;
    for instance in [&b, &a] {
        assert!(instance.read_until_hit().await.iter().all(|seen| *seen == 2));
    }
}

#[tokio::test]
async fn what_cannot_be_left_is_rolled_back() {
    let world = World::new();
    for (outbox, has_table, kind) in [
        (Some(Outbox::Unfenced), false, "Refused"),
        (Some(Outbox::Always), false, "Refused"),
        (None, true, "Unconfigured"),
    ] {
        world.database.0.has_no_table.store(!has_table, Ordering::SeqCst);
        let a = world.with(|builder| match outbox {
            Some(outbox) => builder.outbox(outbox),
            None => {
                let mut builder = builder;
                builder.settings.outbox = None;
                builder
            }
        });
        a.store.down();
        let error = a.write(2).await.unwrap_err();
        assert!(matches!(error, CommitError::Unleft(_)), "{error:?}");
        assert!(format!("{error:?}").contains(kind), "{error:?}");
        assert_eq!((a.find().await, world.database.rows()), (1, 0));
    }
}

#[tokio::test]
async fn of_several_writes_in_one_transaction_the_strictest_decides() {
    use OnUnfenced::{Outbox, Proceed, Reject};
    for (several, wanted) in [
        (vec![Proceed, Outbox, Reject], Err(())),
        (vec![Reject, Proceed], Err(())),
        (vec![Proceed, Outbox], Ok(1)),
        (vec![Outbox], Ok(1)),
        (vec![Proceed], Ok(0)),
    ] {
        let world = World::new();
        let a = world.instance();
        a.store.down();
        let recording = a.cache.recording();
        for on_unfenced in &several {
            recording.clone().on_unfenced(*on_unfenced).touch(Kind::Entity, key);
        }
        let tx = Tx { database: a.database.clone(), value: 2, left: None, is_lost: false };
        let result = run(tx, a.cache.clone(), recording).await;
        match (&result, wanted) {
            (Ok(()), Ok(rows)) => assert_eq!((world.database.rows(), a.find().await), (rows, 2)),
            (Err(CommitError::Unfenced(error)), Err(())) => {
                assert_eq!((error.kind(), a.find().await), (WriteErrorKind::Unfenced, 1));
            }
            _ => panic!("{several:?}: {result:?}"),
        }
    }
}

/// It would undo what is written past it, and without the store nobody can tell whether it is there.
#[tokio::test]
async fn nothing_is_written_past_the_store_where_something_may_be_queued() {
    for on_unfenced in [OnUnfenced::Outbox, OnUnfenced::Proceed] {
        let world = World::new();
        let a = world.with(|builder| builder.on_unfenced(on_unfenced));
        a.store.down();
        let recording = a.recording();
        recording.touch(Kind::Entity, |text| text.literal("draft:1"));
        let tx = Tx { database: a.database.clone(), value: 2, left: None, is_lost: false };
        let error = run(tx, a.cache.clone(), recording).await.unwrap_err();
        assert!(matches!(error, CommitError::Unfenced(_)), "{error:?}");
        assert_eq!((world.database.rows(), a.find().await), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_made_all_the_same_is_told_when_the_store_is_back_soon() {
    let world = World::new();
    let (a, b) = (world.with(|builder| builder.on_unfenced(OnUnfenced::Proceed)), world.instance());
    warm([&a, &b]).await;
    a.store.down();
    a.write(2).await.unwrap();
    assert_eq!((a.cache.stats().writes().proceeded, world.database.rows()), (1, 0));
    assert_eq!(b.find().await, 1);
    a.store.up();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(b.find().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_every_write_leaves_is_deleted_once_its_clear_is_confirmed() {
    let world = World::new();
    let a = world.with(|builder| patient(builder).outbox(Outbox::Always));
    let clearing = a.store.hold(Command::Clear);
    let write = a.spawn_write(2);
    clearing.reached().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.database.rows(), 1);
    clearing.release();
    write.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.database.rows(), 0);
    assert!(a.read_until_hit().await.iter().all(|seen| *seen == 2));
}

/// The fence is lost and an old value is filled in its place; then the writer dies.
async fn a_lost_fence_and_a_dead_writer(world: &World, a: &Instance, b: &Instance) {
    b.read_until_hit().await;
    world.database.0.commit.close();
    let clearing = a.store.hold(Command::Clear);
    let write = a.spawn_write(2);
    world.database.0.commit.reached.notified().await;
    world.memory.lose_everything();
    let database = world.database.clone();
    let seen = b
        .find_by(async || {
            database.0.commit.opened.notify_one();
            clearing.reached().await;
        })
        .await;
    assert_eq!(seen, 1, "it began before the write was visible");
    write.abort();
    assert_eq!(b.find().await, 1, "and was kept");
}

#[tokio::test]
async fn with_rows_always_a_lost_fence_and_a_dead_writer_leave_nothing_stale() {
    let world = World::new();
    let (a, b) = (world.with(|builder| patient(builder).outbox(Outbox::Always)), world.instance());
    a_lost_fence_and_a_dead_writer(&world, &a, &b).await;
    world.database.relay(&b).await;
    assert_eq!(b.find().await, 2);
}

#[tokio::test]
async fn control_without_a_row_a_lost_fence_and_a_dead_writer_leave_the_old_value() {
    let world = World::new();
    let (a, b) = (world.with(patient), world.instance());
    a_lost_fence_and_a_dead_writer(&world, &a, &b).await;
    world.database.relay(&b).await;
    assert_eq!(b.find().await, 1);
}

#[tokio::test]
async fn a_delivery_whose_fence_is_lost_on_the_way_is_made_again() {
    let world = World::new();
    let a = world.instance();
    let subjects = || a.recording().finish().unwrap().subjects;
    let marked = a.store.hold_reply(Command::Mark);
    let delivering = tokio::spawn({
        let (cache, subjects) = (a.cache.clone(), subjects());
        async move { cache.deliver(subjects, Origin::none()).await }
    });
    marked.reached().await;
    world.memory.lose_everything();
    marked.release();
    delivering.await.unwrap().unwrap();
    assert_eq!((a.store.count(Command::Mark), a.store.count(Command::Clear)), (2, 2));
}
