//! Fences, fills and clears.

use super::*;
use crate::error::WriteErrorKind;
use crate::heal::Healer;
use crate::store::{BoxFuture, Fence};
use crate::subject::WriterId;
use crate::testkit::{Command, Rule};

#[tokio::test]
async fn a_read_after_a_write_is_fresh_on_every_instance() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    assert_eq!((a.find().await, b.find().await, b.list().await), (Some(1), Some(1), 1));
    a.write(2).await.unwrap();
    assert_eq!((b.find().await, a.find().await, b.list().await), (Some(2), Some(2), 2));
    assert_eq!((a.find().await, b.list().await, a.list().await), (Some(2), 2, 2));
    let (a, b) = (a.cache.stats().total(), b.cache.stats().total());
    assert_eq!(a.loads + b.loads, 4, "two cold loads and two after the write");
}

#[tokio::test]
async fn a_fill_from_before_the_write_is_refused() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let fill = world.store.hold(Command::Fill);
    let slow = a.spawn_find();
    fill.reached().await;
    b.write(2).await.unwrap();
    fill.release();
    assert_eq!(slow.await.unwrap(), Some(1), "it began before the write");
    assert_eq!(a.cache.stats().total().fills_refused, 1);
    assert_eq!(a.find().await, Some(2));
}

#[tokio::test]
async fn a_tagged_fill_from_before_the_write_is_never_served() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let fill = world.store.hold(Command::Fill);
    let slow = {
        let a = a.clone();
        tokio::spawn(async move { a.list().await })
    };
    fill.reached().await;
    b.write(2).await.unwrap();
    fill.release();
    assert_eq!(slow.await.unwrap(), 1, "it began before the write");
    assert_eq!((a.list().await, b.list().await), (2, 2));
}

#[tokio::test]
async fn while_a_write_is_in_flight_readers_load_and_do_not_fill() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    a.find().await;
    let fenced = a.mark().await.unwrap();
    assert_eq!(b.find().await, Some(1));
    a.commit(2);
    assert_eq!(
        (b.find().await, b.list().await),
        (Some(2), 2),
        "the commit is visible, so readers see it before the clear"
    );
    let stats = b.cache.stats().total();
    assert_eq!((stats.fills, stats.fence_bypasses), (0, 3));
    fenced.clear().await.unwrap();
    b.find().await;
    assert_eq!(b.cache.stats().total().fills, 1);
}

#[tokio::test]
async fn a_write_that_cannot_be_fenced_is_refused() {
    let world = World::new();
    let a = world.instance();
    a.find().await;
    world.store.down();
    assert_eq!(a.mark().await.unwrap_err().kind(), WriteErrorKind::Unfenced);
    world.store.up();
    assert_eq!(a.find().await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_mark_whose_answer_is_lost_leaves_no_fence() {
    let world = World::new();
    let a = world.instance();
    world.store.lose_reply(Command::Mark);
    assert!(a.mark().await.is_err());
    until(|| world.store.count(Command::Clear) == 1).await;
    a.find().await;
    assert_eq!(a.cache.stats().total().fills, 1);
}

/// A fence is lost (the store forgets everything), a reader stores the old value, and then the clear is not answered
/// (model rows X3 and X4). Gives what the write returned and what a read sees that begins right after.
async fn write_whose_fence_and_clear_are_lost(writer: impl Fn(&World) -> Instance) -> (bool, Option<u64>) {
    let world = World::new();
    let (a, b) = (writer(&world), world.instance());
    let fenced = a.mark().await.unwrap();
    world.memory.lose_everything();
    assert_eq!(b.find().await, Some(1));
    a.commit(2);
    world.store.down();
    let returned = fenced.clear().await.is_ok();
    world.store.up();
    (returned, b.find().await)
}

#[tokio::test(start_paused = true)]
async fn a_write_does_not_return_ok_before_its_clear_is_confirmed() {
    let (returned_ok, _) = write_whose_fence_and_clear_are_lost(World::instance).await;
    assert!(!returned_ok);
}

#[tokio::test(start_paused = true)]
async fn control_without_a_confirmed_clear_a_read_after_the_write_is_stale() {
    let naive = |world: &World| world.with(world.builder().without(Rule::ConfirmedClear));
    assert_eq!(write_whose_fence_and_clear_are_lost(naive).await, (true, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_clear_goes_on_until_it_is_confirmed() {
    let world = World::new();
    let a = world.instance();
    let fenced = a.mark().await.unwrap();
    a.commit(2);
    world.store.down();
    assert_eq!(fenced.clear().await.unwrap_err().kind(), WriteErrorKind::Unclear);
    assert!(world.store.count(Command::Clear) > 3);
    world.store.up();
    let tried = world.store.count(Command::Clear);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.store.count(Command::Clear), tried + 1);
    assert_eq!((a.find().await, a.find().await), (Some(2), Some(2)));
    assert_eq!(a.cache.stats().total().fills, 1, "no fence is left");
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_the_clear() {
    let world = World::new();
    let a = world.instance();
    let clear = world.store.hold(Command::Clear);
    let writer = {
        let a = a.clone();
        tokio::spawn(async move { a.write(2).await })
    };
    clear.reached().await;
    writer.abort();
    clear.release();
    assert!(writer.await.is_err());
    until(|| world.store.count(Command::Clear) == 1).await;
    while a.cache.stats().total().fills == 0 {
        assert_eq!(a.find().await, Some(2));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_fence_of_a_dead_writer_without_a_transaction_is_lifted_by_age() {
    let world = World::new();
    let a = world.instance();
    a.mark().await.unwrap().abandon();
    world.clock.advance(Duration::from_secs(59));
    a.find().await;
    assert_eq!(a.cache.stats().total().fills, 0);
    world.clock.advance(Duration::from_secs(1));
    a.find().await;
    let stats = a.cache.stats().total();
    assert_eq!((stats.fills, stats.fences_healed), (1, 1));
}

#[tokio::test]
async fn two_writers_on_one_row_leave_it_fenced_until_both_are_done() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let (first, second) = (a.mark().await.unwrap(), b.mark().await.unwrap());
    a.commit(2);
    first.clear().await.unwrap();
    assert_eq!(a.find().await, Some(2));
    b.commit(3);
    assert_eq!(a.find().await, Some(3));
    second.clear().await.unwrap();
    assert_eq!((a.find().await, a.cache.stats().total().fills), (Some(3), 1));
}

#[tokio::test]
async fn a_write_whose_fence_was_lost_fences_and_clears_again_before_it_returns() {
    for (lost, rounds) in [(false, 1), (true, 2)] {
        let world = World::new();
        let a = world.instance();
        let fenced = a.mark().await.unwrap();
        if lost {
            world.memory.lose_everything();
        }
        a.commit(2);
        fenced.clear().await.unwrap();
        let (marks, clears) = (world.store.count(Command::Mark), world.store.count(Command::Clear));
        assert_eq!((marks, clears), (rounds, rounds), "lost: {lost}");
        a.find().await;
        assert_eq!(a.cache.stats().total().fills, 1, "no fence is left");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_leaves_no_task_behind() {
    let world = World::new();
    let a = world.instance();
    world.store.down();
    assert!(a.mark().await.is_err());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.store.count(Command::Clear), 0, "nothing was sent, so nothing is to be lifted");
    world.store.up();
    world.store.lose_reply(Command::Mark);
    for _ in 0..1000 {
        world.store.lose_reply(Command::Clear);
    }
    assert!(a.mark().await.is_err());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let attempts = world.store.count(Command::Clear);
    assert!((2..100).contains(&attempts), "{attempts}");
}

#[derive(Debug)]
struct Oracle {
    alive: bool,
    finished: bool,
}

impl Healer for Oracle {
    fn name(&self) -> &str {
        "oracle"
    }

    fn is_alive(&self) -> bool {
        self.alive
    }

    fn knows(&self, fence: &Fence) -> bool {
        fence.origin.as_str().starts_with("oracle:")
    }

    fn finished<'a>(&'a self, fences: &'a [Fence]) -> BoxFuture<'a, Vec<WriterId>> {
        let known =
            if self.finished { fences.iter().map(|fence| fence.writer).collect() } else { Vec::new() };
        Box::pin(std::future::ready(known))
    }
}

async fn fills_after_a_dead_writer(healers: &[Oracle]) -> u64 {
    let world = World::new();
    let a = world.instance();
    for &Oracle { alive, finished } in healers {
        a.cache.heal_with(Arc::new(Oracle { alive, finished }));
    }
    a.cache.fence(a.touched(), Origin::new("oracle:1").unwrap()).await.unwrap().abandon();
    world.clock.advance(Duration::from_secs(1));
    a.find().await;
    a.cache.stats().total().fills
}

#[tokio::test]
async fn a_fence_is_lifted_only_on_the_word_of_who_knows() {
    assert_eq!(fills_after_a_dead_writer(&[]).await, 0);
    assert_eq!(fills_after_a_dead_writer(&[Oracle { alive: true, finished: false }]).await, 0);
    assert_eq!(fills_after_a_dead_writer(&[Oracle { alive: true, finished: true }]).await, 1);
}

#[tokio::test]
async fn a_healer_that_can_no_longer_ask_is_replaced() {
    let (dead, living) = (Oracle { alive: false, finished: false }, Oracle { alive: true, finished: true });
    assert_eq!(fills_after_a_dead_writer(&[dead, living]).await, 1);
    let (first, second) = (Oracle { alive: true, finished: true }, Oracle { alive: true, finished: false });
    assert_eq!(fills_after_a_dead_writer(&[first, second]).await, 1);
}

/// A write without a transaction whose body takes longer than its fence may stand: readers lift it, and keep what they find.
#[tokio::test]
async fn a_writer_slower_than_its_orphaned_fence_is_seen_at_the_latest_when_it_returns() {
    let world = World::new();
    let (a, b) = (world.instance(), world.instance());
    let fenced = a.mark().await.unwrap();
    world.clock.advance(Duration::from_millis(59_999));
    assert_eq!((b.find().await, b.cache.stats().total().fills), (Some(1), 0), "the fence stands");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!((b.find().await, b.cache.stats().total().fills), (Some(1), 1), "nobody knows that it lives");
    a.commit(2);
    assert_eq!(b.find().await, Some(1), "visible, and not seen yet");
    fenced.clear().await.unwrap();
    assert_eq!((b.find().await, a.find().await, b.list().await), (Some(2), Some(2), 2));
}
