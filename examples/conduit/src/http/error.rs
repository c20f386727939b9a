//! Every way a request can fail, and the one shape all of them are answered in: `{"errors":{"field":["message"]}}`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use cache_sqlx::TxError;
use serde::Serialize;

use crate::password::PasswordError;

/// Messages by field, in the order of the fields' names.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Errors(BTreeMap<&'static str, Vec<String>>);

impl Errors {
    pub(crate) fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.entry(field).or_default().push(message.into());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn one(field: &'static str, message: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, message);
        errors
    }
}

/// A failed request.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 401: what is wrong with the credentials, by field.
    Unauthorized(&'static str, &'static str),
    /// 403: it belongs to somebody else.
    Forbidden(&'static str),
    /// 404: there is no such thing.
    NotFound(&'static str),
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 413 or 415: the body was not even read.
    Unreadable(StatusCode, String),
    /// 422: what is wrong, by field.
    Invalid(Errors),
    /// 503: whether a write was made, and what to do; the log says more.
    Unavailable(&'static str, sqlx::Error),
    /// 500: nothing the client can do about; the log says more.
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl ApiError {
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(Errors::one(field, message))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, errors) = match self {
            Self::Unauthorized(field, message) => (StatusCode::UNAUTHORIZED, Errors::one(field, message)),
            Self::Forbidden(what) => (StatusCode::FORBIDDEN, Errors::one(what, "belongs to somebody else")),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, Errors::one(what, "not found")),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, Errors::one("method", "not allowed here"))
            }
            Self::Unreadable(status, message) => (status, Errors::one("body", message)),
            Self::Invalid(errors) => (StatusCode::UNPROCESSABLE_ENTITY, errors),
            Self::Unavailable(message, error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a write did not end as it should");
                (StatusCode::SERVICE_UNAVAILABLE, Errors::one("server", message))
            }
            Self::Internal(error) => {
                tracing::error!(error = &*error as &dyn std::error::Error, "request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, Errors::one("server", "failed, and logged why"))
            }
        };
        let mut response = (status, Json(serde_json::json!({ "errors": errors }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Token"));
        }
        response
    }
}

/// The constraints of the schema decide what two writers at once can get wrong; here they become answers.
impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        /// Text that Postgres cannot hold: a NUL character.
        const UNTRANSLATABLE_CHARACTER: &str = "22021";
        match TxError::of(&error) {
            Some(TxError::Unfenced(_)) => {
                return Self::Unavailable(
                    "could not reach the cache, so nothing was changed; try again",
                    error,
                );
            }
            Some(TxError::Unclear(_)) => {
                return Self::Unavailable(
                    "has made the change, but some may not see it yet; do not repeat it",
                    error,
                );
            }
            Some(TxError::CommitUnknown(_)) => {
                return Self::Unavailable(
                    "does not know whether the change was made; look before repeating it",
                    error,
                );
            }
            _ => {}
        }
        let Some(database) = error.as_database_error() else {
            return Self::Internal(error.into());
        };
        if database.code().as_deref() == Some(UNTRANSLATABLE_CHARACTER) {
            return Self::invalid("body", "contains a character that cannot be stored");
        }
        match database.constraint() {
            Some("users_username_key") => Self::invalid("username", "has already been taken"),
            Some("users_email_key") => Self::invalid("email", "has already been taken"),
            Some("articles_slug_key") => Self::invalid("title", "has already been taken"),
            Some("comments_article_fkey" | "favorites_article_fkey") => Self::NotFound("article"),
            _ => Self::Internal(error.into()),
        }
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        Self::Internal(error.into())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            status @ (StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE) => {
                Self::Unreadable(status, rejection.body_text())
            }
            _ => Self::invalid("body", rejection.body_text()),
        }
    }
}

/// A path that names nothing, such as a comment called `x`.
impl From<PathRejection> for ApiError {
    fn from(_: PathRejection) -> Self {
        Self::NotFound("path")
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid("query", rejection.body_text())
    }
}

#[cfg(test)]
mod tests {
    use cache_core::WriteError;
    use cache_core::error::WriteErrorKind;

    use super::*;

    fn answer(error: TxError) -> (StatusCode, &'static str) {
        match ApiError::from(sqlx::Error::from(error)) {
            ApiError::Unavailable(message, _) => (StatusCode::SERVICE_UNAVAILABLE, message),
            other => (other.into_response().status(), ""),
        }
    }

    #[test]
    fn a_write_that_did_not_end_as_it_should_says_whether_it_was_made() {
        let fault = |kind| WriteError::new(kind, None);
        let (status, said) = answer(TxError::Unfenced(fault(WriteErrorKind::Unfenced)));
        assert!(status == 503 && said.contains("nothing was changed"), "{status} {said}");
        let (status, said) = answer(TxError::Unclear(fault(WriteErrorKind::Unclear)));
        assert!(status == 503 && said.contains("has made the change"), "{status} {said}");
        let (status, said) = answer(TxError::CommitUnknown(sqlx::Error::PoolClosed));
        assert!(status == 503 && said.contains("does not know whether"), "{status} {said}");
        assert_eq!(answer(TxError::CommittedOutside).0, 500);
    }
}
