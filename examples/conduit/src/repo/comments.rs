//! Comments below an article.

use cache_core::{Cache, Cacheable, cached, invalidates};
use cache_sqlx::PgTx;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};

/// A comment, the same for every viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow, Cacheable)]
pub struct Comment {
    /// Never reused.
    pub id: i64,
    /// Below which article.
    pub article_id: i64,
    /// By whom; [`super::Users::find`] knows more.
    pub author_id: i64,
    /// The text.
    pub body: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// Comments in Postgres.
#[derive(Clone, Debug)]
pub struct Comments {
    cache: Cache,
    pool: PgPool,
}

impl Comments {
    /// Over this cache and this pool.
    pub fn new(cache: Cache, pool: PgPool) -> Self {
        Self { cache, pool }
    }

    /// The comments below one article, newest first.
    #[cached(key = "article:<article_id>:comments", ttl = "1h", jitter = 0.1, stampede = "xfetch")]
    pub async fn of_article(&self, article_id: i64) -> sqlx::Result<Vec<Comment>> {
        sqlx::query_as(
            "SELECT id, article_id, author_id, body, created_at, updated_at FROM comments
             WHERE article_id = $1 ORDER BY created_at DESC, id DESC",
        )
        .bind(article_id)
        .fetch_all(&self.pool)
        .await
    }

    /// Adds a comment. An article that is gone is a violation of `comments_article_fkey`.
    #[invalidates(key = "article:<article_id>:comments", within = tx)]
    pub async fn create(
        &self,
        tx: &mut PgTx<'_>,
        article_id: i64,
        author_id: i64,
        body: &str,
    ) -> sqlx::Result<Comment> {
        sqlx::query_as(
            "INSERT INTO comments (article_id, author_id, body) VALUES ($1, $2, $3)
             RETURNING id, article_id, author_id, body, created_at, updated_at",
        )
        .bind(article_id)
        .bind(author_id)
        .bind(body)
        .fetch_one(tx)
        .await
    }

    /// Who wrote this comment below this article; it stays locked until the transaction ends. Never cached: a
    /// read inside a write.
    pub async fn lock_author(
        &self,
        tx: &mut PgTx<'_>,
        article_id: i64,
        id: i64,
    ) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar("SELECT author_id FROM comments WHERE id = $1 AND article_id = $2 FOR UPDATE")
            .bind(id)
            .bind(article_id)
            .fetch_optional(tx)
            .await
    }

    /// Takes a comment of this article away.
    #[invalidates(key = "article:<article_id>:comments", within = tx)]
    pub async fn delete(&self, tx: &mut PgTx<'_>, article_id: i64, id: i64) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM comments WHERE id = $1 AND article_id = $2")
            .bind(id)
            .bind(article_id)
            .execute(tx)
            .await?;
        Ok(())
    }
}
