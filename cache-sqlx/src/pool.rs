//! What a pool brings along: the healer that asks through it.

use cache_core::Cache;
use sqlx::Pool;

use crate::backend::Backend;

/// Lets the cache ask this pool's database which writers are finished, so that a reader lifts the fences of those that died.
///
/// [`begin`](crate::begin) does it by itself; call it in a process that only reads.
pub fn heal<DB: Backend>(cache: &Cache, pool: &Pool<DB>) {
    cache.heal_with(DB::healer(pool));
    DB::knows_queues(cache, pool);
}
