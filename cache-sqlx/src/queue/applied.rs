//! How far journals are applied, by the tables of their queues. Refuses to answer for a journal it does not know.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_core::Cache;
use cache_core::journal::{Applied, JournalId, Position};
use cache_core::store::BoxFuture;
use sqlx::PgPool;

/// A reader waits behind this question, and without an answer it takes what is queued.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks Postgres how far a journal is applied.
pub(crate) struct PgApplied {
    pool: PgPool,
    name: String,
}

/// Lets readers ask this pool's database about what is queued and old.
pub(crate) fn registers(cache: &Cache, pool: &PgPool) {
    cache.applied_by(Arc::new(PgApplied { pool: pool.clone(), name: crate::postgres::pool_name(pool) }));
}

impl PgApplied {
    async fn ask(&self, journal: JournalId) -> sqlx::Result<Option<Position>> {
        // Two queues of one journal each have their own writes in it.
        let position: Option<String> =
            sqlx::query_scalar("SELECT min(position) FROM cache_queues WHERE journal = $1")
                .bind(journal.to_string())
                .fetch_one(&self.pool)
                .await?;
        Ok(position.and_then(|digits| u128::from_str_radix(&digits, 16).ok()).map(Position))
    }
}

impl fmt::Debug for PgApplied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgApplied").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Applied for PgApplied {
    fn applied(&self, journal: JournalId) -> BoxFuture<'_, Option<Position>> {
        Box::pin(async move {
            match tokio::time::timeout(PATIENCE, self.ask(journal)).await {
                Ok(Ok(position)) => position,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "Postgres did not say how far a journal is applied");
                    None
                }
                Err(_) => None,
            }
        })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn is_alive(&self) -> bool {
        !self.pool.is_closed()
    }
}
