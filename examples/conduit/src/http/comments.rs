//! Comments below an article.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::auth::{SignedIn, Viewer};
use super::error::ApiError;
use super::extract::{Json, Path};
use super::validate::Check;
use super::view::{self, Comment};
use crate::app::Conduit;

/// One comment, in requests and answers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Body<T> {
    comment: T,
}

/// All comments of an article.
#[derive(Serialize)]
pub(crate) struct List {
    comments: Vec<Comment>,
}

#[derive(Deserialize)]
pub(crate) struct Draft {
    body: Option<String>,
}

/// `GET /articles/{slug}/comments`
pub(crate) async fn list(
    State(conduit): State<Arc<Conduit>>,
    Viewer(viewer): Viewer,
    Path(slug): Path<String>,
) -> Result<axum::Json<List>, ApiError> {
    let article = view::article_by_slug(&conduit, &slug).await?;
    let rows = conduit.comments.of_article(article.id).await?;
    Ok(axum::Json(List { comments: view::comments(&conduit, viewer, rows).await? }))
}

/// `POST /articles/{slug}/comments`
pub(crate) async fn create(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Path(slug): Path<String>,
    Json(Body { comment: draft }): Json<Body<Draft>>,
) -> Result<axum::Json<Body<Comment>>, ApiError> {
    let mut check = Check::default();
    let text = check.required("body", draft.body);
    check.done()?;

    let article = view::article_by_slug(&conduit, &slug).await?;
    let mut tx = conduit.begin().await?;
    let row = conduit.comments.create(&mut tx, article.id, me.id, &text).await?;
    tx.commit().await?;
    let comment = view::comment(&conduit, row, &me).await?;
    Ok(axum::Json(Body { comment }))
}

/// `DELETE /articles/{slug}/comments/{id}`
pub(crate) async fn remove(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Path((slug, id)): Path<(String, i64)>,
) -> Result<StatusCode, ApiError> {
    let article = view::article_by_slug(&conduit, &slug).await?;
    let mut tx = conduit.begin().await?;
    match conduit.comments.lock_author(&mut tx, article.id, id).await? {
        None => return Err(ApiError::NotFound("comment")),
        Some(author_id) if author_id != me.id => return Err(ApiError::Forbidden("comment")),
        Some(_) => conduit.comments.delete(&mut tx, article.id, id).await?,
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
