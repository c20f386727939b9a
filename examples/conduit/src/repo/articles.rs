//! Articles: one row each, and the slug that leads to it. Lists of them are in [`super::pages`].

use std::collections::BTreeMap;

use cache_core::{Cache, Cacheable, cached, invalidates, writes_through};
use cache_sqlx::PgTx;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};

use super::each;

/// An article, the same for every viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow, Cacheable)]
pub struct Article {
    /// Never reused.
    pub id: i64,
    /// Unique; made from the title.
    pub slug: String,
    /// Headline.
    pub title: String,
    /// One line about it.
    pub description: String,
    /// The text, Markdown by custom.
    pub body: String,
    /// As the author ordered them, each once.
    pub tag_list: Vec<String>,
    /// By whom; [`super::Users::find`] knows more.
    pub author_id: i64,
    /// How many users like it.
    pub favorites_count: i64,
    /// When it was published.
    pub created_at: DateTime<Utc>,
    /// When its text was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What publishing writes.
#[derive(Clone, Debug)]
pub struct NewArticle {
    /// The slug to use if it is free.
    pub slug: String,
    /// Headline.
    pub title: String,
    /// One line about it.
    pub description: String,
    /// The text.
    pub body: String,
    /// Each once.
    pub tag_list: Vec<String>,
}

/// A change to an article; `None` keeps the column.
#[derive(Clone, Debug, Default)]
pub struct ArticleChange {
    /// New headline, with the slug to use if it is free.
    pub title: Option<(String, String)>,
    /// New line about it.
    pub description: Option<String>,
    /// New text.
    pub body: Option<String>,
}

/// An article locked by the transaction that is about to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct Owned {
    /// The article.
    pub id: i64,
    /// Who may change it.
    pub author_id: i64,
}

/// The slug of an article on both sides of a change, from the statement that made it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Moved {
    /// The article.
    pub id: i64,
    /// Slug before.
    pub old_slug: String,
    /// Slug now.
    pub slug: String,
}

/// What was known of an article when it went.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Removed {
    /// The article.
    pub id: i64,
    /// Its last slug.
    pub slug: String,
    /// Whose it was.
    pub author_id: i64,
}

/// Articles in Postgres.
#[derive(Clone, Debug)]
pub struct Articles {
    pub(super) cache: Cache,
    pub(super) pool: PgPool,
}

impl Articles {
    /// Over this cache and this pool.
    pub fn new(cache: Cache, pool: PgPool) -> Self {
        Self { cache, pool }
    }

    /// One article.
    #[cached(key = "article:<id>", ttl = "1h", jitter = 0.1, stampede = "xfetch")]
    pub async fn find(&self, id: i64) -> sqlx::Result<Option<Article>> {
        sqlx::query_as(
            "SELECT a.id, a.slug, a.title, a.description, a.body, a.tag_list, a.author_id, a.created_at, a.updated_at,
                    (SELECT count(*) FROM favorites f WHERE f.article_id = a.id) AS favorites_count
             FROM articles a WHERE a.id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await
    }

    /// The articles among `ids` that exist: the rows of a page.
    pub async fn find_many(&self, ids: &[i64]) -> sqlx::Result<BTreeMap<i64, Article>> {
        each(ids, |id| self.find(id)).await
    }

    /// Which article this slug leads to.
    #[cached(key = "article:by-slug:<slug>", ttl = "1h", jitter = 0.1, stampede = "xfetch")]
    pub async fn id_by_slug(&self, slug: &str) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar("SELECT id FROM articles WHERE slug = $1")
            .bind(slug)
            .fetch_optional(&self.pool)
            .await
    }

    /// Publishes an article.
    ///
    /// The row may be installed with its count: a favourite refers to an article that its writer can see, so there is none
    /// before this commit, and whoever adds one after it invalidates the row. The slug is invalidated because somebody may
    /// have asked for it before it existed.
    #[writes_through(key = "article:<return.id>", within = tx)]
    #[invalidates(
        keys = ["article:by-slug:<return.slug>", "tags"],
        tags = ["articles", "articles:by:<author_id>"],
        within = tx
    )]
    pub async fn create(&self, tx: &mut PgTx<'_>, author_id: i64, new: &NewArticle) -> sqlx::Result<Article> {
        sqlx::query_as(
            "INSERT INTO articles (id, slug, title, description, body, tag_list, author_id)
             SELECT next.id, free_slug($1, next.id), $2, $3, $4, $5, $6
             FROM (SELECT nextval(pg_get_serial_sequence('articles', 'id')) AS id) next
             RETURNING id, slug, title, description, body, tag_list, author_id, created_at, updated_at,
                       (SELECT count(*) FROM favorites f WHERE f.article_id = articles.id) AS favorites_count",
        )
        .bind(&new.slug)
        .bind(&new.title)
        .bind(&new.description)
        .bind(&new.body)
        .bind(&new.tag_list)
        .bind(author_id)
        .fetch_one(tx)
        .await
    }

    /// The article a write is about; it stays locked until the transaction ends. Never cached: a read inside a write.
    pub async fn lock_by_slug(&self, tx: &mut PgTx<'_>, slug: &str) -> sqlx::Result<Option<Owned>> {
        sqlx::query_as("SELECT id, author_id FROM articles WHERE slug = $1 FOR UPDATE")
            .bind(slug)
            .fetch_optional(tx)
            .await
    }

    /// Changes an article that exists (`RowNotFound` otherwise); another title brings another slug.
    ///
    /// Lists hold ids in the order of publishing, which no change touches, so no tag is invalidated.
    #[invalidates(
        keys = ["article:<id>", "article:by-slug:<return.old_slug>", "article:by-slug:<return.slug>"],
        within = tx
    )]
    pub async fn update(&self, tx: &mut PgTx<'_>, id: i64, change: &ArticleChange) -> sqlx::Result<Moved> {
        let (title, slug) = change.title.as_ref().map(|(title, slug)| (title, slug)).unzip();
        sqlx::query_as(
            "UPDATE articles a SET
                 slug        = CASE WHEN $2 <> old.title THEN free_slug($3, old.id) ELSE old.slug END,
                 title       = COALESCE($2, old.title),
                 description = COALESCE($4, a.description),
                 body        = COALESCE($5, a.body),
                 updated_at  = now()
             FROM (SELECT id, slug, title FROM articles WHERE id = $1 FOR UPDATE) old
             WHERE a.id = old.id
             RETURNING a.id, old.slug AS old_slug, a.slug",
        )
        .bind(id)
        .bind(title)
        .bind(slug)
        .bind(&change.description)
        .bind(&change.body)
        .fetch_one(tx)
        .await
    }

    /// Takes an article that exists away (`RowNotFound` otherwise), with its comments and favourites.
    ///
    /// `tags`: it may have been the last one with its tag. `articles:removed`: any number of users may have liked it.
    #[invalidates(
        keys = ["article:<id>", "article:by-slug:<return.slug>", "article:<id>:comments", "tags"],
        tags = ["articles", "articles:by:<return.author_id>", "articles:removed"],
        within = tx
    )]
    pub async fn delete(&self, tx: &mut PgTx<'_>, id: i64) -> sqlx::Result<Removed> {
        sqlx::query_as("DELETE FROM articles WHERE id = $1 RETURNING id, slug, author_id")
            .bind(id)
            .fetch_one(tx)
            .await
    }
}
