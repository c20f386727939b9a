//! One database, one Redis, and instances that reach it by ways of their own.

use std::future::Future;
use std::time::Duration;

use cache_core::policy::OnUnfenced;
use cache_core::testkit::ChaosStore;
use cache_core::{Builder, Cache, Cacheable, RedisStore, cached, invalidates};
use cache_sqlx::{PgTx, Relay};
use cache_test_support::{fresh_database, redis_url, unique_name};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, FromRow, PgPool};
use tokio::runtime::Runtime;

/// How long anything may take on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Polls a condition until it holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LIMIT, poll).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow, Cacheable)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Users {
    pub(crate) cache: Cache,
    pub(crate) pool: PgPool,
}

impl Users {
    #[cached(key = "user:<id>", ttl = "1h")]
    pub(crate) async fn find(&self, id: i64) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT * FROM users WHERE id = $1").bind(id).fetch_optional(&self.pool).await
    }

    #[invalidates(key = "user:<id>", tag = "users", begin = self.pool)]
    pub(crate) async fn rename(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<()> {
        set(tx, id, name).await
    }

    /// Whatever its cache does with others.
    #[invalidates(key = "user:<id>", begin = self.pool, on_unfenced = "reject")]
    pub(crate) async fn rename_strictly(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<()> {
        set(tx, id, name).await
    }

    #[invalidates(key = "user:<id>", begin = self.pool, on_unfenced = "outbox")]
    pub(crate) async fn rename_in_any_case(
        &self,
        tx: &mut PgTx<'_>,
        id: i64,
        name: &str,
    ) -> sqlx::Result<()> {
        set(tx, id, name).await
    }

    #[invalidates(key = "user:<id>", within = tx, on_unfenced = "outbox")]
    pub(crate) async fn rename_within(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<()> {
        set(tx, id, name).await
    }

    #[cached(key = "badge:<id>", ttl = "1h", bounded = "1m")]
    pub(crate) async fn badge(&self, id: i64) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar("SELECT name FROM users WHERE id = $1").bind(id).fetch_optional(&self.pool).await
    }

    #[invalidates(key = "badge:<id>", begin = self.pool, on_unfenced = "proceed")]
    pub(crate) async fn print_badge(&self, tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<()> {
        set(tx, id, name).await
    }

    #[invalidates(key = "badge:<id>", on_unfenced = "proceed")]
    pub(crate) async fn print_badge_alone(&self, id: i64, name: &str) -> sqlx::Result<()> {
        let update = sqlx::query("UPDATE users SET name = $2 WHERE id = $1").bind(id).bind(name);
        update.execute(&self.pool).await.map(drop)
    }
}

async fn set(tx: &mut PgTx<'_>, id: i64, name: &str) -> sqlx::Result<()> {
    let update = sqlx::query("UPDATE users SET name = $2 WHERE id = $1").bind(id).bind(name);
    update.execute(&mut *tx).await.map(drop)
}

/// What all instances share.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) redis: String,
    pub(crate) database: String,
    pub(crate) namespace: String,
    /// Past every cache.
    pub(crate) pool: PgPool,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::over(redis_url().unwrap()).await
    }

    pub(crate) async fn over(redis: String) -> Self {
        let world = Self::without_tables(redis).await;
        cache_sqlx::migrate(&world.pool).await.unwrap();
        world
    }

    pub(crate) async fn without_tables(redis: String) -> Self {
        let database = fresh_database().unwrap();
        let pool = PgPoolOptions::new().max_connections(2).connect(&database).await.unwrap();
        pool.execute(
            "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL);
             INSERT INTO users VALUES (1, 'old'), (2, 'Bob')",
        )
        .await
        .unwrap();
        Self { redis, database, namespace: unique_name("outbox"), pool }
    }

    pub(crate) async fn instance(&self) -> Instance {
        self.build(&self.redis, |builder| builder).await
    }

    /// An instance that differs, perhaps with another way to the same Redis.
    pub(crate) async fn build(&self, redis: &str, change: impl FnOnce(Builder) -> Builder) -> Instance {
        let plain = RedisStore::connect(redis).await.unwrap();
        let store = ChaosStore::new(plain);
        let builder = Cache::builder(&self.namespace).store(store.clone());
        // A held command is not late, and a slow machine is no outage.
        let builder = builder.read_deadline(LIMIT).mark_deadline(LIMIT).clear_wait(LIMIT);
        let cache = change(builder.on_unfenced(OnUnfenced::Outbox)).build().unwrap();
        let pool = PgPoolOptions::new().max_connections(5).connect(&self.database).await.unwrap();
        let users = Users { cache: cache.clone(), pool: pool.clone() };
        // The first transaction tells the cache whom to ask.
        cache_sqlx::begin(&cache, &pool).await.unwrap().rollback().await.unwrap();
        Instance { users, cache, pool, store }
    }

    pub(crate) async fn name(&self, id: i64) -> String {
        sqlx::query_scalar("SELECT name FROM users WHERE id = $1")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Rows that wait, and those of them that could not reach the store.
    pub(crate) async fn rows(&self) -> (i64, i64) {
        let count = "SELECT count(*), count(*) FILTER (WHERE unreached) FROM cache_outbox";
        sqlx::query_as(count).fetch_one(&self.pool).await.unwrap()
    }

    /// Sends Redis a command past every cache.
    pub(crate) async fn tell<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = redis::Client::open(self.redis.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name).arg(arguments).query_async(&mut connection).await.unwrap()
    }
}

/// One process of the application.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) users: Users,
    pub(crate) cache: Cache,
    pub(crate) pool: PgPool,
    pub(crate) store: ChaosStore,
}

impl Instance {
    pub(crate) async fn name(&self, id: i64) -> String {
        self.users.find(id).await.unwrap().unwrap().name
    }

    /// Whether this read is answered without a load; the name it gave.
    pub(crate) async fn hit(&self, id: i64) -> (bool, String) {
        let before = self.cache.stats().total().loads;
        let name = self.name(id).await;
        (self.cache.stats().total().loads == before, name)
    }

    /// Reads user 1 until the store answers; every read on the way gives this name.
    pub(crate) async fn settles_on(&self, name: &str) {
        until("it is served from the cache", async || {
            let (hit, seen) = self.hit(1).await;
            assert_eq!(seen, name);
            hit
        })
        .await;
    }

    /// Reads user 1 for longer than the cache rests between two questions; every read gives this name.
    pub(crate) async fn never_shows_another_than(&self, name: &str) {
        for _ in 0..60 {
            assert_eq!(self.name(1).await, name);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn relay(&self) -> Relay {
        let builder = Relay::builder().poll(Duration::from_millis(20));
        builder.start(&self.cache, &self.pool).await.unwrap()
    }
}

/// A process of its own: dropped, its tasks and its connections end at once.
pub(crate) struct Process(Option<Runtime>);

impl Process {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self(Some(runtime.unwrap()))
    }

    pub(crate) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.0.as_ref().expect("it lives").spawn(work).await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.take().expect("it dies once").shutdown_background();
    }
}
