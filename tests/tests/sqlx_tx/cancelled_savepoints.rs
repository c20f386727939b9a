//! Savepoints whose begin was cancelled: sqlx rolls back one level or two then, and its own counts no longer agree with ours.

use cache_core::WriteScope;
use cache_sqlx::{Backend, CacheTx, TxError, begin};
use sqlx::Acquire;

use crate::kit::*;
use crate::sqlite::till;

/// Sets a savepoint in a savepoint in a savepoint, leaves the last one after so many polls, and releases the second: three
/// levels deep sqlx rolls back two at once, so what was the second passes for the outermost, and its release would be a COMMIT
/// that no fence precedes.
macro_rules! release_after_a_cancelled_savepoint {
    ($tx:expr, $polls:expr, $by_sqlx:expr) => {{
        let mut outer = $tx.begin().await.unwrap();
        let mut inner = outer.begin().await.unwrap();
        let finished = if $by_sqlx {
            drop_after($polls, Acquire::begin(&mut inner)).await
        } else {
            drop_after($polls, inner.begin()).await
        };
        if finished { None } else { Some(inner.commit().await) }
    }};
}

async fn never_commits<DB: Backend>(tx: CacheTx<'_, DB>, released: sqlx::Result<()>) {
    for result in [released, tx.commit().await] {
        let error = result.unwrap_err();
        assert!(matches!(TxError::of(&error), Some(TxError::CommittedOutside)), "{error:?}");
    }
}

#[tokio::test]
async fn a_savepoint_in_which_another_was_cancelled_does_not_commit_the_transaction() {
    for by_sqlx in [false, true] {
        // On a loaded machine the answer may be there within one poll.
        let mut cancelled = 0;
        for _ in 0..20 {
            let bank = bank().await;
            let mut tx = begin(&bank.cache, &bank.pool).await.unwrap();
            touch(&tx.recording(), 1);
            sqlx::query(SET).bind(1_i64).bind(150_i64).execute(&mut *tx).await.unwrap();
            let released = release_after_a_cancelled_savepoint!(tx, 1, by_sqlx);
            let Some(released) = released else { continue };
            cancelled += 1;
            assert_eq!((bank.balance(1).await, bank.spy.marks()), (100, 0), "{released:?}");
            never_commits(tx, released).await;
            assert_eq!(bank.balance(1).await, 100);
            break;
        }
        assert_eq!(cancelled, 1);
    }
}

#[tokio::test]
async fn nor_does_it_on_sqlite() {
    for by_sqlx in [false, true] {
        // The connection's thread may be faster than one poll.
        let mut cancelled = 0;
        for _ in 0..20 {
            let till = till(2).await;
            let mut tx = till.change(150).await;
            let released = release_after_a_cancelled_savepoint!(tx, 1, by_sqlx);
            let Some(released) = released else { continue };
            cancelled += 1;
            assert_eq!((till.balance(1).await, till.spy.marks()), (100, 0), "{released:?}");
            never_commits(tx, released).await;
            assert_eq!(till.balance(1).await, 100);
            break;
        }
        assert_eq!(cancelled, 1);
    }
}
