//! Writes whose futures are dropped on the way.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use cache_core::testkit::Command;

use crate::gates::Point;
use crate::naive::Habit;
use crate::side::Side;
use crate::world::{Instance, World, settled, until, warm};

/// Polls a write until it has come to `point`, then drops it.
async fn leave_at(write: impl Future, point: impl Future) {
    let (mut write, mut point) = (pin!(write), pin!(point));
    poll_fn(|cx| {
        assert!(write.as_mut().poll(cx).is_pending(), "the write is held");
        point.as_mut().poll(cx)
    })
    .await;
}

/// Reads until the row and the entry agree and nobody is at it any more; no read may be older than the row before it.
async fn never_older(world: &World, instance: &Instance, names: [&str; 2]) {
    let age = |name: Option<String>| names.iter().position(|known| name.as_deref() == Some(*known)).unwrap();
    until("it is served from the cache", async || {
        let before = age(world.row(1).await);
        let (hit, seen) = instance.hit(1).await;
        let (seen, after) = (age(seen), age(world.row(1).await));
        assert!(before <= seen, "the row held `{}` before the read of `{}`", names[before], names[seen]);
        hit && seen == after
    })
    .await;
}

#[tokio::test]
async fn a_write_dropped_at_any_stage_of_its_commit_goes_on_to_its_end() {
    for command in [Command::Mark, Command::Clear] {
        for answered in [false, true] {
            let world = World::new().await;
            let (a, b) = world.pair().await;
            warm([&a, &b], "old").await;
            let held = if answered { a.store.hold_reply(command) } else { a.store.hold(command) };
            leave_at(a.rename(1, "new"), held.reached()).await;
            let made = world.row(1).await;
            assert_eq!(made.as_deref(), Some(if command == Command::Mark { "old" } else { "new" }));
            assert_eq!(b.name(1).await, made, "at {command:?}, answered: {answered}");
            held.release();
            until("the write is made", async || {
                never_older(&world, &b, ["old", "new"]).await;
                world.row(1).await.as_deref() == Some("new")
            })
            .await;
            settled([&a, &b], "new").await;
        }
    }
}

#[tokio::test]
async fn control_a_naive_write_dropped_before_its_delete_leaves_the_old_value() {
    let world = World::new().await;
    let (a, b) = world.naive(Habit::DeleteAfter).await;
    assert_eq!(b.find(1).await.as_deref(), Some("old"));
    let committed = a.gates.hold(Point::Committed);
    leave_at(a.rename(1, "new"), committed.reached()).await;
    assert_eq!(world.row(1).await.as_deref(), Some("new"));
    assert_eq!(b.find(1).await.as_deref(), Some("old"));
}

#[tokio::test]
async fn a_write_dropped_after_any_number_of_polls_leaves_nothing_stale() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    let mut row = "old";
    for (polls, name) in
        (0..).zip(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
    {
        warm([&a, &b], row).await;
        {
            let mut write = pin!(a.rename(1, name));
            for _ in 0..polls {
                let poll = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx).is_ready()));
                if poll.await {
                    break;
                }
                // The write goes on when something has come for it, and not before.
                tokio::task::yield_now().await;
            }
        }
        let open = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()";
        until("no transaction is open", async || {
            never_older(&world, &b, [row, name]).await;
            sqlx::query_scalar::<_, i64>(open).fetch_one(&world.pool).await.unwrap() == 0
        })
        .await;
        never_older(&world, &b, [row, name]).await;
        row = if world.row(1).await.as_deref() == Some(name) { name } else { row };
        settled([&a, &b], row).await;
    }
}

#[tokio::test]
async fn a_write_without_a_transaction_that_is_dropped_goes_on_to_its_end() {
    for (command, ends_as) in [(Command::Mark, "old"), (Command::Clear, "new")] {
        let world = World::new().await;
        let (a, b) = world.pair().await;
        warm([&a, &b], "old").await;
        let held = if command == Command::Mark { a.store.hold_reply(command) } else { a.store.hold(command) };
        let write = a.users.rename_alone(1, "ada", "red", "new");
        leave_at(write, held.reached()).await;
        assert_eq!(b.name(1).await.as_deref(), Some(ends_as));
        held.release();
        settled([&a, &b], ends_as).await;
    }
}
