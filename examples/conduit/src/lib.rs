//! Conduit: the RealWorld backend on axum, sqlx and Postgres.
//!
//! Read it in this order: [`repo`] (rows, statements and what each read and write names), `http::view` (shared rows
//! put together for one viewer), `http::articles` (one endpoint after the other), [`App`] (what is started and stopped).

mod app;
mod config;
mod http;
mod password;
pub mod repo;
mod slug;
mod token;
mod warm;

pub use app::{App, StartError};
pub use config::{CacheSwitch, Config, Task};
pub use password::PasswordCost;
pub use warm::{WarmOptions, Warmable};
