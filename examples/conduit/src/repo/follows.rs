//! Who follows whom.

use sqlx::{PgConnection, PgPool};

/// The follow relation in Postgres.
#[derive(Clone, Debug)]
pub struct Follows {
    pool: PgPool,
}

impl Follows {
    /// Over this pool.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Everybody `user_id` follows, ascending. One set a viewer answers `following` for a whole page of authors.
    ///
    /// key: `following:<user_id>`
    pub async fn of_user(&self, user_id: i64) -> sqlx::Result<Vec<i64>> {
        sqlx::query_scalar("SELECT followed_id FROM follows WHERE follower_id = $1 ORDER BY followed_id")
            .bind(user_id)
            .fetch_all(&self.pool)
            .await
    }

    /// `follower_id` follows `followed_id` from now on; following twice is once.
    ///
    /// marks: `following:<follower_id>`, tag `feed:<follower_id>`
    pub async fn follow(
        &self,
        tx: &mut PgConnection,
        follower_id: i64,
        followed_id: i64,
    ) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO follows (follower_id, followed_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(follower_id)
            .bind(followed_id)
            .execute(&mut *tx)
            .await?;
        Ok(())
    }

    /// `follower_id` no longer follows `followed_id`; it need not have.
    ///
    /// marks: `following:<follower_id>`, tag `feed:<follower_id>`
    pub async fn unfollow(
        &self,
        tx: &mut PgConnection,
        follower_id: i64,
        followed_id: i64,
    ) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM follows WHERE follower_id = $1 AND followed_id = $2")
            .bind(follower_id)
            .bind(followed_id)
            .execute(&mut *tx)
            .await?;
        Ok(())
    }
}
