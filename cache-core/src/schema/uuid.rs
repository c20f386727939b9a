//! Shape of the crate `uuid`'s one type.

use super::{Cacheable, Schema, Walker};

impl Schema for ::uuid::Uuid {
    fn describe(walker: &mut Walker) {
        walker.word("uuid");
    }
}

impl Cacheable for ::uuid::Uuid {}
