//! Transactions that hold several writes, savepoints, failures and reads.

use cache_core::testkit::Command;
use cache_core::{assert_fresh, assert_loads};
use cache_sqlx::{PgTx, TxError, begin};

use crate::world::{Instance, World, settled, warm};

async fn names(a: &Instance, b: &Instance) -> [Option<String>; 2] {
    [a.name(1).await, b.name(1).await]
}

async fn in_a_savepoint(a: &Instance, tx: &mut PgTx<'_>, id: i64, name: &str, released: bool) {
    let mut savepoint = tx.begin().await.unwrap();
    a.users.rename(&mut savepoint, id, name).await.unwrap();
    if released {
        savepoint.commit().await.unwrap();
    } else {
        savepoint.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn a_released_savepoint_is_seen() {
    let (a, b) = World::new().await.pair().await;
    warm([&a, &b], "old").await;
    let write = async || {
        let mut tx = begin(&a.cache, &a.pool).await.unwrap();
        in_a_savepoint(&a, &mut tx, 1, "new", true).await;
        tx.commit().await.unwrap();
    };
    assert_fresh!(write(), names(&a, &b));
}

#[tokio::test]
async fn a_savepoint_that_was_rolled_back_leaves_the_value_and_what_was_written_around_it_is_seen() {
    let (a, b) = World::new().await.pair().await;
    warm([&a, &b], "old").await;
    assert_eq!(b.users.find(2).await.unwrap().unwrap().name, "Bob");
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    in_a_savepoint(&a, &mut tx, 1, "never", false).await;
    a.users.rename(&mut tx, 2, "Rob").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(b.users.find(2).await.unwrap().unwrap().name, "Rob");
    settled([&a, &b], "old").await;
}

#[tokio::test]
async fn a_value_saved_in_a_savepoint_that_was_rolled_back_is_not_installed() {
    let (a, b) = World::new().await.pair().await;
    warm([&a, &b], "old").await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    a.users.save(&mut savepoint, 1, "never").await.unwrap();
    savepoint.rollback().await.unwrap();
    tx.commit().await.unwrap();
    settled([&a, &b], "old").await;
}

#[tokio::test]
async fn a_value_saved_before_another_statement_is_not_installed_over_it() {
    let (a, b) = World::new().await.pair().await;
    warm([&a, &b], "old").await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    a.users.save(&mut tx, 1, "first").await.unwrap();
    sqlx::query("UPDATE users SET name = 'last' WHERE id = 1").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    settled([&a, &b], "last").await;
}

#[tokio::test]
async fn a_body_that_failed_is_rolled_back_and_the_old_value_stays_cached() {
    let (a, b) = World::new().await.pair().await;
    warm([&a, &b], "old").await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    a.users.rename_and_fail(&mut tx, 1, "never").await.unwrap_err();
    tx.rollback().await.unwrap();
    assert_loads!(0, [a.cache, b.cache], {
        assert_eq!(names(&a, &b).await, [Some("old".into()), Some("old".into())]);
    });
    assert_eq!(a.store.count(Command::Mark), 0);
}

#[tokio::test]
async fn a_body_that_failed_before_it_said_what_it_changed_cannot_be_committed() {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    a.users.rename_and_fail(&mut tx, 1, "never").await.unwrap_err();
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(TxError::of(&error), Some(TxError::Uncovered(_))), "{error:?}");
    assert_eq!(world.row(1).await.as_deref(), Some("old"));
    settled([&a, &b], "old").await;
}

#[tokio::test]
async fn two_repositories_in_one_transaction_are_seen_together() {
    let (a, b) = World::new().await.pair().await;
    let read = async || {
        let mut seen = Vec::new();
        for instance in [&a, &b] {
            seen.push((instance.name(1).await, instance.notes.body("ada", "today").await.unwrap()));
        }
        seen
    };
    read().await;
    let write = async || {
        let mut tx = begin(&a.cache, &a.pool).await.unwrap();
        a.users.rename(&mut tx, 1, "new").await.unwrap();
        let mut inner = tx.begin().await.unwrap();
        a.notes.write(&mut inner, "ada", "today", "renamed").await.unwrap();
        inner.commit().await.unwrap();
        tx.commit().await.unwrap();
    };
    assert_fresh!(write(), read());
    assert_eq!(read().await[1], (Some("new".into()), Some("renamed".into())));
}

#[tokio::test]
async fn a_read_inside_the_transaction_sees_its_own_change_and_fills_nothing() {
    let (a, b) = World::new().await.pair().await;
    warm([&a, &b], "old").await;
    let (fills, leases) = (a.store.count(Command::Fill), a.store.count(Command::Lease));
    let on = async |tx: &mut PgTx<'_>| a.users.find_on(tx, 1).await.unwrap().unwrap().name;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    assert_eq!(on(&mut tx).await, "old");
    a.users.rename(&mut tx, 1, "new").await.unwrap();
    assert_eq!(on(&mut tx).await, "new");
    assert_eq!(on(&mut tx).await, "new");
    // Past the transaction the old value is still right, and still cached.
    assert_loads!(0, [a.cache, b.cache], {
        assert_eq!(a.users.find_on(&a.pool, 1).await.unwrap().unwrap().name, "old");
        assert_eq!(b.name(1).await.as_deref(), Some("old"));
    });
    tx.rollback().await.unwrap();
    assert_eq!((a.store.count(Command::Fill), a.store.count(Command::Lease)), (fills, leases));
    assert_loads!(0, [a.cache, b.cache], {
        assert_eq!(names(&a, &b).await, [Some("old".into()), Some("old".into())]);
    });
}

#[tokio::test]
async fn a_cached_read_past_an_open_transaction_does_not_outlive_its_commit() {
    let (a, b) = World::new().await.pair().await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    a.users.rename(&mut tx, 1, "new").await.unwrap();
    // Both fill the old value, which is right until the commit.
    warm([&a, &b], "old").await;
    tx.commit().await.unwrap();
    assert_eq!(names(&a, &b).await, [Some("new".into()), Some("new".into())]);
}
