//! What a nemesis can reach: instances, servers, proxies, seeded choices. Refuses to sleep past the end of the traffic.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, postgres::PgRow};
use tokio::runtime::Handle;

use super::super::{fleet::Troops, ground::Ground};

/// Rings once, when the traffic is over.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits; tells whether the time passed before the bell rang.
    #[must_use]
    pub fn silent_for(&self, time: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (rung, _) = self
            .changed
            .wait_timeout_while(rung, time, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        !*rung
    }
}

/// The place where instances, servers and a nemesis meet.
#[derive(Debug)]
pub struct Arena {
    /// The servers and what stands before them.
    pub ground: Arc<Ground>,
    /// The instances.
    pub troops: Troops,
    /// How many hot keys there are.
    pub keys: u16,
    /// All of its choices.
    pub rng: fastrand::Rng,
    pub(super) over: Arc<Bell>,
    pub(super) runtime: Handle,
}

impl Arena {
    /// Waits; tells whether the traffic still goes on.
    pub fn wait(&self, time: Duration) -> bool {
        self.over.silent_for(time)
    }

    /// Waits so many milliseconds, by chance; tells whether the traffic still goes on.
    pub fn wait_some(&mut self, millis: RangeInclusive<u64>) -> bool {
        let time = Duration::from_millis(self.rng.u64(millis));
        self.wait(time)
    }

    /// Looks until the condition holds; `false` when the traffic ended or `bound` passed before.
    pub fn wait_until(
        &mut self,
        bound: Duration,
        mut condition: impl FnMut(&mut Self) -> Result<bool, String>,
    ) -> Result<bool, String> {
        /// Between two looks.
        const POLL: Duration = Duration::from_millis(2);
        let deadline = Instant::now() + bound;
        loop {
            if condition(self)? {
                return Ok(true);
            }
            if !self.wait(POLL) || Instant::now() >= deadline {
                return Ok(false);
            }
        }
    }

    /// One of the instances.
    pub fn any_instance(&mut self) -> u8 {
        self.rng.u8(..self.troops.count())
    }

    /// An order to the round's Redis, on a connection of its own.
    ///
    /// # Errors
    /// Those of the server, in a sentence.
    pub fn redis<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, String> {
        self.redis_at(&self.ground.store_url(), command)
    }

    /// An order to the Redis of a URL, on a connection of its own.
    ///
    /// # Errors
    /// Those of the server, in a sentence.
    pub fn redis_at<T: redis::FromRedisValue>(&self, url: &str, command: &redis::Cmd) -> Result<T, String> {
        let told = |error: redis::RedisError| format!("Redis: {error}");
        let client = redis::Client::open(url).map_err(told)?;
        self.runtime.block_on(async {
            let mut connection = client.get_multiplexed_async_connection().await.map_err(told)?;
            command.query_async(&mut connection).await.map_err(told)
        })
    }

    /// A statement to Postgres, on a connection of its own.
    ///
    /// # Errors
    /// Those of the server, in a sentence.
    pub fn postgres(&self, statement: &'static str) -> Result<Vec<PgRow>, String> {
        let told = |error: sqlx::Error| format!("Postgres: {error}");
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect(self.ground.database()).await.map_err(told)?;
            let rows = sqlx::query(statement).fetch_all(&mut connection).await.map_err(told)?;
            connection.close().await.map_err(told)?;
            Ok(rows)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_that_has_rung_ends_every_wait() {
        let bell = Arc::new(Bell::default());
        assert!(bell.silent_for(Duration::from_millis(1)));
        let waiting = std::thread::spawn({
            let bell = bell.clone();
            move || bell.silent_for(Duration::from_secs(3600))
        });
        bell.ring();
        assert!(!waiting.join().unwrap());
        assert!(!bell.silent_for(Duration::from_secs(3600)));
    }
}
