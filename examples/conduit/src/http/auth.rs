//! Who is asking: `Authorization: Token <jwt>`.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::error::ApiError;
use crate::app::Conduit;
use crate::repo::User;

/// A signed-in user. Without one the request ends with 401.
pub(crate) struct SignedIn {
    pub(crate) user: User,
    /// The token as it came, to be handed out again.
    pub(crate) token: String,
}

/// The id of a signed-in user, or nobody. A token that came along must still be right.
pub(crate) struct Viewer(pub(crate) Option<i64>);

impl FromRequestParts<Arc<Conduit>> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, conduit: &Arc<Conduit>) -> Result<Self, ApiError> {
        signed_in(parts, conduit).await?.ok_or(ApiError::Unauthorized("token", "is missing"))
    }
}

impl FromRequestParts<Arc<Conduit>> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, conduit: &Arc<Conduit>) -> Result<Self, ApiError> {
        Ok(Self(signed_in(parts, conduit).await?.map(|SignedIn { user, .. }| user.id)))
    }
}

async fn signed_in(parts: &Parts, conduit: &Conduit) -> Result<Option<SignedIn>, ApiError> {
    const INVALID: ApiError = ApiError::Unauthorized("token", "is invalid");
    let Some(header) = parts.headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let token = header.to_str().ok().and_then(|text| text.strip_prefix("Token ")).ok_or(INVALID)?;
    let id = conduit.tokens.user_id(token, SystemTime::now()).ok_or(INVALID)?;
    let user = conduit.users.find(id).await?.ok_or(INVALID)?;
    Ok(Some(SignedIn { user, token: token.to_owned() }))
}
