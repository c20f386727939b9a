//! What an attribute means. Building it is the validation: a model that exists can be expanded.

mod batch;
mod behind;
mod cache;
mod options;
mod policy;
mod read;
mod source;
mod subject;
mod warm;
mod write;

pub(crate) use batch::{Batch, Form};
pub(crate) use behind::Behind;
pub(crate) use cache::CachePlace;
pub(crate) use policy::{Condition, OnWait, Policy, Sharing, Stampede};
pub(crate) use read::Read;
pub(crate) use subject::{Name, Place, Root, Written};
pub(crate) use write::{Cover, Effect, Write};
