//! Puts shared rows together for one viewer: the JSON of the API. What depends on the viewer is laid over last.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use super::error::ApiError;
use crate::app::Conduit;
use crate::repo::{self, User};

/// The signed-in user, as only they see themselves.
#[derive(Serialize)]
pub(crate) struct Account {
    email: String,
    token: String,
    username: String,
    bio: Option<String>,
    image: Option<String>,
}

impl Account {
    pub(crate) fn new(user: User, token: String) -> Self {
        Self { email: user.email, token, username: user.username, bio: user.bio, image: user.image }
    }
}

/// A user, as others see them.
#[derive(Serialize)]
pub(crate) struct Profile {
    username: String,
    bio: Option<String>,
    image: Option<String>,
    following: bool,
}

/// An article; lists leave its text out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Article {
    slug: String,
    title: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    tag_list: Vec<String>,
    #[serde(serialize_with = "timestamp")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "timestamp")]
    updated_at: DateTime<Utc>,
    favorited: bool,
    favorites_count: i64,
    author: Profile,
}

/// A comment.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comment {
    id: i64,
    #[serde(serialize_with = "timestamp")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "timestamp")]
    updated_at: DateTime<Utc>,
    body: String,
    author: Profile,
}

/// RFC 3339 in UTC with milliseconds, as the API writes it.
fn timestamp<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// What one viewer adds to what everybody sees. Nobody adds nothing.
#[derive(Default)]
struct Overlay {
    following: HashSet<i64>,
    favorites: HashSet<i64>,
}

impl Overlay {
    async fn following(conduit: &Conduit, viewer: Option<i64>) -> Result<Self, ApiError> {
        let Some(viewer) = viewer else { return Ok(Self::default()) };
        let following = conduit.follows.of_user(viewer).await?.into_iter().collect();
        Ok(Self { following, ..Self::default() })
    }

    async fn complete(conduit: &Conduit, viewer: Option<i64>) -> Result<Self, ApiError> {
        let Some(viewer) = viewer else { return Ok(Self::default()) };
        let favorites = conduit.favorites.of_user(viewer).await?.into_iter().collect();
        Ok(Self { favorites, ..Self::following(conduit, Some(viewer)).await? })
    }

    fn profile(&self, user: &User) -> Profile {
        Profile {
            username: user.username.clone(),
            bio: user.bio.clone(),
            image: user.image.clone(),
            following: self.following.contains(&user.id),
        }
    }

    fn article(&self, article: repo::Article, author: &User) -> Article {
        Article {
            favorited: self.favorites.contains(&article.id),
            slug: article.slug,
            title: article.title,
            description: article.description,
            body: Some(article.body),
            tag_list: article.tag_list,
            created_at: article.created_at,
            updated_at: article.updated_at,
            favorites_count: article.favorites_count,
            author: self.profile(author),
        }
    }

    fn comment(&self, comment: repo::Comment, author: &User) -> Comment {
        Comment {
            id: comment.id,
            created_at: comment.created_at,
            updated_at: comment.updated_at,
            body: comment.body,
            author: self.profile(author),
        }
    }
}

/// A user found by name. The two reads may straddle a rename; then nobody had the name in between.
pub(crate) async fn user_by_name(conduit: &Conduit, username: &str) -> Result<Option<User>, ApiError> {
    let Some(id) = conduit.users.id_by_username(username).await? else { return Ok(None) };
    Ok(conduit.users.find(id).await?.filter(|user| user.username == username))
}

/// An article found by slug; as with [`user_by_name`], the two reads may straddle a change of title.
pub(crate) async fn article_by_slug(conduit: &Conduit, slug: &str) -> Result<repo::Article, ApiError> {
    let found = match conduit.articles.id_by_slug(slug).await? {
        Some(id) => conduit.articles.find(id).await?.filter(|article| article.slug == slug),
        None => None,
    };
    found.ok_or(ApiError::NotFound("article"))
}

/// A user as `viewer` sees them.
pub(crate) async fn profile(
    conduit: &Conduit,
    viewer: Option<i64>,
    user: &User,
) -> Result<Profile, ApiError> {
    Ok(Overlay::following(conduit, viewer).await?.profile(user))
}

/// An article as `viewer` sees it, with its text.
pub(crate) async fn article(
    conduit: &Conduit,
    viewer: Option<i64>,
    article: repo::Article,
) -> Result<Article, ApiError> {
    let author = conduit.users.find(article.author_id).await?.ok_or(ApiError::NotFound("article"))?;
    Ok(Overlay::complete(conduit, viewer).await?.article(article, &author))
}

/// The article `id` as `viewer` sees it after changing it.
pub(crate) async fn changed_article(conduit: &Conduit, viewer: i64, id: i64) -> Result<Article, ApiError> {
    let row = conduit.articles.find(id).await?.ok_or(ApiError::NotFound("article"))?;
    article(conduit, Some(viewer), row).await
}

/// The articles of a page in its order, as `viewer` sees them, without their texts. One that went since the page was
/// read is left out.
pub(crate) async fn articles(
    conduit: &Conduit,
    viewer: Option<i64>,
    ids: &[i64],
) -> Result<Vec<Article>, ApiError> {
    let mut rows = conduit.articles.find_many(ids).await?;
    let authors = authors(conduit, rows.values().map(|article| article.author_id)).await?;
    let overlay = Overlay::complete(conduit, viewer).await?;
    let shown = ids.iter().filter_map(|id| {
        let row = rows.remove(id)?;
        let author = authors.get(&row.author_id)?;
        Some(Article { body: None, ..overlay.article(row, author) })
    });
    Ok(shown.collect())
}

/// Comments in their order, as `viewer` sees them.
pub(crate) async fn comments(
    conduit: &Conduit,
    viewer: Option<i64>,
    rows: Vec<repo::Comment>,
) -> Result<Vec<Comment>, ApiError> {
    let authors = authors(conduit, rows.iter().map(|comment| comment.author_id)).await?;
    let overlay = Overlay::following(conduit, viewer).await?;
    let shown = rows.into_iter().filter_map(|row| {
        let author = authors.get(&row.author_id)?;
        Some(overlay.comment(row, author))
    });
    Ok(shown.collect())
}

/// A comment as its author sees it.
pub(crate) async fn comment(
    conduit: &Conduit,
    row: repo::Comment,
    author: &User,
) -> Result<Comment, ApiError> {
    Ok(Overlay::following(conduit, Some(author.id)).await?.comment(row, author))
}

async fn authors(conduit: &Conduit, ids: impl Iterator<Item = i64>) -> Result<BTreeMap<i64, User>, ApiError> {
    let ids: Vec<i64> = ids.collect::<BTreeSet<_>>().into_iter().collect();
    Ok(conduit.users.find_many(&ids).await?)
}
