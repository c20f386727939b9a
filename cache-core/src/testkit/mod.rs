//! Tools for testing code that caches: freshness and load assertions, a stopped clock, a store that fails on command, and a
//! suite that tells a store's author whether his store keeps its promises.
//!
//! Enable the feature `testkit` in `[dev-dependencies]`. The tests of this crate are written with it.

mod assert;
mod chaos;
mod clock;
pub mod conformance;
mod sabotage;

pub use assert::{Changed, catalogue_is_clean, loads_of};
pub use chaos::{ChaosStore, Command, Held};
pub use clock::StoppedClock;
pub use sabotage::Rule;

pub use crate::mode::bypass;
