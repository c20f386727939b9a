//! The repositories: one struct an aggregate, plain sqlx inside. Knows rows and statements, nothing of HTTP.
//!
//! Four rules make every read here one that can be cached, and every write one that can name what it changed:
//!
//! * **No row depends on who looks.** `favorited` and `following` are laid over shared rows afterwards, from two small
//!   sets of the viewer ([`Favorites::of_user`], [`Follows::of_user`]).
//! * **Rows do not embed other rows.** Lists are pages of ids, articles and comments carry `author_id`; so a new title,
//!   a renamed author or another favourite changes one row and no list.
//! * **Reads take the pool, writes take the caller's transaction.** A decision inside a write (may this user delete this
//!   article?) locks what it read, on that same transaction.
//! * **A write that changes a lookup key returns the old one** from the very statement that changed it.
//!
//! Above each read stands the key (and the tags) it is stored under, above each write what it marks.

mod articles;
mod comments;
mod favorites;
mod follows;
mod pages;
mod tags;
mod users;

pub use articles::{Article, ArticleChange, Articles, Moved, NewArticle, Owned, Removed};
pub use comments::{Comment, Comments};
pub use favorites::Favorites;
pub use follows::Follows;
pub use pages::{ArticleFilter, ArticlePage, Window};
pub use tags::Tags;
pub use users::{NewUser, Renamed, User, UserChange, Users};
