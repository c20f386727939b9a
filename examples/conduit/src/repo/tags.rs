//! The tags in use.

use sqlx::PgPool;

/// Tags in Postgres. They live in the articles: an article brings them, and its last one takes them away.
#[derive(Clone, Debug)]
pub struct Tags {
    pool: PgPool,
}

impl Tags {
    /// Over this pool.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Every tag some article carries, in byte order.
    ///
    /// key: `tags`
    pub async fn all(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT tag FROM (SELECT DISTINCT unnest(tag_list) AS tag FROM articles) used ORDER BY tag COLLATE \"C\"",
        )
        .fetch_all(&self.pool)
        .await
    }
}
