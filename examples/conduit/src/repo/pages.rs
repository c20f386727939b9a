//! Lists of articles, as pages of ids in the order of publishing, newest first. The rows come from
//! [`Articles::find_many`], so a page stays right whatever happens to the text of an article.

use cache_core::{Cacheable, KeyPart, cached};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::Articles;

/// The ids on one page, and how many articles the list has altogether.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow, Cacheable)]
pub struct ArticlePage {
    /// Newest first.
    pub ids: Vec<i64>,
    /// Of the whole list.
    pub total: i64,
}

/// Which part of a list to show; all of it is in the key of every page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, KeyPart)]
pub struct Window {
    /// At most so many.
    pub limit: i64,
    /// After leaving out so many.
    pub offset: i64,
}

/// Several filters at once; all that are set must hold.
#[derive(Clone, Debug, Default)]
pub struct ArticleFilter {
    /// Carries this tag.
    pub tag: Option<String>,
    /// Written by this user.
    pub author_id: Option<i64>,
    /// Liked by this user.
    pub favorited_by: Option<i64>,
}

impl Articles {
    /// Every article.
    #[cached(
        key = "articles:recent:<window>",
        tag = "articles",
        ttl = "10m",
        jitter = 0.1,
        stampede = "xfetch"
    )]
    pub async fn recent(&self, window: Window) -> sqlx::Result<ArticlePage> {
        sqlx::query_as(
            "SELECT ARRAY(SELECT id FROM articles ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2) AS ids,
                    (SELECT count(*) FROM articles) AS total",
        )
        .bind(window.limit)
        .bind(window.offset)
        .fetch_one(&self.pool)
        .await
    }

    /// The articles that carry a tag.
    #[cached(
        key = "articles:tagged:<tag>:<window>",
        tag = "articles",
        ttl = "10m",
        jitter = 0.1,
        stampede = "xfetch"
    )]
    pub async fn tagged(&self, tag: &str, window: Window) -> sqlx::Result<ArticlePage> {
        sqlx::query_as(
            "WITH list AS (SELECT id, created_at FROM articles WHERE tag_list @> ARRAY[$1])
             SELECT ARRAY(SELECT id FROM list ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3) AS ids,
                    (SELECT count(*) FROM list) AS total",
        )
        .bind(tag)
        .bind(window.limit)
        .bind(window.offset)
        .fetch_one(&self.pool)
        .await
    }

    /// The articles of one author.
    #[cached(
        key = "articles:by:<author_id>:<window>",
        tag = "articles:by:<author_id>",
        ttl = "10m",
        jitter = 0.1,
        stampede = "xfetch"
    )]
    pub async fn by_author(&self, author_id: i64, window: Window) -> sqlx::Result<ArticlePage> {
        sqlx::query_as(
            "WITH list AS (SELECT id, created_at FROM articles WHERE author_id = $1)
             SELECT ARRAY(SELECT id FROM list ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3) AS ids,
                    (SELECT count(*) FROM list) AS total",
        )
        .bind(author_id)
        .bind(window.limit)
        .bind(window.offset)
        .fetch_one(&self.pool)
        .await
    }

    /// The articles one user likes.
    #[cached(
        key = "articles:favorited:<user_id>:<window>",
        tags = ["articles:favorited:<user_id>", "articles:removed"],
        ttl = "10m",
        jitter = 0.1,
        stampede = "xfetch"
    )]
    pub async fn favorited_by(&self, user_id: i64, window: Window) -> sqlx::Result<ArticlePage> {
        sqlx::query_as(
            "WITH list AS (SELECT a.id, a.created_at FROM articles a
                           JOIN favorites f ON f.article_id = a.id AND f.user_id = $1)
             SELECT ARRAY(SELECT id FROM list ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3) AS ids,
                    (SELECT count(*) FROM list) AS total",
        )
        .bind(user_id)
        .bind(window.limit)
        .bind(window.offset)
        .fetch_one(&self.pool)
        .await
    }

    /// The articles of everybody `user_id` follows.
    ///
    /// Publishing invalidates `articles` and not the feed of each follower: that is one tag however many they are, and it
    /// misses nobody who begins to follow while the article is being committed.
    #[cached(
        key = "feed:<user_id>:<window>",
        tags = ["feed:<user_id>", "articles"],
        ttl = "10m",
        jitter = 0.1,
        stampede = "xfetch"
    )]
    pub async fn feed(&self, user_id: i64, window: Window) -> sqlx::Result<ArticlePage> {
        sqlx::query_as(
            "WITH list AS (SELECT a.id, a.created_at FROM articles a
                           JOIN follows f ON f.followed_id = a.author_id AND f.follower_id = $1)
             SELECT ARRAY(SELECT id FROM list ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3) AS ids,
                    (SELECT count(*) FROM list) AS total",
        )
        .bind(user_id)
        .bind(window.limit)
        .bind(window.offset)
        .fetch_one(&self.pool)
        .await
    }

    /// The articles that pass several filters at once. Never cached: the combinations are many and each is rare.
    pub async fn matching(&self, filter: &ArticleFilter, window: Window) -> sqlx::Result<ArticlePage> {
        sqlx::query_as(
            "WITH list AS (SELECT id, created_at FROM articles a
                           WHERE ($1::text IS NULL OR tag_list @> ARRAY[$1])
                             AND ($2::bigint IS NULL OR author_id = $2)
                             AND ($3::bigint IS NULL OR EXISTS (
                                 SELECT FROM favorites f WHERE f.article_id = a.id AND f.user_id = $3)))
             SELECT ARRAY(SELECT id FROM list ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5) AS ids,
                    (SELECT count(*) FROM list) AS total",
        )
        .bind(&filter.tag)
        .bind(filter.author_id)
        .bind(filter.favorited_by)
        .bind(window.limit)
        .bind(window.offset)
        .fetch_one(&self.pool)
        .await
    }
}
