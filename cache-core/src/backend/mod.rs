//! The stores that come with the crate. Each imports only the vocabulary and the seam; nothing outside names one.

pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;
