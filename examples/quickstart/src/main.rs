//! Cached repository methods on SQLite and memory, in one page. Run it: `cargo run -p quickstart`.

use cache_core::testkit::ChaosStore;
use cache_core::{Cache, Cacheable, MemoryStore, cached, invalidates, writes_through};
use cache_sqlx::SqliteTx;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, SqlitePool, query, query_as};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, FromRow, Cacheable)]
struct User {
    id: i64,
    name: String,
}

#[derive(Clone)]
struct Users {
    cache: Cache,
    pool: SqlitePool,
}

impl Users {
    #[cached(key = "user:<id>", ttl = "1h", jitter = 0.1, stampede = "xfetch")]
    async fn find(&self, id: i64) -> sqlx::Result<Option<User>> {
        println!("      … SELECT user {id}");
        query_as("SELECT id, name FROM users WHERE id = ?").bind(id).fetch_optional(&self.pool).await
    }

    #[writes_through(key = "user:<return.id>", begin = self.pool)]
    async fn create(&self, tx: &mut SqliteTx<'_>, name: &str) -> sqlx::Result<User> {
        query_as("INSERT INTO users (name) VALUES (?) RETURNING id, name").bind(name).fetch_one(tx).await
    }

    #[invalidates(key = "user:<id>", within = tx)]
    async fn rename(&self, tx: &mut SqliteTx<'_>, id: i64, name: &str) -> sqlx::Result<()> {
        query("UPDATE users SET name = ? WHERE id = ?").bind(name).bind(id).execute(tx).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = SqlitePool::connect("sqlite::memory:").await?;
    query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)").execute(&pool).await?;
    let store = ChaosStore::new(MemoryStore::default()); // a store that can be taken down, to show what happens then
    let cache = Cache::builder("quickstart").store(store.clone()).build()?;
    let users = Users { cache: cache.clone(), pool: pool.clone() };

    println!("1  nobody is there: the first read asks the database, the second remembers that");
    println!("   {:?}", users.find(1).await?);
    println!("   {:?}", users.find(1).await?);

    println!("2  a write-through: the new row is in the cache when `create` returns");
    users.create("Ada").await?;
    println!("   {:?}", users.find(1).await?);

    println!("3  a write in a transaction of yours: fenced before COMMIT, cleared after it");
    let mut tx = cache_sqlx::begin(&cache, &pool).await?;
    users.rename(&mut tx, 1, "Grace").await?;
    tx.commit().await?;
    println!("   {:?}   a read that begins after the write sees it", users.find(1).await?);
    println!("   {:?}   and this is a hit", users.find(1).await?);

    println!("4  a stampede: 1,000 callers of a cold entry make one query");
    users.create("Edsger").await?;
    let mut tx = cache_sqlx::begin(&cache, &pool).await?;
    users.rename(&mut tx, 2, "Barbara").await?;
    tx.commit().await?;
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            tokio::spawn({
                let users = users.clone();
                async move { users.find(2).await }
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await??.map(|user| user.name).as_deref(), Some("Barbara"));
    }

    println!("5  the store is gone: reads ask the database, and a write that cannot be fenced is refused");
    store.down();
    println!("   {:?}", users.find(1).await?);
    let mut tx = cache_sqlx::begin(&cache, &pool).await?;
    users.rename(&mut tx, 1, "Nobody").await?;
    println!("   {}", tx.commit().await.expect_err("it cannot be fenced"));
    store.up();
    println!("   {:?}   and back: nothing was lost", users.find(1).await?);

    println!("\ncounters per key template\n{}", cache.stats());
    Ok(())
}
