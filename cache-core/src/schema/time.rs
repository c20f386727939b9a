//! Shapes of the crate `time`.

use super::{Cacheable, Schema, Walker};

macro_rules! named {
    ($($word:literal $type:ty),* $(,)?) => {$(
        impl Schema for $type {
            fn describe(walker: &mut Walker) { walker.word($word); }
        }
        impl Cacheable for $type {}
    )*};
}

named! {
    "time.offset" ::time::OffsetDateTime,
    "time.date" ::time::Date,
}
