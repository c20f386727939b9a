//! One database, one Redis, and as many instances of the application as a test wants.

use std::future::Future;
use std::time::Duration;

use cache_core::store::Store;
use cache_core::subject::{EntryKey, Kind};
use cache_core::testkit::ChaosStore;
use cache_core::{Builder, Cache, RedisStore, assert_loads};
use cache_test_support::{fresh_database, redis_url, unique_name};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};

use crate::gates::Gates;
use crate::naive::{Habit, Naive};
use crate::repository::{Notes, SCHEMA, Users};

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

/// What all instances share.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) redis: String,
    database: String,
    pub(crate) namespace: String,
    /// Past every cache.
    pub(crate) pool: PgPool,
}

impl World {
    /// Over the Redis that all tests share.
    pub(crate) async fn new() -> Self {
        Self::over(redis_url().unwrap()).await
    }

    /// Over a Redis of the test's own.
    pub(crate) async fn over(redis: String) -> Self {
        let database = fresh_database().unwrap();
        let pool = PgPoolOptions::new().max_connections(2).connect(&database).await.unwrap();
        pool.execute(SCHEMA).await.unwrap();
        let namespace = unique_name("fresh");
        Self { redis, database, namespace, pool }
    }

    /// An instance with connections of its own.
    pub(crate) async fn instance(&self) -> Instance {
        self.build(&self.redis, |builder| builder).await
    }

    /// An instance that differs, perhaps with another way to the same Redis.
    pub(crate) async fn build(&self, redis: &str, change: impl FnOnce(Builder) -> Builder) -> Instance {
        let plain = RedisStore::connect(redis).await.unwrap();
        let store = ChaosStore::new(plain.clone());
        let builder = Cache::builder(&self.namespace).store(store.clone());
        // A held command is not late, and a slow machine is no outage.
        let builder = builder.read_deadline(LIMIT).mark_deadline(LIMIT).clear_wait(LIMIT);
        let cache = change(builder).build().unwrap();
        let pool = PgPoolOptions::new().max_connections(5).connect(&self.database).await.unwrap();
        cache_sqlx::heal(&cache, &pool);
        let users = Users { cache: cache.clone(), pool: pool.clone(), gates: Gates::default() };
        let notes = Notes { cache: cache.clone(), pool: pool.clone() };
        let instance = Instance { users, notes, cache, pool, store, plain };
        instance.connected().await;
        instance
    }

    pub(crate) async fn pair(&self) -> (Instance, Instance) {
        (self.instance().await, self.instance().await)
    }

    /// Two instances of an application with a naive cache.
    pub(crate) async fn naive(&self, habit: Habit) -> (Naive, Naive) {
        (self.naive_at(&self.redis, habit).await, self.naive_at(&self.redis, habit).await)
    }

    pub(crate) async fn naive_at(&self, redis: &str, habit: Habit) -> Naive {
        let pool = PgPoolOptions::new().max_connections(5).connect(&self.database).await.unwrap();
        Naive::new(redis, &format!("naive-{}", self.namespace), pool, habit)
    }

    /// The name in the row, past every cache.
    pub(crate) async fn row(&self, id: i64) -> Option<String> {
        let name = "SELECT name FROM users WHERE id = $1";
        sqlx::query_scalar(name).bind(id).fetch_optional(&self.pool).await.unwrap()
    }

    /// Sends Redis a command past every cache.
    pub(crate) async fn tell<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let client = redis::Client::open(self.redis.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name).arg(arguments).query_async(&mut connection).await.unwrap()
    }

    /// How many entries Redis holds of a user, whether or not they would be served.
    pub(crate) async fn entries(&self, id: i64) -> u64 {
        self.tell(&["HLEN", &format!("{{{}:user:{id}}}:v", self.namespace)]).await
    }
}

/// One process of the application.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) users: Users,
    pub(crate) notes: Notes,
    pub(crate) cache: Cache,
    pub(crate) pool: PgPool,
    pub(crate) store: ChaosStore,
    plain: RedisStore,
}

impl Instance {
    /// Whether its Redis answers it.
    pub(crate) async fn is_connected(&self) -> bool {
        let subject = self.cache.namespace().subject(Kind::Entity, |text| text.literal("nobody"));
        self.plain.get(&EntryKey { subject, field: 0 }, &[]).await.is_ok()
    }

    pub(crate) async fn connected(&self) {
        until("it is connected", || self.is_connected()).await;
    }

    pub(crate) async fn disconnected(&self) {
        until("it has lost its connection", async || !self.is_connected().await).await;
    }

    /// The user's name, through the cache.
    pub(crate) async fn name(&self, id: i64) -> Option<String> {
        self.users.find(id).await.unwrap().map(|user| user.name)
    }

    /// Whether this read is answered without a load; the name it gave.
    pub(crate) async fn hit(&self, id: i64) -> (bool, Option<String>) {
        let before = self.loads();
        let name = self.name(id).await;
        (self.loads() == before, name)
    }

    pub(crate) fn loads(&self) -> u64 {
        self.cache.stats().total().loads
    }
}

/// Both instances answer user 1 with this name, and soon without a load: no fence is left.
pub(crate) async fn settled(pair: [&Instance; 2], name: &str) {
    for instance in pair {
        until("it is served from the cache", async || {
            let (hit, seen) = instance.hit(1).await;
            assert_eq!(seen.as_deref(), Some(name));
            hit
        })
        .await;
    }
}

/// Both instances answer user 1 with this name, and without a load.
pub(crate) async fn warm(pair: [&Instance; 2], name: &str) {
    for instance in pair {
        assert_eq!(instance.name(1).await.as_deref(), Some(name));
    }
    let [a, b] = pair;
    assert_loads!(0, [a.cache, b.cache], {
        for instance in pair {
            assert_eq!(instance.name(1).await.as_deref(), Some(name));
        }
    });
}
