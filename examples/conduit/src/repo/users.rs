//! Accounts: who somebody is, and the two names that lead to an account.

use std::collections::BTreeMap;

use cache_core::{Cache, Cacheable, cached, invalidates, writes_through};
use cache_sqlx::PgTx;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};

use super::each;

/// An account as everybody may see it; the password hash never leaves [`Users::password_hash`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromRow, Cacheable)]
pub struct User {
    /// Never reused.
    pub id: i64,
    /// Unique, changeable.
    pub username: String,
    /// Unique, changeable.
    pub email: String,
    /// Free text.
    pub bio: Option<String>,
    /// Address of a picture.
    pub image: Option<String>,
}

/// What a registration writes.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Unique.
    pub username: String,
    /// Unique.
    pub email: String,
    /// Argon2, as a PHC string.
    pub password_hash: String,
}

/// A change to an account; `None` keeps the column. `Some(None)` empties a column that may be empty.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// New name.
    pub username: Option<String>,
    /// New address.
    pub email: Option<String>,
    /// New hash, as a PHC string.
    pub password_hash: Option<String>,
    /// New text, or none.
    pub bio: Option<Option<String>>,
    /// New picture, or none.
    pub image: Option<Option<String>>,
}

/// The lookup keys of an account on both sides of a change, from the statement that made it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Renamed {
    /// The account.
    pub id: i64,
    /// Name before.
    pub old_username: String,
    /// Name now.
    pub username: String,
    /// Address before.
    pub old_email: String,
    /// Address now.
    pub email: String,
}

/// Accounts in Postgres.
#[derive(Clone, Debug)]
pub struct Users {
    cache: Cache,
    pool: PgPool,
}

impl Users {
    /// Over this cache and this pool.
    pub fn new(cache: Cache, pool: PgPool) -> Self {
        Self { cache, pool }
    }

    /// One account. Every signed-in request asks for it.
    #[cached(key = "user:<id>", ttl = "1h", jitter = 0.1, stampede = "xfetch")]
    pub async fn find(&self, id: i64) -> sqlx::Result<Option<User>> {
        sqlx::query_as("SELECT id, username, email, bio, image FROM users WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
    }

    /// The accounts among `ids` that exist: the authors of a page.
    pub async fn find_many(&self, ids: &[i64]) -> sqlx::Result<BTreeMap<i64, User>> {
        each(ids, |id| self.find(id)).await
    }

    /// Whose name this is.
    #[cached(key = "user:by-username:<username>", ttl = "1h", jitter = 0.1, stampede = "xfetch")]
    pub async fn id_by_username(&self, username: &str) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar("SELECT id FROM users WHERE username = $1")
            .bind(username)
            .fetch_optional(&self.pool)
            .await
    }

    /// Whose address this is.
    #[cached(key = "user:by-email:<email>", ttl = "1h", jitter = 0.1, stampede = "xfetch")]
    pub async fn id_by_email(&self, email: &str) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar("SELECT id FROM users WHERE email = $1")
            .bind(email)
            .fetch_optional(&self.pool)
            .await
    }

    /// The hash to check a password against. Never cached: a secret has no business in a shared store.
    pub async fn password_hash(&self, id: i64) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar("SELECT password_hash FROM users WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
    }

    /// Adds an account. A taken name or address is a violation of `users_username_key` or `users_email_key`.
    ///
    /// The names are invalidated because somebody may have asked for them before they existed.
    #[writes_through(key = "user:<return.id>", within = tx)]
    #[invalidates(
        keys = ["user:by-username:<return.username>", "user:by-email:<return.email>"],
        within = tx
    )]
    pub async fn create(&self, tx: &mut PgTx<'_>, new: &NewUser) -> sqlx::Result<User> {
        sqlx::query_as(
            "INSERT INTO users (username, email, password_hash) VALUES ($1, $2, $3)
             RETURNING id, username, email, bio, image",
        )
        .bind(&new.username)
        .bind(&new.email)
        .bind(&new.password_hash)
        .fetch_one(tx)
        .await
    }

    /// Changes an account that exists (accounts are never removed; `RowNotFound` otherwise).
    ///
    /// The old names are those of the row version this statement replaced, also when it had to wait for another rename.
    /// No list, article or comment embeds an author, so nothing else is invalidated.
    #[invalidates(
        keys = [
            "user:<id>",
            "user:by-username:<return.old_username>",
            "user:by-username:<return.username>",
            "user:by-email:<return.old_email>",
            "user:by-email:<return.email>",
        ],
        within = tx
    )]
    pub async fn update(&self, tx: &mut PgTx<'_>, id: i64, change: &UserChange) -> sqlx::Result<Renamed> {
        sqlx::query_as(
            "UPDATE users u SET
                 username      = COALESCE($2, old.username),
                 email         = COALESCE($3, old.email),
                 password_hash = COALESCE($4, u.password_hash),
                 bio           = CASE WHEN $5 THEN $6 ELSE u.bio END,
                 image         = CASE WHEN $7 THEN $8 ELSE u.image END
             FROM (SELECT id, username, email FROM users WHERE id = $1 FOR UPDATE) old
             WHERE u.id = old.id
             RETURNING u.id, old.username AS old_username, u.username, old.email AS old_email, u.email",
        )
        .bind(id)
        .bind(&change.username)
        .bind(&change.email)
        .bind(&change.password_hash)
        .bind(change.bio.is_some())
        .bind(change.bio.as_ref().and_then(Option::as_ref))
        .bind(change.image.is_some())
        .bind(change.image.as_ref().and_then(Option::as_ref))
        .fetch_one(tx)
        .await
    }
}
