//! The protocol with a rule taken out, so that a test can show what it is for. Only the test kit leads here.

use super::{CommitError, OpenTransaction, Uncommitted};
use crate::cache::Cache;
use crate::engine::Fenced;
use crate::scope::Writes;
use crate::store::Origin;

/// Invalidates after COMMIT, as a cache does that knows no fences.
pub(super) async fn fence_late<T: OpenTransaction>(
    transaction: T,
    cache: &Cache,
    writes: Writes,
    origin: Origin,
) -> Result<(), CommitError<T::Error>> {
    commit(transaction).await?;
    let fenced = cache.fence(writes, origin).await.map_err(CommitError::Unclear)?;
    fenced.clear().await.map_err(CommitError::Unclear)
}

/// Lifts the fence before COMMIT.
pub(super) async fn clear_early<T: OpenTransaction>(
    transaction: T,
    fenced: Fenced,
) -> Result<(), CommitError<T::Error>> {
    fenced.clear().await.map_err(CommitError::Unclear)?;
    commit(transaction).await
}

/// Commits without a fence.
pub(super) async fn commit<T: OpenTransaction>(transaction: T) -> Result<(), CommitError<T::Error>> {
    transaction.commit().await.map_err(Uncommitted::into_database)
}
