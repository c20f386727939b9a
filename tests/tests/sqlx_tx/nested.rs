//! Cached functions that call each other, and a pool with one connection.

use std::time::Duration;

use cache_core::{Cache, cached};
use sqlx::SqlitePool;

use crate::kit::*;
use crate::sqlite::till;

#[derive(Clone)]
struct Accounts {
    cache: Cache,
    pool: SqlitePool,
}

impl Accounts {
    #[cached(key = "nested:balance:<id>", ttl = "1h")]
    async fn balance(&self, id: i64) -> sqlx::Result<i64> {
        sqlx::query_scalar(GET).bind(id).fetch_one(&self.pool).await
    }

    #[cached(key = "nested:total:<id>:<by>", ttl = "1h")]
    async fn total(&self, id: i64, by: i64) -> sqlx::Result<i64> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM account").fetch_one(&self.pool).await?;
        Ok(by * count + self.balance(id).await?)
    }
}

#[tokio::test]
async fn nested_cached_functions_share_a_pool_of_one_connection() {
    let till = till(1).await;
    let accounts = Accounts { cache: till.cache.clone(), pool: till.pool.clone() };
    let tasks: Vec<_> = (0..40)
        .map(|by| {
            let accounts = accounts.clone();
            tokio::spawn(async move { accounts.total(1 + by % 2, by).await })
        })
        .collect();
    for (by, task) in (0_i64..).zip(tasks) {
        let total = tokio::time::timeout(Duration::from_secs(30), task).await.expect("it hangs").unwrap();
        assert_eq!(total.unwrap(), 2 * by + 100 * (1 + by % 2));
    }
    let stats = till.cache.stats();
    assert_eq!((stats.of("nested:balance:<id>").loads, stats.total().circles), (2, 0));
}
