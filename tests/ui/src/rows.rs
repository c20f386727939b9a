//! Values and ids as an application would have them.

use cache_core::{Cacheable, KeyPart};
use serde::{Deserialize, Serialize};

/// A row with a typed key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Cacheable)]
#[cacheable(key = "user:<id>")]
pub struct User {
    /// Identity.
    pub id: i64,
    /// Display name.
    pub name: String,
}

impl User {
    /// A user whose name is made of his id.
    #[must_use]
    pub fn numbered(id: i64) -> Self {
        Self { id, name: format!("user {id}") }
    }
}

/// An id that is one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, KeyPart)]
pub struct UserId(pub i64);

/// An id that is one text.
#[derive(Clone, Debug, PartialEq, Eq, KeyPart)]
pub struct Slug(pub String);

/// An id that is one of a few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, KeyPart)]
pub enum Role {
    /// May write.
    Author,
    /// May read.
    Reader,
}
