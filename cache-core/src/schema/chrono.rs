//! Shapes of the crate `chrono`.

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
    "chrono.utc" ::chrono::DateTime<::chrono::Utc>,
    "chrono.naive" ::chrono::NaiveDateTime,
    "chrono.date" ::chrono::NaiveDate,
    "chrono.time" ::chrono::NaiveTime,
}
