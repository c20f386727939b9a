//! The promise, write by write: what one instance has written, the other reads. Two instances share a Postgres and a
//! Redis; A writes, and each read that must show it is made by B, which had the old answer in the cache.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

mod articles;
mod favorites;
mod follows;
mod instance;
mod shared;
mod users;
