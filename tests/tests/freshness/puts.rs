//! Values that a write-through offers, on a real Redis: each reason not to install one that `races`, `transactions` and `written` do not
//! play.

use cache_core::testkit::Command;
use cache_core::{assert_loads, cached, invalidates, writes_around, writes_through};
use cache_sqlx::{PgTx, begin};

use crate::repository::{User, Users};
use crate::world::{Instance, World, warm};

const UPDATE: &str = "UPDATE users SET name = $2 WHERE id = $1 RETURNING *";

impl Users {
    #[cached(key = "tagged:<id>", ttl = "1h", tags = ["users"])]
    async fn tagged(&self, id: i64) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT * FROM users WHERE id = $1").bind(id).fetch_optional(&self.pool).await
    }

    #[writes_through(key = "tagged:<id>", key = "user:<id>", begin = self.pool)]
    async fn save_tagged(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<User> {
        sqlx::query_as(UPDATE).bind(id).bind(name).fetch_one(tx).await
    }

    #[writes_through(key = "user:<id>", begin = self.pool)]
    async fn save_now(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<Option<User>> {
        sqlx::query_as(UPDATE).bind(id).bind(name).fetch_optional(tx).await
    }

    #[writes_through(key = "user:<id>", within = tx)]
    async fn save_and_fail(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<User> {
        let _: User = sqlx::query_as(UPDATE).bind(id).bind(name).fetch_one(tx).await?;
        Err(sqlx::Error::RowNotFound)
    }

    /// Calls a write-through in its transaction.
    #[writes_around(tag = "users", begin = self.pool)]
    async fn import(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<Option<User>> {
        self.save(tx, id, name).await
    }

    /// The same, and says `#[invalidates]`.
    #[invalidates(tag = "users", begin = self.pool)]
    async fn import_plainly(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<Option<User>> {
        self.save(tx, id, name).await
    }

    /// Calls one that has a transaction of its own, in a fence that does not name the row.
    #[writes_around(tag = "users")]
    async fn import_each(&self, ids: &[i64], name: &str) -> sqlx::Result<()> {
        for id in ids {
            self.save_now(*id, name).await?;
        }
        Ok(())
    }
}

async fn pair() -> (World, Instance, Instance) {
    let world = World::new().await;
    let (a, b) = world.pair().await;
    warm([&a, &b], "old").await;
    (world, a, b)
}

#[tokio::test]
async fn a_value_is_installed_where_nothing_speaks_against_it() {
    let (world, a, b) = pair().await;
    a.users.save_now(1, "new").await.unwrap();
    assert_eq!(world.entries(1).await, 1);
    assert_loads!(0, [a.cache, b.cache], assert_eq!(b.name(1).await.as_deref(), Some("new")));
}

#[tokio::test]
async fn that_there_is_no_row_is_not_installed() {
    let (world, a, b) = pair().await;
    assert_eq!(a.users.save_now(404, "new").await.unwrap(), None);
    assert_eq!(world.entries(404).await, 0);
    assert_loads!(1, [a.cache, b.cache], assert_eq!(b.name(404).await, None));
}

#[tokio::test]
async fn a_body_that_fails_installs_nothing_even_if_its_caller_commits() {
    let (world, a, b) = pair().await;
    let mut tx = begin(&a.cache, &a.pool).await.unwrap();
    a.users.save_and_fail(&mut tx, 1, "new").await.unwrap_err();
    tx.commit().await.unwrap();
    assert_eq!(world.entries(1).await, 0);
    assert_eq!((a.name(1).await.as_deref(), b.name(1).await.as_deref()), (Some("new"), Some("new")));
}

/// Its generations were not read before the value was, so nobody would know which writes it has seen.
#[tokio::test]
async fn nothing_is_installed_for_a_reader_with_tags() {
    let (world, a, b) = pair().await;
    b.users.tagged(1).await.unwrap();
    a.users.save_tagged(1, "new").await.unwrap();
    let tagged: u64 = world.tell(&["HLEN", &format!("{{{}:tagged:1}}:v", world.namespace)]).await;
    assert_eq!((tagged, world.entries(1).await), (0, 1));
    assert_eq!(b.users.tagged(1).await.unwrap().unwrap().name, "new");
}

/// A fence of a release that does not know of the solo bit, or of somebody who writes by hand.
#[tokio::test]
async fn nothing_is_installed_under_a_fence_that_left_the_solo_bit_alone() {
    let (world, a, b) = pair().await;
    let marked = a.store.hold_reply(Command::Mark);
    let write = tokio::spawn({
        let users = a.users.clone();
        async move { users.save_now(1, "new").await }
    });
    marked.reached().await;
    let fences = format!("{{{}:user:1}}:c", world.namespace);
    let stranger = "0123456789abcdef0123456789abcdef";
    let _: u64 = world.tell(&["HSET", &fences, stranger, "none|9999999999999|0"]).await;
    let ours: Vec<String> = world.tell(&["HVALS", &fences]).await;
    assert!(ours.iter().any(|fence| fence.ends_with("|1")), "{ours:?}");
    marked.release();
    write.await.unwrap().unwrap();
    assert_eq!(world.entries(1).await, 0);
    let _: u64 = world.tell(&["HDEL", &fences, stranger]).await;
    assert_eq!((a.name(1).await.as_deref(), b.name(1).await.as_deref()), (Some("new"), Some("new")));
}

#[tokio::test]
async fn a_write_through_in_a_write_around_installs_nothing() {
    let (world, a, b) = pair().await;
    a.users.import_plainly(1, "one").await.unwrap();
    assert_eq!(world.entries(1).await, 1, "#[invalidates] leaves it to what it calls");
    a.users.import(1, "two").await.unwrap();
    assert_eq!(world.entries(1).await, 0);
    assert_eq!(b.name(1).await.as_deref(), Some("two"));
    a.users.import_each(&[1, 2], "three").await.unwrap();
    assert_eq!((world.entries(1).await, world.entries(2).await), (0, 0));
    assert_eq!((a.name(1).await.as_deref(), b.name(2).await.as_deref()), (Some("three"), Some("three")));
    a.users.save_now(1, "four").await.unwrap();
    assert_eq!(world.entries(1).await, 1, "it ends with the body");
}
