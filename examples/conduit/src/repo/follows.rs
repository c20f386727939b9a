//! Who follows whom.

use cache_core::{Cache, cached, invalidates};
use cache_sqlx::PgTx;
use sqlx::PgPool;

/// The follow relation in Postgres.
#[derive(Clone, Debug)]
pub struct Follows {
    cache: Cache,
    pool: PgPool,
}

impl Follows {
    /// Over this cache and this pool.
    pub fn new(cache: Cache, pool: PgPool) -> Self {
        Self { cache, pool }
    }

    /// Everybody `user_id` follows, ascending. One set a viewer answers `following` for a whole page of authors.
    #[cached(key = "following:<user_id>", ttl = "1h", jitter = 0.1, stampede = "xfetch")]
    pub async fn of_user(&self, user_id: i64) -> sqlx::Result<Vec<i64>> {
        sqlx::query_scalar("SELECT followed_id FROM follows WHERE follower_id = $1 ORDER BY followed_id")
            .bind(user_id)
            .fetch_all(&self.pool)
            .await
    }

    /// `follower_id` follows `followed_id` from now on; following twice is once.
    #[invalidates(key = "following:<follower_id>", tag = "feed:<follower_id>", within = tx)]
    pub async fn follow(&self, tx: &mut PgTx<'_>, follower_id: i64, followed_id: i64) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO follows (follower_id, followed_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(follower_id)
            .bind(followed_id)
            .execute(tx)
            .await?;
        Ok(())
    }

    /// `follower_id` no longer follows `followed_id`; it need not have.
    #[invalidates(key = "following:<follower_id>", tag = "feed:<follower_id>", within = tx)]
    pub async fn unfollow(&self, tx: &mut PgTx<'_>, follower_id: i64, followed_id: i64) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM follows WHERE follower_id = $1 AND followed_id = $2")
            .bind(follower_id)
            .bind(followed_id)
            .execute(tx)
            .await?;
        Ok(())
    }
}
