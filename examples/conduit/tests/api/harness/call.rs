//! One request and its answer.

use std::fmt;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, header};
use serde_json::Value;
use tower::ServiceExt;

use super::Person;

/// A request to the API, below `/api`.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    viewer: Option<&'a Person>,
    body: Option<String>,
    content_type: &'static str,
    authorization: Option<String>,
}

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    body: Bytes,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: &'a str) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn put(path: &'a str) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(crate) fn delete(path: &'a str) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn new(method: Method, path: &'a str) -> Self {
        let content_type = "application/json";
        Self { method, path, viewer: None, body: None, content_type, authorization: None }
    }

    /// With the token of `viewer`, or with none.
    pub(crate) fn by(self, viewer: impl Into<Option<&'a Person>>) -> Self {
        Self { viewer: viewer.into(), ..self }
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.text(body.to_string())
    }

    /// A body that need not be JSON.
    pub(crate) fn text(self, body: String) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(crate) fn content_type(self, content_type: &'static str) -> Self {
        Self { content_type, ..self }
    }

    /// Any `Authorization` header.
    pub(crate) fn authorization(self, header: &str) -> Self {
        Self { authorization: Some(header.to_owned()), ..self }
    }

    pub(super) async fn send(&self, router: &Router) -> Reply {
        let mut request = Request::builder().method(self.method.clone()).uri(format!("/api{}", self.path));
        let token = self.viewer.map(|viewer| format!("Token {}", viewer.token));
        if let Some(authorization) = self.authorization.clone().or(token) {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if self.body.is_some() {
            request = request.header(header::CONTENT_TYPE, self.content_type);
        }
        let body = self.body.clone().map_or_else(Body::empty, Body::from);
        let response = router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        Reply { status, body: to_bytes(response.into_body(), usize::MAX).await.unwrap() }
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let viewer = self.viewer.map_or("nobody", |viewer| &viewer.name);
        let body = self.body.as_deref().unwrap_or_default();
        write!(f, "{} {} by {viewer} {body}", self.method, self.path)
    }
}

impl Reply {
    /// The body, if it is JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json().unwrap_or(Value::Null)
    }

    /// A refusal with this status, this field and a message that begins so.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, field: &str, message: &str) {
        let body = self.expect(status);
        let said = body["errors"][field][0].as_str();
        assert!(said.is_some_and(|said| said.starts_with(message)), "{field}: {message}? {self:?}");
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}
