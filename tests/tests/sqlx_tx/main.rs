//! cache-sqlx on a real Postgres, a real MariaDB (or MySQL), on SQLite and on the store in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bulk;
mod cancelled_savepoints;
mod commit;
mod dropped;
mod executor;
mod healing;
mod kit;
mod mysql;
mod nested;
mod permissions;
mod processes;
mod savepoints;
mod sqlite;
mod sqlite_healing;
