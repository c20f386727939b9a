//! The endpoints of the RealWorld API. Handlers check the request, call the repositories, and show the outcome.
//!
//! A write runs in one transaction that the handler begins and commits; what the answer shows is read afterwards, as
//! any other reader would.

mod articles;
mod auth;
mod comments;
mod error;
mod extract;
mod favorites;
mod profiles;
mod tags;
mod users;
mod validate;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::{delete, get, post};
use tower_http::cors::CorsLayer;

use crate::app::Conduit;
use error::ApiError;

/// Every endpoint, below `/api`; and `/health`, for whoever sends requests here.
pub(crate) fn router(conduit: Arc<Conduit>) -> Router {
    let api = Router::new()
        .route("/users", post(users::register))
        .route("/users/login", post(users::login))
        .route("/user", get(users::current).put(users::update))
        .route("/profiles/{username}", get(profiles::show))
        .route("/profiles/{username}/follow", post(profiles::follow).delete(profiles::unfollow))
        .route("/articles", get(articles::list).post(articles::create))
        .route("/articles/feed", get(articles::feed))
        .route("/articles/{slug}", get(articles::show).put(articles::update).delete(articles::remove))
        .route("/articles/{slug}/favorite", post(favorites::add).delete(favorites::remove))
        .route("/articles/{slug}/comments", get(comments::list).post(comments::create))
        .route("/articles/{slug}/comments/{id}", delete(comments::remove))
        .route("/tags", get(tags::list));
    Router::new()
        .nest("/api", api)
        .route("/health", get(health))
        .fallback(|_: Uri| async { ApiError::NotFound("path") })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(CorsLayer::permissive())
        .with_state(conduit)
}

/// Whether this instance should be sent requests: not until what is warmed at start is warm.
async fn health(State(conduit): State<Arc<Conduit>>) -> (StatusCode, String) {
    let readiness = conduit.gate.readiness();
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, readiness.to_string())
}
