//! The stores and journals that come with the crate. Each imports only the vocabulary and the seam; nothing outside names one.

pub mod file;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;
