//! What an attribute means. Building it is the validation: a model that exists can be expanded.

mod cache;
mod options;
mod read;
mod source;
mod subject;
mod write;

pub(crate) use cache::CachePlace;
pub(crate) use read::{Read, Stampede};
pub(crate) use subject::{Name, Place, Root, Written};
pub(crate) use write::{Cover, Effect, Write};
