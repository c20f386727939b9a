//! Shapes of the standard library's types, and which of them may be an entry's value: not `Option` and the pointers, which
//! a return type may wrap around a value.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Cacheable, Schema, Walker};

macro_rules! shapes {
    ($($word:literal: $type:ty where <$($part:ident),+> $(and $extra:ident)?),* $(,)?) => {$(
        impl<$($part: Schema,)+ $($extra: 'static)?> Schema for $type {
            fn describe(walker: &mut Walker) {
                walker.word($word);
                $(walker.walk::<$part>();)+
            }
        }
    )*};
}

shapes! {
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

macro_rules! primitives {
    ($($type:ty),*) => {$(
        impl Schema for $type {
            fn describe(walker: &mut Walker) { walker.word(stringify!($type)); }
        }
    )*};
}

primitives!(
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    f32,
    f64,
    bool,
    char,
    String,
    str,
    ()
);

macro_rules! cacheable {
    ($($type:ty),*) => {$( impl Cacheable for $type {} )*};
}

cacheable!(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128, f32, f64, bool, char, String);

/// A described type that may stand inside a container.
macro_rules! containers {
    ($($type:ty where <$($part:ident $(: $bound:path)?),+> $(and $extra:ident)?),* $(,)?) => {$(
        impl<$($part,)+ $($extra)?> Cacheable for $type
        where
            $($part: Schema + Serialize + DeserializeOwned + Send + Sync $(+ $bound)?,)+
            $($extra: BuildHasher + Default + Send + Sync + 'static,)?
            Self: Serialize + DeserializeOwned,
        {}
    )*};
}

containers! {
    Vec<T> where <T>,
    BTreeMap<K, V> where <K: Ord, V>,
    BTreeSet<T> where <T: Ord>,
    HashMap<K, V, S> where <K, V> and S,
    HashSet<T, S> where <T> and S,
    (A,) where <A>,
    (A, B) where <A, B>,
    (A, B, C) where <A, B, C>,
    (A, B, C, D) where <A, B, C, D>,
}
