//! The repositories: one struct an aggregate, plain sqlx inside. Knows rows and statements, nothing of HTTP.
//!
//! Above each read stands the key (and the tags) it is cached under, above each write what it invalidates. Four rules make
//! that possible:
//!
//! * **No row depends on who looks.** `favorited` and `following` are laid over shared rows afterwards, from two small
//!   sets of the viewer ([`Favorites::of_user`], [`Follows::of_user`]).
//! * **Rows do not embed other rows.** Lists are pages of ids, articles and comments carry `author_id`; so a new title,
//!   a renamed author or another favourite changes one row and no list.
//! * **Reads take the pool, writes take the caller's transaction.** A decision inside a write (may this user delete this
//!   article?) locks what it read, on that same transaction.
//! * **A write that changes a lookup key returns the old one** from the very statement that changed it.
//!
//! The README has the table of which write changes which read, and why.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};

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

/// The rows among `ids` that exist, each by its own cached read: a page whose rows are known asks Postgres for nothing, and
/// a cold one for one row an id. A few at a time, so that one page cannot take every connection.
async fn each<T, F>(ids: &[i64], find: impl Fn(i64) -> F) -> sqlx::Result<BTreeMap<i64, T>>
where
    F: Future<Output = sqlx::Result<Option<T>>>,
{
    const AT_ONCE: usize = 8;
    let reads = stream::iter(ids.iter().copied()).map(|id| {
        let row = find(id);
        async move { Ok(row.await?.map(|row| (id, row))) }
    });
    reads.buffer_unordered(AT_ONCE).try_filter_map(async |row| Ok(row)).try_collect().await
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_invalidation_has_a_read_and_every_key_one_type() {
        cache_core::assert_catalogue!();
    }
}
