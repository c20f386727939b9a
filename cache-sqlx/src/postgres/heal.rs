//! Asks Postgres which writers are finished. Refuses to wait: it takes an idle connection of the pool or none.

use std::fmt;
use std::time::Duration;

use cache_core::heal::Healer;
use cache_core::store::{BoxFuture, Fence};
use cache_core::subject::WriterId;
use sqlx::PgPool;

use super::origin::{PgOrigin, Server, timeline};

const FINISHED: &str = include_str!("finished.sql");

/// A reader is waiting behind this question, and without an answer it merely does not fill.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lifts fences of Postgres transactions that ended without clearing them, by `pg_xact_status`.
///
/// Never lifts on the word of another cluster, a standby or a server on an older timeline, and never without an answer. Only
/// idle connections of the pool are used, so a pool of one that is inside a transaction is simply not asked.
pub struct PgHealer {
    pool: PgPool,
    name: String,
}

impl PgHealer {
    /// A healer that asks through this pool, which must lead to the primary.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let name = pool_name(&pool);
        Self { pool, name }
    }

    async fn ask(&self, origins: &[(PgOrigin, WriterId)]) -> sqlx::Result<Vec<WriterId>> {
        let Some(mut connection) = self.pool.try_acquire() else { return Ok(Vec::new()) };
        let ids: Vec<String> = origins.iter().map(|(origin, _)| origin.xid.to_string()).collect();
        let (system, segment, version, statuses): (String, Option<String>, i32, Vec<String>) =
            sqlx::query_as(FINISHED).bind(ids).fetch_one(&mut *connection).await?;
        let Ok(system) = system.parse() else { return Ok(Vec::new()) };
        let server = Server { system, timeline: segment.as_deref().and_then(timeline), version };
        let finished =
            origins.iter().zip(&statuses).filter(|((origin, _), status)| origin.is_finished(server, status));
        Ok(finished.map(|((_, writer), _)| *writer).collect())
    }
}

/// What tells one pool's database from another, without secrets.
pub(crate) fn pool_name(pool: &PgPool) -> String {
    let options = pool.connect_options();
    let host = options.get_socket().map_or(options.get_host().into(), |path| path.to_string_lossy());
    let database = options.get_database().unwrap_or_default();
    format!("pg:{host}:{}:{database}:{}", options.get_port(), options.get_username())
}

impl fmt::Debug for PgHealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgHealer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Healer for PgHealer {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_alive(&self) -> bool {
        !self.pool.is_closed()
    }

    fn knows(&self, fence: &Fence) -> bool {
        PgOrigin::parse(&fence.origin).is_some()
    }

    fn finished<'a>(&'a self, fences: &'a [Fence]) -> BoxFuture<'a, Vec<WriterId>> {
        Box::pin(async move {
            let known = |fence: &Fence| PgOrigin::parse(&fence.origin).map(|origin| (origin, fence.writer));
            let origins: Vec<_> = fences.iter().filter_map(known).collect();
            match tokio::time::timeout(PATIENCE, self.ask(&origins)).await {
                Ok(Ok(finished)) => finished,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "Postgres did not say which writers are finished");
                    Vec::new()
                }
                Err(_) => Vec::new(),
            }
        })
    }
}
