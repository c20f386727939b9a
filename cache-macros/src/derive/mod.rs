//! The derives: a type's shape, its typed key, and its text in keys.

mod cacheable;
mod key_part;
mod keyed;
mod options;
mod stored;

pub(crate) use cacheable::cacheable;
pub(crate) use key_part::key_part;
