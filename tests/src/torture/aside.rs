//! Plain cache-aside, as in any textbook: GET, load, SET; COMMIT, DEL. The control that every promise must catch.

use std::{sync::Arc, time::Duration};

use redis::{AsyncCommands, aio::MultiplexedConnection};

use super::{instance::Answer, reaper::Reaper, rows, rows::Rows};

/// The lifetime of an entry in seconds, as long as that of the cache under test.
const TTL: u64 = 3600;

/// An instance's cache.
#[derive(Clone, Debug)]
pub struct Aside {
    rows: Rows,
    redis: MultiplexedConnection,
    namespace: String,
    reaper: Arc<Reaper>,
}

impl Aside {
    /// Connects.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn connect(
        rows: Rows,
        url: &str,
        namespace: &str,
        reaper: Arc<Reaper>,
    ) -> redis::RedisResult<Self> {
        let redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        Ok(Self { rows, redis, namespace: namespace.to_owned(), reaper })
    }

    fn name(&self, key: u16) -> String {
        format!("{}:aside:{key}", self.namespace)
    }

    /// A read. A cache that does not answer is a miss.
    ///
    /// # Errors
    /// The loader's.
    pub async fn read(&self, key: u16, pause: Duration) -> sqlx::Result<Answer> {
        let (name, mut redis) = (self.name(key), self.redis.clone());
        if let Ok(Some(version)) = redis.get::<_, Option<u32>>(&name).await {
            return Ok(Answer { version, loaded: false });
        }
        let version = self.rows.load(key, pause).await?;
        // A cache that cannot be filled is no reason to fail.
        let _ = redis.set_ex::<_, _, ()>(&name, version, TTL).await;
        Ok(Answer { version, loaded: true })
    }

    /// A write.
    ///
    /// # Errors
    /// Those of the database and of the cache, for then nothing is deleted.
    pub async fn write(&self, key: u16) -> Result<u32, String> {
        let database = |error: sqlx::Error| error.to_string();
        let mut tx = self.rows.pool.begin().await.map_err(database)?;
        let version = rows::bump(&mut tx, key).await.map_err(database)?;
        self.reaper.before_commit().await;
        tx.commit().await.map_err(database)?;
        self.reaper.after_commit().await;
        let mut redis = self.redis.clone();
        redis.del::<_, ()>(self.name(key)).await.map_err(|error| error.to_string())?;
        Ok(version)
    }
}
