//! Writes while Redis cannot be reached, on real servers: what the outbox takes over, who delivers it, and who trusts Redis again when.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod always;
mod million;
mod outages;
mod relays;
mod world;
