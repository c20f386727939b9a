//! Shapes of the standard library's containers, and of a few foreign types behind features.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::{Schema, Walker};

macro_rules! containers {
    ($($word:literal: $type:ty where <$($part:ident),+> $(and $extra:ident)?),* $(,)?) => {$(
        impl<$($part: Schema,)+ $($extra: 'static)?> Schema for $type {
            fn describe(walker: &mut Walker) {
                walker.word($word);
                $(walker.walk::<$part>();)+
            }
        }
    )*};
}

containers! {
    "option": Option<T> where <T>,
    "sequence": Vec<T> where <T>,
    "sequence": VecDeque<T> where <T>,
    "sequence": [T] where <T>,
    "sequence": BTreeSet<T> where <T>,
    "sequence": HashSet<T, S> where <T> and S,
    "map": BTreeMap<K, V> where <K, V>,
    "map": HashMap<K, V, S> where <K, V> and S,
    "tuple1": (A,) where <A>,
    "tuple2": (A, B) where <A, B>,
    "tuple3": (A, B, C) where <A, B, C>,
    "tuple4": (A, B, C, D) where <A, B, C, D>,
}

/// Pointers are as what they point to.
macro_rules! pointers {
    ($($type:ty),*) => {$(
        impl<T: Schema + ?Sized> Schema for $type {
            fn describe(walker: &mut Walker) { walker.walk::<T>(); }
        }
    )*};
}

pointers!(Box<T>, Arc<T>);

impl<T: Schema, const N: usize> Schema for [T; N] {
    fn describe(walker: &mut Walker) {
        walker.word("array");
        walker.number(N as u64);
        walker.walk::<T>();
    }
}

macro_rules! named {
    ($($feature:literal $word:literal $type:ty),* $(,)?) => {$(
        #[cfg(feature = $feature)]
        impl Schema for $type {
            fn describe(walker: &mut Walker) { walker.word($word); }
        }
        #[cfg(feature = $feature)]
        impl crate::output::Cacheable for $type {}
    )*};
}

named! {
    "uuid" "uuid" uuid::Uuid,
    "chrono" "chrono.utc" chrono::DateTime<chrono::Utc>,
    "chrono" "chrono.naive" chrono::NaiveDateTime,
    "chrono" "chrono.date" chrono::NaiveDate,
    "chrono" "chrono.time" chrono::NaiveTime,
    "time" "time.offset" time::OffsetDateTime,
    "time" "time.date" time::Date,
}
