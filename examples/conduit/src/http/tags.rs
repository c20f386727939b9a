//! The tags in use.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;

use super::error::ApiError;
use crate::app::Conduit;

/// The answer.
#[derive(Serialize)]
pub(crate) struct Body {
    tags: Vec<String>,
}

/// `GET /tags`
pub(crate) async fn list(State(conduit): State<Arc<Conduit>>) -> Result<axum::Json<Body>, ApiError> {
    Ok(axum::Json(Body { tags: conduit.tags.all().await? }))
}
