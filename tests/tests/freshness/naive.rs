//! Cache-aside as it is usually written, over the same Redis and the same rows, with the same gates. Each habit is the
//! textbook's; none is made worse than it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, FromRedisValue, cmd};
use sqlx::PgPool;
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use crate::gates::{Gates, Point};

const TTL: u64 = 3600;
const LOCK_TTL: Duration = Duration::from_secs(10);

/// How entries are filled and kept fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Delete after the commit. Lists: the tag is a set of the entries' keys, and all of them are deleted.
    DeleteAfter,
    /// Delete before the commit.
    DeleteBefore,
    /// Delete before, and a while after the commit.
    DoubleDelete,
    /// Delete after; a miss takes a lock by SET NX, rebuilds, and sets unconditionally.
    RebuildLock,
    /// Set the new value after the commit.
    WriteThrough,
    /// Set the new value before the commit.
    SetBefore,
    /// Delete after; callers in one process share a running load.
    SingleFlight,
    /// Delete after; a list carries its tag's counter, read when the list is stored.
    LateGeneration,
}

type Loaded = Option<String>;

#[derive(Clone)]
pub(crate) struct Naive {
    client: Client,
    connection: Arc<AsyncMutex<Option<MultiplexedConnection>>>,
    prefix: String,
    pub(crate) pool: PgPool,
    habit: Habit,
    pub(crate) gates: Gates,
    flights: Arc<Mutex<HashMap<i64, Arc<OnceCell<Loaded>>>>>,
    misses: Arc<AtomicU64>,
}

fn encode(value: &Loaded) -> String {
    value.as_ref().map_or("-".into(), |name| format!("+{name}"))
}

fn decode(entry: &str) -> Loaded {
    entry.strip_prefix('+').map(Into::into)
}

impl Naive {
    pub(crate) fn new(redis: &str, prefix: &str, pool: PgPool, habit: Habit) -> Self {
        Self {
            client: Client::open(redis).unwrap(),
            connection: Arc::default(),
            prefix: prefix.into(),
            pool,
            habit,
            gates: Gates::default(),
            flights: Arc::default(),
            misses: Arc::default(),
        }
    }

    pub(crate) fn key(&self, id: i64) -> String {
        format!("{}:user:{id}", self.prefix)
    }

    fn list(&self, part: &str) -> String {
        format!("{}:names:{part}", self.prefix)
    }

    pub(crate) fn misses(&self) -> u64 {
        self.misses.load(Ordering::SeqCst)
    }

    /// A cache that fails must not fail the application: an error is logged, as it were, and the next command reconnects.
    async fn tell<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let mut kept = self.connection.lock().await;
        if kept.is_none() {
            *kept = self.client.get_multiplexed_async_connection().await.ok();
        }
        let answer = command.query_async(kept.as_mut()?).await;
        if answer.is_err() {
            *kept = None;
        }
        answer.ok()
    }

    async fn get(&self, key: &str) -> Option<String> {
        self.tell::<Option<String>>(cmd("GET").arg(key)).await.flatten()
    }

    async fn set(&self, key: &str, value: &str) {
        self.tell::<()>(cmd("SET").arg(key).arg(value).arg("EX").arg(TTL)).await;
    }

    async fn delete(&self, keys: &[String]) {
        if !keys.is_empty() {
            self.tell::<()>(cmd("DEL").arg(keys)).await;
        }
    }

    async fn load(&self, id: i64) -> Loaded {
        let name = "SELECT name FROM users WHERE id = $1";
        let name = sqlx::query_scalar(name).bind(id).fetch_optional(&self.pool).await.unwrap();
        self.gates.pass(Point::Loaded).await;
        name
    }

    async fn rebuild(&self, id: i64) -> Loaded {
        let loaded = self.load(id).await;
        self.set(&self.key(id), &encode(&loaded)).await;
        loaded
    }

    pub(crate) async fn find(&self, id: i64) -> Loaded {
        if let Some(entry) = self.get(&self.key(id)).await {
            return decode(&entry);
        }
        self.misses.fetch_add(1, Ordering::SeqCst);
        match self.habit {
            Habit::RebuildLock => self.rebuild_locked(id).await,
            Habit::SingleFlight => {
                let flight = self.flights.lock().unwrap().entry(id).or_default().clone();
                let loaded = flight.get_or_init(|| self.rebuild(id)).await.clone();
                self.flights.lock().unwrap().remove(&id);
                loaded
            }
            _ => self.rebuild(id).await,
        }
    }

    async fn rebuild_locked(&self, id: i64) -> Loaded {
        let lock = format!("{}:lock", self.key(id));
        loop {
            let mut take = cmd("SET");
            take.arg(&lock).arg(1).arg("NX").arg("PX").arg(LOCK_TTL.as_millis() as u64);
            if self.tell::<Option<String>>(&take).await.flatten().is_some() {
                let loaded = self.rebuild(id).await;
                self.delete(&[lock]).await;
                return loaded;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            if let Some(entry) = self.get(&self.key(id)).await {
                return decode(&entry);
            }
        }
    }

    /// Refresh-ahead: an entry that is near its end is loaded while it still stands.
    pub(crate) async fn find_early(&self, id: i64) -> Loaded {
        self.rebuild(id).await
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        let generation = self.get(&self.list("generation")).await.unwrap_or_default();
        if let Some(entry) = self.get(&self.list("entry")).await
            && let Some((then, names)) = entry.split_once('|')
            && (self.habit != Habit::LateGeneration || then == generation)
        {
            return names.split(',').map(Into::into).collect();
        }
        let names = sqlx::query_scalar("SELECT name FROM users ORDER BY id").fetch_all(&self.pool).await;
        let names: Vec<String> = names.unwrap();
        self.gates.pass(Point::Loaded).await;
        let generation = self.get(&self.list("generation")).await.unwrap_or_default();
        self.set(&self.list("entry"), &format!("{generation}|{}", names.join(","))).await;
        self.tell::<()>(cmd("SADD").arg(self.list("tag")).arg(self.list("entry"))).await;
        names
    }

    async fn invalidate(&self, id: i64) {
        self.delete(&[self.key(id)]).await;
        if self.habit == Habit::LateGeneration {
            self.tell::<()>(cmd("INCR").arg(self.list("generation"))).await;
            return;
        }
        let members =
            self.tell::<Vec<String>>(cmd("SMEMBERS").arg(self.list("tag"))).await.unwrap_or_default();
        self.delete(&members).await;
        self.delete(&[self.list("tag")]).await;
    }

    pub(crate) async fn rename(&self, id: i64, name: &str) {
        match self.habit {
            Habit::DeleteBefore | Habit::DoubleDelete => self.invalidate(id).await,
            Habit::SetBefore => self.set(&self.key(id), &format!("+{name}")).await,
            _ => {}
        }
        self.gates.pass(Point::Invalidated).await;
        let update = "UPDATE users SET name = $2 WHERE id = $1";
        sqlx::query(update).bind(id).bind(name).execute(&self.pool).await.unwrap();
        self.gates.pass(Point::Committed).await;
        match self.habit {
            Habit::WriteThrough => self.set(&self.key(id), &format!("+{name}")).await,
            Habit::DeleteBefore | Habit::SetBefore => {}
            _ => self.invalidate(id).await,
        }
    }

    pub(crate) async fn insert(&self, id: i64, handle: &str, name: &str) {
        let insert = "INSERT INTO users VALUES ($1, $2, 'red', $3)";
        sqlx::query(insert).bind(id).bind(handle).bind(name).execute(&self.pool).await.unwrap();
        self.invalidate(id).await;
    }

    /// Forgets an entry, as an eviction does.
    pub(crate) async fn forget(&self, key: &str) {
        self.delete(&[key.into()]).await;
    }

    /// How long the entry will be served if nobody touches it.
    pub(crate) async fn lifetime(&self, id: i64) -> i64 {
        self.tell(cmd("TTL").arg(self.key(id))).await.unwrap()
    }
}
