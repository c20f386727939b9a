//! Liking articles.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::auth::SignedIn;
use super::error::ApiError;
use super::extract::Path;
use super::view::{self, Article};
use crate::app::Conduit;

/// Every answer here is wrapped so.
#[derive(Serialize)]
pub(crate) struct Body {
    article: Article,
}

/// `POST /articles/{slug}/favorite`
pub(crate) async fn add(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Path(slug): Path<String>,
) -> Result<axum::Json<Body>, ApiError> {
    let id = view::article_by_slug(&conduit, &slug).await?.id;
    let mut tx = conduit.begin().await?;
    conduit.favorites.add(&mut tx, me.id, id).await?;
    tx.commit().await?;
    Ok(axum::Json(Body { article: view::changed_article(&conduit, me.id, id).await? }))
}

/// `DELETE /articles/{slug}/favorite`
pub(crate) async fn remove(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Path(slug): Path<String>,
) -> Result<axum::Json<Body>, ApiError> {
    let id = view::article_by_slug(&conduit, &slug).await?.id;
    let mut tx = conduit.begin().await?;
    conduit.favorites.remove(&mut tx, me.id, id).await?;
    tx.commit().await?;
    Ok(axum::Json(Body { article: view::changed_article(&conduit, me.id, id).await? }))
}
