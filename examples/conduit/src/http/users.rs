//! Registration, login, and one's own account.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::auth::SignedIn;
use super::error::ApiError;
use super::extract::Json;
use super::validate::{Change, Check};
use super::view::Account;
use crate::app::Conduit;
use crate::repo::{NewUser, UserChange};

/// Every request and answer here is wrapped so.
#[derive(Serialize, Deserialize)]
pub(crate) struct Body<T> {
    user: T,
}

#[derive(Deserialize)]
pub(crate) struct Registration {
    username: Option<String>,
    email: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Login {
    email: Option<String>,
    password: Option<String>,
}

#[derive(Deserialize, PartialEq, Eq, Default)]
#[serde(default)]
pub(crate) struct Update {
    username: Change<String>,
    email: Change<String>,
    password: Change<String>,
    bio: Change<String>,
    image: Change<String>,
}

/// `POST /users`
pub(crate) async fn register(
    State(conduit): State<Arc<Conduit>>,
    Json(Body { user: form }): Json<Body<Registration>>,
) -> Result<(StatusCode, axum::Json<Body<Account>>), ApiError> {
    let mut check = Check::default();
    let username = check.required("username", form.username);
    check.key("username", &username);
    let email = check.required("email", form.email);
    check.email(&email);
    let password = check.required("password", form.password);
    check.done()?;

    let password_hash = conduit.passwords.hash(password).await?;
    let mut tx = conduit.begin().await?;
    let user = conduit.users.create(&mut tx, &NewUser { username, email, password_hash }).await?;
    tx.commit().await?;

    let token = conduit.tokens.issue(user.id, SystemTime::now());
    Ok((StatusCode::CREATED, axum::Json(Body { user: Account::new(user, token) })))
}

/// `POST /users/login`
pub(crate) async fn login(
    State(conduit): State<Arc<Conduit>>,
    Json(Body { user: form }): Json<Body<Login>>,
) -> Result<axum::Json<Body<Account>>, ApiError> {
    const WRONG: ApiError = ApiError::Unauthorized("email or password", "is invalid");
    let mut check = Check::default();
    let email = check.required("email", form.email);
    let password = check.required("password", form.password);
    check.done()?;

    let id = conduit.users.id_by_email(&email).await?;
    let stored = match id {
        Some(id) => conduit.users.password_hash(id).await?,
        None => None,
    };
    let matches = conduit.passwords.verify(password, stored).await?;
    let Some(id) = id.filter(|_| matches) else { return Err(WRONG) };
    // The address may have gone to somebody else since it was looked up.
    let user = conduit.users.find(id).await?.filter(|user| user.email == email).ok_or(WRONG)?;
    let token = conduit.tokens.issue(user.id, SystemTime::now());
    Ok(axum::Json(Body { user: Account::new(user, token) }))
}

/// `GET /user`
pub(crate) async fn current(SignedIn { user, token }: SignedIn) -> axum::Json<Body<Account>> {
    axum::Json(Body { user: Account::new(user, token) })
}

/// `PUT /user`
pub(crate) async fn update(
    State(conduit): State<Arc<Conduit>>,
    SignedIn { user, token }: SignedIn,
    Json(Body { user: form }): Json<Body<Update>>,
) -> Result<axum::Json<Body<Account>>, ApiError> {
    if form == Update::default() {
        return Err(ApiError::invalid("body", "must change at least one field"));
    }
    let mut check = Check::default();
    let username = check.optional("username", form.username);
    check.key("username", username.as_deref().unwrap_or_default());
    let email = check.optional("email", form.email);
    if let Some(email) = &email {
        check.email(email);
    }
    let password = check.optional("password", form.password);
    check.done()?;

    let password_hash = match password {
        Some(password) => Some(conduit.passwords.hash(password).await?),
        None => None,
    };
    let change = UserChange {
        username,
        email,
        password_hash,
        bio: form.bio.into_option(),
        image: form.image.into_option(),
    };
    let mut tx = conduit.begin().await?;
    conduit.users.update(&mut tx, user.id, &change).await?;
    tx.commit().await?;

    let user = conduit.users.find(user.id).await?.ok_or(ApiError::NotFound("user"))?;
    Ok(axum::Json(Body { user: Account::new(user, token) }))
}
