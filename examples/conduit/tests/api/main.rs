//! The API from outside: every endpoint, every status, and every write followed by the reads that must show it.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

mod articles;
mod binary;
mod comments;
mod every_write;
mod favorites;
mod feed;
mod harness;
mod outage;
mod profiles;
mod requests;
mod rows;
mod tags;
mod users;
mod warming;
