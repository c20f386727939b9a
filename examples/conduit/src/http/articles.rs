//! Articles, lists of them, and the feed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::auth::{SignedIn, Viewer};
use super::error::ApiError;
use super::extract::{Json, Path, Query};
use super::validate::{Change, Check};
use super::view::{self, Article};
use crate::app::Conduit;
use crate::repo::{ArticleChange, ArticleFilter, ArticlePage, NewArticle, Owned, Window};
use crate::slug::slugify;

/// Articles on a page when nobody says how many.
const DEFAULT_LIMIT: i64 = 20;
/// Articles on a page at most, whatever is asked for: a page is one entry of the cache and one answer.
const MAX_LIMIT: i64 = 100;

/// One article, in requests and answers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Body<T> {
    article: T,
}

/// A page of articles.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    articles: Vec<Article>,
    articles_count: i64,
}

#[derive(Deserialize)]
pub(crate) struct Filters {
    tag: Option<String>,
    author: Option<String>,
    favorited: Option<String>,
    limit: Option<i64>,
    offset: Option<i64>,
}

#[derive(Deserialize)]
pub(crate) struct FeedWindow {
    limit: Option<i64>,
    offset: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Draft {
    title: Option<String>,
    description: Option<String>,
    body: Option<String>,
    #[serde(default)]
    tag_list: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Update {
    title: Change<String>,
    description: Change<String>,
    body: Change<String>,
}

/// `GET /articles`
pub(crate) async fn list(
    State(conduit): State<Arc<Conduit>>,
    Viewer(viewer): Viewer,
    Query(filters): Query<Filters>,
) -> Result<axum::Json<List>, ApiError> {
    let window = window(filters.limit, filters.offset)?;
    let page = page(&conduit, filters, window).await?;
    body(&conduit, viewer, page).await
}

/// `GET /articles/feed`
pub(crate) async fn feed(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Query(FeedWindow { limit, offset }): Query<FeedWindow>,
) -> Result<axum::Json<List>, ApiError> {
    let page = conduit.articles.feed(me.id, window(limit, offset)?).await?;
    body(&conduit, Some(me.id), page).await
}

/// `GET /articles/{slug}`
pub(crate) async fn show(
    State(conduit): State<Arc<Conduit>>,
    Viewer(viewer): Viewer,
    Path(slug): Path<String>,
) -> Result<axum::Json<Body<Article>>, ApiError> {
    let row = view::article_by_slug(&conduit, &slug).await?;
    Ok(axum::Json(Body { article: view::article(&conduit, viewer, row).await? }))
}

/// `POST /articles`
pub(crate) async fn create(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Json(Body { article: draft }): Json<Body<Draft>>,
) -> Result<(StatusCode, axum::Json<Body<Article>>), ApiError> {
    let mut check = Check::default();
    let title = check.required("title", draft.title);
    check.key("title", &title);
    let description = check.required("description", draft.description);
    let body = check.required("body", draft.body);
    let tag_list = each_once(draft.tag_list);
    tag_list.iter().for_each(|tag| check.key("tagList", tag));
    check.done()?;

    let new = NewArticle { slug: slugify(&title), title, description, body, tag_list };
    let mut tx = conduit.begin().await?;
    let row = conduit.articles.create(&mut tx, me.id, &new).await?;
    tx.commit().await?;
    let article = view::changed_article(&conduit, me.id, row.id).await?;
    Ok((StatusCode::CREATED, axum::Json(Body { article })))
}

/// `PUT /articles/{slug}`
pub(crate) async fn update(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Path(slug): Path<String>,
    Json(Body { article: form }): Json<Body<Update>>,
) -> Result<axum::Json<Body<Article>>, ApiError> {
    let mut check = Check::default();
    let title = check.optional("title", form.title);
    check.key("title", title.as_deref().unwrap_or_default());
    let description = check.optional("description", form.description);
    let body = check.optional("body", form.body);
    check.done()?;

    let title = title.map(|title| {
        let slug = slugify(&title);
        (title, slug)
    });
    let mut tx = conduit.begin().await?;
    let owned = conduit.articles.lock_by_slug(&mut tx, &slug).await?;
    let id = owned_by(me.id, owned)?;
    conduit.articles.update(&mut tx, id, &ArticleChange { title, description, body }).await?;
    tx.commit().await?;
    Ok(axum::Json(Body { article: view::changed_article(&conduit, me.id, id).await? }))
}

/// `DELETE /articles/{slug}`
pub(crate) async fn remove(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Path(slug): Path<String>,
) -> Result<StatusCode, ApiError> {
    let mut tx = conduit.begin().await?;
    let owned = conduit.articles.lock_by_slug(&mut tx, &slug).await?;
    let id = owned_by(me.id, owned)?;
    conduit.articles.delete(&mut tx, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One filter is one list; several at once are counted out one by one. Nobody wrote or likes what an unknown user did.
async fn page(conduit: &Conduit, filters: Filters, window: Window) -> Result<ArticlePage, ApiError> {
    let empty = ArticlePage { ids: Vec::new(), total: 0 };
    let Some(author_id) = known(conduit, filters.author.as_deref()).await? else { return Ok(empty) };
    let Some(favorited_by) = known(conduit, filters.favorited.as_deref()).await? else { return Ok(empty) };
    let articles = &conduit.articles;
    Ok(match (filters.tag, author_id, favorited_by) {
        (None, None, None) => articles.recent(window).await?,
        (Some(tag), None, None) => articles.tagged(&tag, window).await?,
        (None, Some(author_id), None) => articles.by_author(author_id, window).await?,
        (None, None, Some(user_id)) => articles.favorited_by(user_id, window).await?,
        (tag, author_id, favorited_by) => {
            articles.matching(&ArticleFilter { tag, author_id, favorited_by }, window).await?
        }
    })
}

/// The user a filter names: `Some(None)` when it names nobody, `None` when there is no such user.
async fn known(conduit: &Conduit, username: Option<&str>) -> Result<Option<Option<i64>>, ApiError> {
    match username {
        None => Ok(Some(None)),
        Some(username) => Ok(conduit.users.id_by_username(username).await?.map(Some)),
    }
}

async fn body(
    conduit: &Conduit,
    viewer: Option<i64>,
    page: ArticlePage,
) -> Result<axum::Json<List>, ApiError> {
    let articles = view::articles(conduit, viewer, &page.ids).await?;
    Ok(axum::Json(List { articles, articles_count: page.total }))
}

fn window(limit: Option<i64>, offset: Option<i64>) -> Result<Window, ApiError> {
    let (limit, offset) = (limit.unwrap_or(DEFAULT_LIMIT), offset.unwrap_or(0));
    let mut check = Check::default();
    check.at_least("limit", 1, limit);
    check.at_least("offset", 0, offset);
    check.done()?;
    Ok(Window { limit: limit.min(MAX_LIMIT), offset })
}

/// The id of the article, when it is there and theirs.
fn owned_by(user_id: i64, article: Option<Owned>) -> Result<i64, ApiError> {
    match article {
        None => Err(ApiError::NotFound("article")),
        Some(article) if article.author_id != user_id => Err(ApiError::Forbidden("article")),
        Some(article) => Ok(article.id),
    }
}

/// In the author's order, without blanks and repetitions.
fn each_once(tags: Vec<String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::with_capacity(tags.len());
    for tag in tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
        if !once.iter().any(|known| known == tag) {
            once.push(tag.to_owned());
        }
    }
    once
}
