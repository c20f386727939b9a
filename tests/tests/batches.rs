//! Many keys in one call, over real servers: what a batch costs, and what it sees.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::store::Store;
use cache_core::testkit::{ChaosStore, Command};
use cache_core::{Cache, Cacheable, Merging, RedisStore, cached, invalidates};
use cache_sqlx::{PgTx, ReadFrom};
use cache_test_support::{Cluster, fresh_database, redis_url, unique_name};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, FromRow, PgPool};

/// A slow machine is no outage.
const LIMIT: Duration = Duration::from_secs(30);

const ROWS: &str = "CREATE TABLE items (id bigint PRIMARY KEY, shelf bigint NOT NULL, name text NOT NULL);
    INSERT INTO items SELECT id, id % 10, 'item ' || id FROM generate_series(1, 1000) id";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow, Cacheable)]
struct Item {
    id: i64,
    shelf: i64,
    name: String,
}

#[derive(Clone)]
struct Items {
    cache: Cache,
    pool: PgPool,
    store: ChaosStore,
    queries: Arc<AtomicU64>,
}

impl Items {
    async fn new(namespace: &str, redis: &str, pool: &PgPool) -> Self {
        let plain = RedisStore::connect(redis).await.unwrap();
        let store = ChaosStore::new(plain);
        let cache = Cache::builder(namespace).store(store.clone()).read_deadline(LIMIT).mark_deadline(LIMIT);
        let cache = cache.build().unwrap();
        let items = Self { cache, pool: pool.clone(), store, queries: Arc::default() };
        items.connected().await;
        items
    }

    /// Waits until the store answers.
    async fn connected(&self) {
        let key = cache_core::subject::EntryKey {
            subject: self
                .cache
                .namespace()
                .subject(cache_core::subject::Kind::Entity, |text| text.literal("x")),
            field: 0,
        };
        let poll = async {
            while self.store.get(&key, &[]).await.is_err() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(LIMIT, poll).await.expect("the store answers");
    }

    async fn select<'c>(&self, db: impl sqlx::PgExecutor<'c>, ids: &[i64]) -> sqlx::Result<Vec<Item>> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        sqlx::query_as("SELECT * FROM items WHERE id = ANY($1)").bind(ids).fetch_all(db).await
    }

    #[cached(key = "item:<id>", ttl = "1h")]
    async fn find(&self, id: i64) -> sqlx::Result<Option<Item>> {
        Ok(self.select(&self.pool, &[id]).await?.pop())
    }

    #[cached(key = "item:<id>", ttl = "1h", batch)]
    async fn find_many(&self, ids: &[i64]) -> sqlx::Result<HashMap<i64, Item>> {
        let items = self.select(&self.pool, ids).await?;
        Ok(items.into_iter().map(|item| (item.id, item)).collect())
    }

    #[cached(key = "item:<id>", ttl = "1h", batch, on = db)]
    async fn find_many_on(&self, db: impl ReadFrom<'_>, ids: &[i64]) -> sqlx::Result<HashMap<i64, Item>> {
        let items = self.select(db, ids).await?;
        Ok(items.into_iter().map(|item| (item.id, item)).collect())
    }

    /// Forgets the order of its keys, and those that are absent.
    #[cached(key = "careless:<id>", ttl = "1h", batch)]
    async fn careless(&self, ids: &[i64]) -> sqlx::Result<Vec<Option<Item>>> {
        Ok(self.select(&self.pool, ids).await?.into_iter().map(Some).collect())
    }

    #[cached(key = "shelf:<place.0>:item:<place.1>", tags = ["shelf:<place.0>"], ttl = "1h", batch)]
    async fn on_shelves(&self, places: &[(i64, i64)]) -> sqlx::Result<HashMap<(i64, i64), Item>> {
        let ids: Vec<i64> = places.iter().map(|place| place.1).collect();
        let items = self.select(&self.pool, &ids).await?;
        Ok(items.into_iter().map(|item| ((item.shelf, item.id), item)).collect())
    }

    #[invalidates(key = "item:<id>", tag = "shelf:<shelf>", within = tx)]
    async fn rename(&self, tx: &mut PgTx<'_>, id: i64, shelf: i64, name: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE items SET name = $2 WHERE id = $1 AND shelf = $3")
            .bind(id)
            .bind(name)
            .bind(shelf)
            .execute(&mut *tx)
            .await?;
        Ok(())
    }

    async fn renamed(&self, id: i64, name: &str) {
        let mut tx = cache_sqlx::begin(&self.cache, &self.pool).await.unwrap();
        self.rename(&mut tx, id, id % 10, name).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What was asked of store and database since the last time: round trips by command, and queries.
    fn spent(&self, before: &mut HashMap<Command, u64>) -> (Vec<(Command, u64)>, u64) {
        let commands = [
            Command::Get,
            Command::Lease,
            Command::Fill,
            Command::GetMany,
            Command::LeaseMany,
            Command::FillMany,
        ];
        let mut spent = Vec::new();
        for command in commands {
            let count = self.store.count(command);
            let new = count - before.insert(command, count).unwrap_or_default();
            spent.extend((new > 0).then_some((command, new)));
        }
        (spent, self.queries.swap(0, Ordering::SeqCst))
    }
}

async fn database() -> PgPool {
    let pool = PgPoolOptions::new().max_connections(4).connect(&fresh_database().unwrap()).await.unwrap();
    pool.execute(ROWS).await.unwrap();
    pool
}

async fn items() -> Items {
    Items::new(&unique_name("batch"), &redis_url().unwrap(), &database().await).await
}

#[tokio::test]
async fn a_thousand_keys_with_a_tenth_missing_are_three_round_trips_and_one_query() {
    let items = items().await;
    let ids: Vec<i64> = (1..=1000).collect();
    assert_eq!(items.find_many(&ids[..900]).await.unwrap().len(), 900);
    let mut spent = HashMap::new();
    items.spent(&mut spent);
    assert_eq!(items.find_many(&ids).await.unwrap().len(), 1000);
    let three = vec![(Command::GetMany, 1), (Command::LeaseMany, 1), (Command::FillMany, 1)];
    assert_eq!(items.spent(&mut spent), (three, 1));
    assert_eq!(items.find_many(&ids).await.unwrap()[&7].name, "item 7");
    assert_eq!(items.spent(&mut spent), (vec![(Command::GetMany, 1)], 0));
    assert_eq!(items.find(7).await.unwrap().unwrap().name, "item 7");
    assert_eq!(items.spent(&mut spent), (vec![(Command::Get, 1)], 0), "one entry for both");
}

#[tokio::test]
async fn a_batch_that_begins_after_a_write_sees_it_on_every_instance() {
    let a = items().await;
    let b = Items::new(a.cache.namespace().as_str(), &redis_url().unwrap(), &a.pool).await;
    let ids = [1, 2, 3, 4444];
    let places = [(1, 1), (2, 2), (3, 3)];
    for turn in 0..20 {
        for reader in [&a, &b] {
            reader.find_many(&ids).await.unwrap();
            reader.on_shelves(&places).await.unwrap();
        }
        let name = format!("turn {turn}");
        [&b, &a][turn % 2].renamed(2, &name).await;
        for reader in [&a, &b] {
            assert_eq!(reader.find_many(&ids).await.unwrap()[&2].name, name);
            assert_eq!(reader.on_shelves(&places).await.unwrap()[&(2, 2)].name, name);
            assert_eq!(reader.find(2).await.unwrap().unwrap().name, name);
        }
    }
    assert!(a.cache.stats().of("item:<id>").negative_hits > 0, "the absent one was remembered");
}

#[tokio::test]
async fn in_a_transaction_a_batch_sees_its_own_changes_and_stores_nothing() {
    let items = items().await;
    items.find_many_on(&items.pool, &[1, 2]).await.unwrap();
    let mut tx = cache_sqlx::begin(&items.cache, &items.pool).await.unwrap();
    items.rename(&mut tx, 2, 2, "uncommitted").await.unwrap();
    assert_eq!(items.find_many_on(&mut tx, &[1, 2, 3]).await.unwrap()[&2].name, "uncommitted");
    tx.rollback().await.unwrap();
    assert_eq!(items.find_many_on(&items.pool, &[1, 2, 3]).await.unwrap()[&2].name, "item 2");
}

#[tokio::test]
async fn a_list_that_is_shorter_than_its_keys_is_an_error_of_sqlx() {
    let items = items().await;
    let error = items.careless(&[1, 2, 4444]).await.unwrap_err().to_string();
    assert!(error.contains("asked for 3 keys and returned 2 values"), "{error}");
    assert_eq!(items.cache.stats().total().fills, 0);
}

#[tokio::test]
async fn resolvers_that_ask_one_by_one_are_one_query() {
    let items = items().await;
    let by_id = {
        let items = items.clone();
        Merging::new(move |ids: Vec<i64>| {
            let items = items.clone();
            async move { items.find_many(&ids).await }
        })
    };
    let resolvers: Vec<_> = (1..=100)
        .map(|n| {
            let by_id = by_id.clone();
            tokio::spawn(async move { by_id.load(n % 50 + 1).await.unwrap().unwrap().name })
        })
        .collect();
    for (resolver, n) in resolvers.into_iter().zip(1..) {
        assert_eq!(resolver.await.unwrap(), format!("item {}", n % 50 + 1));
    }
    assert_eq!(items.queries.load(Ordering::SeqCst), 1);
    items.renamed(5, "new").await;
    assert_eq!(by_id.load(5).await.unwrap().unwrap().name, "new");
}

#[tokio::test]
async fn on_a_cluster_a_batch_is_one_pipeline_for_each_master() {
    let cluster = Cluster::start().unwrap();
    let items = Items::new("batch", &cluster.url(), &database().await).await;
    let ids: Vec<i64> = (1..=1000).collect();
    let places: Vec<_> = ids.iter().map(|id| (id % 10, *id)).collect();
    for _ in 0..2 {
        assert_eq!(items.find_many(&ids).await.unwrap().len(), 1000);
        assert_eq!(items.on_shelves(&places).await.unwrap().len(), 1000);
    }
    let stats = items.cache.stats();
    assert_eq!((stats.of("item:<id>").hits, stats.of("item:<id>").fills), (1000, 1000));
    assert_eq!(stats.of("shelf:<a>:item:<b>").hits, 1000, "with tags on other masters, too");
    assert_eq!(items.queries.load(Ordering::SeqCst), 2);
    items.renamed(7, "new").await;
    assert_eq!(items.find_many(&ids).await.unwrap()[&7].name, "new");
    assert_eq!(items.on_shelves(&places).await.unwrap()[&(7, 7)].name, "new");
}
