//! The real engine of several instances over a simulated store and a simulated database, in one thread and on paused time. A seed
//! decides at every await what comes next and what goes wrong; the same seed is the same run. Refuses I/O, clocks and luck.
//!
//! [`run`] is one seed, [`batch`] many, [`check`] the verdict; `cargo xtask simulate` is the tool.

#![allow(
    missing_docs,
    reason = "a tool of this workspace: what is public is public for its tests and its command"
)]

pub mod app;
pub mod batch;
mod calls;
pub mod check;
mod client;
pub mod counts;
pub mod database;
pub mod dataset;
mod deliver;
mod driver;
mod faults;
mod job;
pub mod options;
pub mod plan;
pub mod rules;
pub mod run;
mod store;
mod timeline;
pub mod variety;
mod wire;
mod world;
