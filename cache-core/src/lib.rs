//! A cache for web services in which a read that begins after a covered write has returned sees that write.

pub mod entry;
pub mod error;
pub mod heal;
pub mod key;
pub mod observe;
pub mod output;
pub mod policy;
pub mod rng;
pub mod schema;
pub mod scope;
pub mod site;
pub mod store;
pub mod subject;
pub mod time;
