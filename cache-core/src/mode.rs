//! How much of the cache one call uses. Refuses to be inherited: a spawned task starts with all of it.

use std::future::Future;

tokio::task_local! {
    static BYPASS: ();
}

/// Runs a future whose cached functions ask the source of truth and leave the cache as it is.
///
/// Only this task: what the future spawns is not covered.
///
/// ```
/// # struct Users; impl Users { async fn find(&self, _: i64) {} }
/// # async fn f(users: Users) {
/// let from_the_database = cache_core::bypass(users.find(42)).await;
/// # }
/// ```
pub async fn bypass<F: Future>(future: F) -> F::Output {
    BYPASS.scope((), future).await
}

/// Whether the running call is inside [`bypass`].
pub(crate) fn is_bypassed() -> bool {
    BYPASS.try_with(|()| ()).is_ok()
}
