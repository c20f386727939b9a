//! One Postgres, one MariaDB and one Redis a process, started at the first question. `DATABASE_URL`, `MYSQL_URL` and `REDIS_URL`
//! win.

use std::{env, sync::OnceLock};

use crate::{Error, MariaDb, Postgres, Redis, postgres};

/// The URL of a Postgres server: `DATABASE_URL` when it is set and not empty, else a private server that lives as long as this process.
///
/// Its tables are shared with everybody: a test asks for a [`fresh_database`].
///
/// # Errors
/// When none is named and none can be started.
pub fn database_url() -> Result<String, Error> {
    static SERVER: OnceLock<Result<Postgres, Error>> = OnceLock::new();
    match from_environment("DATABASE_URL") {
        Some(url) => Ok(url),
        None => SERVER.get_or_init(Postgres::start).as_ref().map(Postgres::url).map_err(Error::clone),
    }
}

/// Creates an empty database with a random name (`cache_test_…`) on the server of [`database_url`] and returns its URL.
///
/// It goes with the private server. On a server named by `DATABASE_URL` it stays: nothing there is ever dropped.
///
/// # Errors
/// When there is no server, its user may not create databases, or `psql` is missing and cannot be installed.
pub fn fresh_database() -> Result<String, Error> {
    postgres::create_database(&database_url()?)
}

/// The URL of a MySQL or MariaDB server without a database, such as `mysql://root@127.0.0.1:3306`: `MYSQL_URL` when it is set
/// and not empty, else a private MariaDB that lives as long as this process.
///
/// Its user may create databases and users: a test creates a database of its own, under a [`unique_name`](crate::unique_name).
///
/// # Errors
/// When none is named and none can be started.
pub fn mysql_url() -> Result<String, Error> {
    static SERVER: OnceLock<Result<MariaDb, Error>> = OnceLock::new();
    match from_environment("MYSQL_URL") {
        Some(url) => Ok(url),
        None => SERVER.get_or_init(MariaDb::start).as_ref().map(MariaDb::url).map_err(Error::clone),
    }
}

/// The URL of a Redis server: `REDIS_URL` when it is set and not empty, else a private server that lives as long as this process.
///
/// Its keys are shared with everybody: a test takes a random namespace, see [`unique_name`](crate::unique_name), and one
/// that flushes, counts commands by `MONITOR` or stops the server starts its own [`Redis`].
///
/// # Errors
/// When none is named and none can be started.
pub fn redis_url() -> Result<String, Error> {
    static SERVER: OnceLock<Result<Redis, Error>> = OnceLock::new();
    match from_environment("REDIS_URL") {
        Some(url) => Ok(url),
        None => SERVER.get_or_init(Redis::start).as_ref().map(Redis::url).map_err(Error::clone),
    }
}

fn from_environment(name: &str) -> Option<String> {
    env::var(name).ok().filter(|url| !url.is_empty())
}
