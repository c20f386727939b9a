//! Values that a write-through returns and the row does not hold: none may be installed.

use cache_core::writes_through;
use cache_sqlx::{PgTx, begin};
use sqlx::PgConnection;

use crate::repository::{User, Users};
use crate::world::{Instance, World, warm};

impl Users {
    /// One use of the transaction, two statements: what the first returned is not what the second left.
    #[writes_through(key = "user:<id>", within = tx)]
    async fn save_and_mark(&self, tx: &mut PgTx<'_>, id: i64) -> sqlx::Result<User> {
        save_and_mark(tx, id).await
    }

    /// No use of the transaction: nothing keeps others from changing the row before the value is installed.
    #[writes_through(key = "user:<id>", within = _tx)]
    async fn save_elsewhere(&self, _tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<User> {
        let update = "UPDATE users SET name = $2 WHERE id = $1 RETURNING *";
        sqlx::query_as(update).bind(id).bind(name).fetch_one(&self.pool).await
    }
}

async fn save_and_mark(connection: &mut PgConnection, id: i64) -> sqlx::Result<User> {
    let saved = "UPDATE users SET name = 'first' WHERE id = $1 RETURNING *";
    let saved = sqlx::query_as(saved).bind(id).fetch_one(&mut *connection).await?;
    let marked = "UPDATE users SET name = name || ' and last' WHERE id = $1";
    sqlx::query(marked).bind(id).execute(&mut *connection).await?;
    Ok(saved)
}

async fn pair() -> (World, Instance, Instance) {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    (world, a, b)
}

#[tokio::test]
async fn what_the_first_of_two_statements_on_one_connection_returned_is_not_installed() {
    let (world, a, b) = pair().await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    a.users.save_and_mark(&mut tx, 1).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.row(1).await.as_deref(), Some("first and last"));
    assert_eq!((a.name(1).await, b.name(1).await), (world.row(1).await, world.row(1).await));
}

#[tokio::test]
async fn what_was_written_past_the_transaction_is_not_installed_over_a_later_write() {
    let (world, a, b) = pair().await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    a.users.save_elsewhere(&mut tx, 1, "earlier").await.unwrap();
    b.users.rename_now(1, "later").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.row(1).await.as_deref(), Some("later"));
    assert_eq!((a.name(1).await, b.name(1).await), (world.row(1).await, world.row(1).await));
}
