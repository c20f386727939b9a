//! An exhaustive model of the freshness protocols: every interleaving of writers, readers, a database and a store, with every
//! fault a row names. Refuses to prove anything about the code: it shows which protocol is worth building.
//!
//! * [`protocol`]: what a row checks, as a value; [`build`] writes it down in a few words.
//! * [`state`]: one moment of the modelled world; `engine`: how it moves, by actor.
//! * [`promise`]: A, B, C, D, and which of them hold.
//! * [`rows`]: all rows by theme, each with the verdicts it expects.
//! * [`check`], [`report`]: runs them and says what came out.
//! * [`nested`], [`learned`]: two small models beside the large one, for an entry made of another entry, and for tags that
//!   only the value knows.

pub mod build;
pub mod check;
mod engine;
pub mod learned;
pub mod nested;
pub mod promise;
pub mod protocol;
pub mod report;
pub mod row;
pub mod rows;
pub mod state;
pub mod system;
