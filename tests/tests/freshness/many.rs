//! Writes that name very many rows.

use cache_core::testkit::Command;
use cache_core::{Cache, cached, invalidates};
use cache_sqlx::{PgTx, begin};
use sqlx::{Executor, PgPool};
use tokio::sync::Notify;

use crate::world::{Instance, World};

const TABLE: &str = "CREATE TABLE readings (id bigint PRIMARY KEY, value bigint NOT NULL);
                     INSERT INTO readings SELECT id, 0 FROM generate_series(1, 5000) AS id";

struct Readings {
    cache: Cache,
    pool: PgPool,
    loaded: Notify,
    goes_on: Notify,
}

impl Readings {
    #[cached(key = "reading:<id>", ttl = "1h", tags = ["readings"])]
    async fn value(&self, id: i64) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar("SELECT value FROM readings WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
    }

    /// Stops between its load and its fill.
    #[cached(key = "slow:<id>", ttl = "1h", tags = ["readings"])]
    async fn value_slowly(&self, id: i64) -> sqlx::Result<Option<i64>> {
        let value = self.value_past_the_cache(id).await;
        self.loaded.notify_one();
        self.goes_on.notified().await;
        value
    }

    async fn value_past_the_cache(&self, id: i64) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar("SELECT value FROM readings WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
    }

    /// The same rows, one by one.
    #[cached(key = "single:<id>", ttl = "1h")]
    async fn single(&self, id: i64) -> sqlx::Result<Option<i64>> {
        self.value_past_the_cache(id).await
    }

    #[invalidates(key = "reading:<return>", key = "slow:<return>", bulk = "readings", within = tx)]
    async fn raise(&self, tx: &mut PgTx<'_>, to: i64) -> sqlx::Result<Vec<i64>> {
        let raise = "UPDATE readings SET value = value + 1 WHERE id <= $1 RETURNING id";
        sqlx::query_scalar(raise).bind(to).fetch_all(tx).await
    }

    #[invalidates(key = "single:<return>", begin = self.pool)]
    async fn raise_singles(&self, tx: &mut PgTx<'_>, to: i64) -> sqlx::Result<Vec<i64>> {
        let raise = "UPDATE readings SET value = value + 1 WHERE id <= $1 RETURNING id";
        sqlx::query_scalar(raise).bind(to).fetch_all(tx).await
    }

    async fn raised(&self, to: i64) {
        let mut tx = begin(&self.cache, &self.pool).await.unwrap();
        self.raise(&mut tx, to).await.unwrap();
        tx.commit().await.unwrap();
    }
}

fn readings(instance: &Instance) -> Readings {
    Readings {
        cache: instance.cache.clone(),
        pool: instance.pool.clone(),
        loaded: Notify::new(),
        goes_on: Notify::new(),
    }
}

async fn world() -> World {
    let world = World::new().await;
    world.pool.execute(TABLE).await.unwrap();
    world
}

/// How many subjects are fenced while such a write is about to commit, and how many of them are tags.
async fn fences(world: &World, instance: &Instance, write: impl Future<Output = ()>) -> (usize, usize) {
    let marked = instance.store.hold_reply(Command::Mark);
    let look = async {
        marked.reached().await;
        let names: Vec<String> = world.tell(&["KEYS", &format!("{{{}*}}:c", world.namespace)]).await;
        marked.release();
        (names.len(), names.iter().filter(|name| name.contains('#')).count())
    };
    tokio::join!(write, look).1
}

#[tokio::test]
async fn past_the_limit_the_tag_is_marked_in_place_of_the_rows() {
    let world = world().await;
    let b = readings(&world.instance().await);
    let instance = world.build(&world.redis, |builder| builder.bulk_limit(20)).await;
    let a = readings(&instance);
    // Each row has two names.
    for (value, (rows, expected)) in (1..).zip([(10, (20, 0)), (11, (1, 1)), (5_000, (1, 1))]) {
        for id in [1, 10] {
            assert_eq!(b.value(id).await.unwrap(), Some(value - 1));
        }
        assert_eq!(fences(&world, &instance, a.raised(rows)).await, expected, "{rows} rows");
        for id in [1, 10] {
            assert_eq!(b.value(id).await.unwrap(), Some(value), "{rows} rows");
        }
    }
}

/// The row was loaded before, and is filled after a write that marked nothing but its tag.
#[tokio::test]
async fn a_row_that_was_loading_when_its_tag_was_marked_is_not_served() {
    let world = world().await;
    let b = std::sync::Arc::new(readings(&world.instance().await));
    let instance = world.build(&world.redis, |builder| builder.bulk_limit(20)).await;
    let slow = tokio::spawn({
        let b = b.clone();
        async move { b.value_slowly(1).await.unwrap() }
    });
    b.loaded.notified().await;
    readings(&instance).raised(5_000).await;
    b.goes_on.notify_one();
    assert_eq!(slow.await.unwrap(), Some(0), "it began before the write");
    b.goes_on.notify_one();
    assert_eq!(b.value_slowly(1).await.unwrap(), Some(1));
}

/// Without a tag that stands for them, rows of any number are marked, in parts.
#[tokio::test]
async fn thousands_of_rows_are_marked_one_by_one() {
    let world = world().await;
    let (a, b) = world.pair().await;
    let (writer, reader) = (readings(&a), readings(&b));
    for id in [1, 2_500, 5_000] {
        assert_eq!(reader.single(id).await.unwrap(), Some(0));
    }
    assert_eq!(writer.raise_singles(5_000).await.unwrap().len(), 5_000);
    assert_eq!((a.store.count(Command::Mark), a.store.count(Command::Clear)), (5, 5));
    for id in [1, 2_500, 5_000] {
        assert_eq!(reader.single(id).await.unwrap(), Some(1));
    }
    let left: Vec<String> = world.tell(&["KEYS", &format!("{{{}*}}:c", world.namespace)]).await;
    assert!(left.is_empty(), "{left:?}");
}
