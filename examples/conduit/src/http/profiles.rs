//! Other users, and following them.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::auth::{SignedIn, Viewer};
use super::error::ApiError;
use super::extract::Path;
use super::view::{self, Profile};
use crate::app::Conduit;
use crate::repo::User;

/// Every answer here is wrapped so.
#[derive(Serialize)]
pub(crate) struct Body {
    profile: Profile,
}

/// `GET /profiles/{username}`
pub(crate) async fn show(
    State(conduit): State<Arc<Conduit>>,
    Viewer(viewer): Viewer,
    Path(username): Path<String>,
) -> Result<axum::Json<Body>, ApiError> {
    let user = named(&conduit, &username).await?;
    body(&conduit, viewer, &user).await
}

/// `POST /profiles/{username}/follow`
pub(crate) async fn follow(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Path(username): Path<String>,
) -> Result<axum::Json<Body>, ApiError> {
    let user = named(&conduit, &username).await?;
    let mut tx = conduit.begin().await?;
    conduit.follows.follow(&mut tx, me.id, user.id).await?;
    tx.commit().await?;
    body(&conduit, Some(me.id), &user).await
}

/// `DELETE /profiles/{username}/follow`
pub(crate) async fn unfollow(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user: me, .. }: SignedIn,
    Path(username): Path<String>,
) -> Result<axum::Json<Body>, ApiError> {
    let user = named(&conduit, &username).await?;
    let mut tx = conduit.begin().await?;
    conduit.follows.unfollow(&mut tx, me.id, user.id).await?;
    tx.commit().await?;
    body(&conduit, Some(me.id), &user).await
}

async fn named(conduit: &Conduit, username: &str) -> Result<User, ApiError> {
    view::user_by_name(conduit, username).await?.ok_or(ApiError::NotFound("profile"))
}

async fn body(conduit: &Conduit, viewer: Option<i64>, user: &User) -> Result<axum::Json<Body>, ApiError> {
    Ok(axum::Json(Body { profile: view::profile(conduit, viewer, user).await? }))
}
