//! Ends of a transaction that nobody waited for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::AtomicUsize;

use cache_core::WriteScope;
use cache_sqlx::{PgTx, begin};
use sqlx::Row;

use crate::kit::*;

async fn change(bank: &Bank) -> PgTx<'static> {
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    tx
}

/// Polls a commit until `point` is reached, then drops it.
async fn leave_at(commit: impl Future, point: impl Future) {
    let (mut commit, mut point) = (pin!(commit), pin!(point));
    poll_fn(|cx| {
        assert!(commit.as_mut().poll(cx).is_pending(), "the commit is held");
        point.as_mut().poll(cx)
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_was_never_polled_rolls_back() {
    let bank = bank().await;
    drop(change(&bank).await.commit());
    until("the transaction is gone", async || bank.idle_in_transaction().await == 0).await;
    assert_eq!((bank.balance(1).await, bank.spy.seen()), (100, vec![]));
}

#[tokio::test]
async fn a_commit_dropped_after_its_first_poll_goes_on_to_its_end() {
    let bank = bank().await;
    assert!(!drop_after(1, change(&bank).await.commit()).await);
    until("it is cleared", async || bank.spy.clears() == 1).await;
    assert_eq!((bank.read(1, &AtomicUsize::new(0)).await, bank.spy.marks()), (150, 1));
}

#[tokio::test]
async fn a_commit_dropped_between_fence_and_commit_goes_on_to_its_end() {
    let bank = bank().await;
    bank.spy.marked.close();
    leave_at(change(&bank).await.commit(), bank.spy.marked.arrival()).await;
    assert_eq!(bank.balance(1).await, 100);
    bank.spy.marked.open();
    until("it is cleared", async || bank.spy.clears() == 1).await;
    assert_eq!(bank.read(1, &AtomicUsize::new(0)).await, 150);
}

#[tokio::test]
async fn a_commit_dropped_between_commit_and_clear_goes_on_to_its_end() {
    let bank = bank().await;
    bank.spy.clearing.close();
    leave_at(change(&bank).await.commit(), bank.spy.clearing.arrival()).await;
    assert_eq!(bank.balance(1).await, 150);
    bank.spy.clearing.open();
    until("it is cleared", async || bank.spy.clears() == 1).await;
    assert!(bank.is_cached(1).await);
}

#[tokio::test]
async fn a_commit_on_a_borrowed_connection_that_is_dropped_leaves_a_fence_that_a_reader_heals() {
    let bank = bank().await;
    bank.spy.clearing.close();
    bank.spy.marked.close();
    let mut connection = bank.pool.acquire().await.unwrap();
    cache_sqlx::heal(&bank.cache, &bank.pool);
    let mut tx = PgTx::on(&bank.cache, &mut connection).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    // The store has set the fence; its answer never arrives.
    leave_at(tx.commit(), bank.spy.marked.arrival()).await;
    assert!(!bank.is_cached(1).await);
    drop(connection);
    // The transaction is rolled back with its future; the one who gave up lifts its fence, or a reader does.
    bank.spy.clearing.open();
    until("the fence is gone", async || bank.is_cached(1).await).await;
    assert_eq!(bank.balance(1).await, 100);
}

/// sqlx issue 4393: with sqlx's own `begin` this leaves connections inside a transaction.
#[tokio::test]
async fn a_begin_dropped_at_any_point_returns_no_connection_inside_a_transaction() {
    let bank = bank().await;
    let single = bank.single().await;
    for polls in 0..40 {
        drop_after(polls % 8, begin(&bank.cache, &single)).await;
        // The time of a transaction is that of its first statement.
        let inside = sqlx::raw_sql("SELECT now() <> statement_timestamp()").fetch_one(&single).await.unwrap();
        assert!(!inside.get::<bool, _>(0), "dropped after {} polls", polls % 8);
    }
}

#[tokio::test]
async fn a_nested_begin_that_is_dropped_never_commits_silently() {
    let bank = bank().await;
    for polls in 1..6 {
        let mut tx = change(&bank).await;
        let finished = drop_after(polls, tx.begin()).await;
        let result = tx.commit().await;
        let made = bank.balance(1).await == 150;
        assert_eq!(result.is_ok(), made, "after {polls} polls, finished: {finished}");
        sqlx::query(SET).bind(1_i64).bind(100_i64).execute(&bank.pool).await.unwrap();
    }
}
