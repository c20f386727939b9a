//! Who likes which article.

use cache_core::{Cache, cached, invalidates};
use cache_sqlx::PgTx;
use sqlx::PgPool;

/// Favourites in Postgres.
#[derive(Clone, Debug)]
pub struct Favorites {
    cache: Cache,
    pool: PgPool,
}

impl Favorites {
    /// Over this cache and this pool.
    pub fn new(cache: Cache, pool: PgPool) -> Self {
        Self { cache, pool }
    }

    /// Every article `user_id` likes, ascending. One set a viewer answers `favorited` for a whole page of articles.
    ///
    /// Deleting an article takes the favourites of any number of users along; one tag names them all.
    #[cached(
        key = "favorites:<user_id>",
        tag = "articles:removed",
        ttl = "1h",
        jitter = 0.1,
        stampede = "xfetch"
    )]
    pub async fn of_user(&self, user_id: i64) -> sqlx::Result<Vec<i64>> {
        sqlx::query_scalar("SELECT article_id FROM favorites WHERE user_id = $1 ORDER BY article_id")
            .bind(user_id)
            .fetch_all(&self.pool)
            .await
    }

    /// `user_id` likes `article_id` from now on; liking twice is once. An article that is gone is a violation of
    /// `favorites_article_fkey`.
    #[invalidates(
        keys = ["favorites:<user_id>", "article:<article_id>"],
        tag = "articles:favorited:<user_id>",
        within = tx
    )]
    pub async fn add(&self, tx: &mut PgTx<'_>, user_id: i64, article_id: i64) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO favorites (user_id, article_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(user_id)
            .bind(article_id)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// `user_id` no longer likes `article_id`; they need not have.
    #[invalidates(
        keys = ["favorites:<user_id>", "article:<article_id>"],
        tag = "articles:favorited:<user_id>",
        within = tx
    )]
    pub async fn remove(&self, tx: &mut PgTx<'_>, user_id: i64, article_id: i64) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM favorites WHERE user_id = $1 AND article_id = $2")
            .bind(user_id)
            .bind(article_id)
            .execute(tx)
            .await?;
        Ok(())
    }
}
