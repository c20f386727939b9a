//! Private Postgres, MariaDB, Redis and memcached servers and a fault proxy, for tests, tools and examples. Knows no client library and no runtime.
//!
//! A server is found on `PATH` or in the usual distribution folders, installed by the system's package manager when it is
//! missing and that is allowed, started on a free port of 127.0.0.1 with its files in a temporary folder, and stopped when
//! its handle is dropped. It does not outlive its parent either, even one killed with `kill -9`: a small shell process
//! holds the other end of a pipe and cleans up when the pipe closes.
//!
//! * [`database_url`], [`fresh_database`], [`mysql_url`] and [`redis_url`]: one shared server a process; `DATABASE_URL`,
//!   `MYSQL_URL` and `REDIS_URL` win.
//! * [`Postgres`], [`MariaDb`], [`Redis`], [`Memcached`]: a server of one's own, to stop, restart, pause, resume and kill.
//! * [`Cluster`]: six Redis servers that form one, with slots that move and masters that fail.
//! * [`Sentinels`]: a Redis master with replicas, and three sentinels that replace it when it fails.
//! * [`FaultProxy`]: stands before a server; counts what passes, and cuts, refuses, stalls, delays or swallows it, at once or when a [`Snare`] springs.
//!
//! Everything here blocks its thread, for a second at most once servers are installed (a [`Cluster`] or [`Sentinels`]: some seconds). Unix only.

mod cluster;
mod error;
mod find;
mod folder;
mod install;
mod instance;
mod mariadb;
mod memcached;
mod port;
mod postgres;
mod process;
mod proxy;
mod random;
mod redis;
mod resp;
mod sentinels;
mod shared;
mod url;
mod user;

pub use cluster::Cluster;
pub use error::Error;
pub use mariadb::{MariaDb, MariaDbOptions};
pub use memcached::Memcached;
pub use postgres::{Postgres, PostgresOptions};
pub use proxy::{FaultProxy, Snare, Traffic};
pub use random::unique_name;
pub use redis::{Redis, RedisOptions};
pub use sentinels::{Sentinel, Sentinels};
pub use shared::{database_url, fresh_database, mysql_url, redis_url};
