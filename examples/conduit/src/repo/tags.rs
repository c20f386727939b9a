//! The tags in use.

use cache_core::{Cache, cached};
use sqlx::PgPool;

/// Tags in Postgres. They live in the articles: an article brings them, and its last one takes them away.
#[derive(Clone, Debug)]
pub struct Tags {
    cache: Cache,
    pool: PgPool,
}

impl Tags {
    /// Over this cache and this pool.
    pub fn new(cache: Cache, pool: PgPool) -> Self {
        Self { cache, pool }
    }

    /// Every tag some article carries, in byte order.
    #[cached(key = "tags", ttl = "1h", jitter = 0.1, stampede = "xfetch")]
    pub async fn all(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT tag FROM (SELECT DISTINCT unnest(tag_list) AS tag FROM articles) used ORDER BY tag COLLATE \"C\"",
        )
        .fetch_all(&self.pool)
        .await
    }
}
