//! Nested transactions.

use cache_core::WriteScope;
use cache_core::site::{Coverage, Location, WriteSite};
use cache_sqlx::{TxError, begin};
use sqlx::{Acquire, Connection};

use crate::kit::*;

fn cleared(bank: &Bank) -> (Vec<String>, usize) {
    match bank.spy.seen().pop() {
        Some(Seen::Clear(subjects, puts)) => (subjects, puts),
        other => panic!("{other:?}"),
    }
}

fn accounts<const N: usize>(ids: [i64; N]) -> Vec<String> {
    ids.iter().map(|id| format!("bank:account:{id}")).collect()
}

#[tokio::test]
async fn a_released_savepoint_hands_its_subjects_and_values_to_its_parent() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    let mut inner = tx.begin().await.unwrap();
    let body = inner.recording();
    sqlx::query(SET).bind(2_i64).bind(250_i64).execute(&mut inner).await.unwrap();
    put(&body, 2);
    inner.commit().await.unwrap();
    assert_eq!(bank.spy.seen(), [], "a savepoint fences nothing");
    tx.commit().await.unwrap();
    assert_eq!(cleared(&bank), (accounts([1, 2]), 1));
    assert_eq!(bank.balance(2).await, 250);
}

#[tokio::test]
async fn a_savepoint_rolled_back_or_dropped_keeps_its_subjects_and_cancels_values() {
    let bank = bank().await;
    for dropped in [false, true] {
        let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
        let body = tx.recording();
        sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut tx).await.unwrap();
        put(&body, 1);
        let mut inner = tx.begin().await.unwrap();
        let body = inner.recording();
        sqlx::query(SET).bind(2_i64).bind(0_i64).execute(&mut inner).await.unwrap();
        put(&body, 2);
        if dropped {
            drop(inner);
        } else {
            inner.rollback().await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(cleared(&bank), (accounts([1, 2]), 0), "dropped: {dropped}");
        assert_eq!((bank.balance(1).await, bank.balance(2).await), (150, 200));
    }
}

#[tokio::test]
async fn savepoints_nest_and_end_in_any_way() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    let mut outer = tx.begin().await.unwrap();
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *outer).await.unwrap();
    touch(&outer.recording(), 1);
    let mut inner = outer.begin().await.unwrap();
    sqlx::query(SET).bind(2_i64).bind(0_i64).execute(&mut *inner).await.unwrap();
    touch(&inner.recording(), 2);
    inner.rollback().await.unwrap();
    outer.commit().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(cleared(&bank).0, accounts([1, 2]));
    assert_eq!((bank.balance(1).await, bank.balance(2).await), (150, 200));
}

#[tokio::test]
async fn a_statement_that_fails_in_a_savepoint_does_not_fail_the_transaction() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    let mut inner = tx.begin().await.unwrap();
    sqlx::query("INSERT INTO account VALUES (1, 0)").execute(&mut *inner).await.unwrap_err();
    inner.rollback().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(bank.balance(1).await, 150);
}

/// A savepoint that cannot be set makes sqlx roll back everything, after which its own COMMIT does nothing and succeeds.
#[tokio::test]
async fn a_transaction_that_a_failed_savepoint_ended_does_not_pass_for_committed() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    sqlx::query("INSERT INTO account VALUES (1, 0)").execute(&mut *tx).await.unwrap_err();
    tx.begin().await.unwrap_err();
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::CommittedOutside)), "{error:?}");
    assert_eq!(bank.balance(1).await, 100);
}

static UNFINISHED: WriteSite = WriteSite {
    at: Location { function: "savepoints::unfinished", file: file!(), line: line!() },
    keys: &["account:<return.id>"],
    tags: &[],
    coverage: Coverage::Within,
    on_unfenced: None,
};

#[tokio::test]
async fn a_write_that_never_said_what_it_changed_is_forgiven_if_its_savepoint_is_rolled_back() {
    let bank = bank().await;
    for rolled_back in [true, false] {
        let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
        touch(&tx.recording(), 1);
        let mut inner = tx.begin().await.unwrap();
        drop(inner.recording().expect(&UNFINISHED));
        if rolled_back {
            inner.rollback().await.unwrap();
        } else {
            inner.commit().await.unwrap();
        }
        let result = tx.commit().await;
        let uncovered = result.as_ref().err().and_then(TxError::of);
        assert_eq!(matches!(uncovered, Some(TxError::Uncovered(_))), !rolled_back, "{result:?}");
    }
}

#[tokio::test]
async fn a_savepoint_whose_release_was_dropped_never_commits_silently() {
    let bank = bank().await;
    for polls in 1..5 {
        let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
        touch(&tx.recording(), 1);
        let mut inner = tx.begin().await.unwrap();
        sqlx::query(SET).bind(2_i64).bind(0_i64).execute(&mut *inner).await.unwrap();
        drop(inner.recording().expect(&UNFINISHED));
        drop_after(polls, inner.commit()).await;
        // Whether the release was carried out is unknown, and so is whether the change would be committed.
        tx.commit().await.unwrap_err();
        assert_eq!((bank.balance(2).await, bank.spy.seen()), (200, vec![]));
    }
}

#[tokio::test]
async fn a_savepoint_of_sqlx_does_not_end_the_transaction() {
    let bank = bank().await;
    let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
    touch(&tx.recording(), 1);
    sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
    Connection::begin(&mut *tx).await.unwrap().commit().await.unwrap();
    let mut inner = Acquire::begin(&mut tx).await.unwrap();
    sqlx::query(SET).bind(1_i64).bind(0_i64).execute(&mut *inner).await.unwrap();
    inner.rollback().await.unwrap();
    assert_eq!(bank.balance(1).await, 100, "nothing is committed yet");
    tx.commit().await.unwrap();
    assert_eq!(bank.balance(1).await, 150);
}
