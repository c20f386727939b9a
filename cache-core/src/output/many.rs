//! What a batch function may return: a map from key to value, or a list with one `Option` for each key. Refuses a result that
//! cannot be matched to the keys.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use super::Item;
use crate::error::BatchError;

/// What a loader returned, put in order.
#[derive(Debug)]
pub struct Sorted<B, V> {
    /// One for each key, in their order; `None` says "there is none".
    pub values: Vec<Option<Arc<V>>>,
    /// What is left: values of keys that nobody asked for.
    pub rest: B,
    /// How many those are.
    pub strangers: usize,
}

/// Values for keys of type `K`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be matched to keys of type `{K}`",
    label = "not the result of a batch",
    note = "a batch function returns `HashMap<{K}, V>`, a `Result` of it, or a `Result` of `Vec<Option<V>>` with one `Option` for each key in their order, where `V` is `T: Clone` or `Arc<T>` and `T` derives `Cacheable`"
)]
pub trait Batch<K>: Sized + Send {
    /// One value.
    type Item: Item;
    /// What can be wrong with it at run time.
    type Mismatch;

    /// Matches what a loader returned to the keys it was asked for.
    ///
    /// # Errors
    /// It cannot be matched.
    fn sort(self, keys: &[K]) -> Result<Sorted<Self, <Self::Item as Item>::Value>, Self::Mismatch>;

    /// Puts a result together from what there is for each key, and from what a loader returned besides.
    fn gather(
        rest: Option<Self>,
        found: impl Iterator<Item = (K, Option<Arc<<Self::Item as Item>::Value>>)>,
    ) -> Self;
}

/// Values that carry their keys, so that nothing can be wrong with them at run time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be matched to keys of type `{K}`",
    label = "not the result of a batch",
    note = "a batch function returns `HashMap<{K}, V>`, a `Result` of it, or a `Result` of `Vec<Option<V>>` with one `Option` for each key in their order, where `V` is `T: Clone` or `Arc<T>` and `T` derives `Cacheable`"
)]
pub trait ByKey<K>: Batch<K, Mismatch = Infallible> {}

fn same<T>(key: T) -> T {
    key
}

fn deref<'k, T: ?Sized>(key: &&'k T) -> &'k T {
    key
}

macro_rules! maps {
    ($([$($generics:tt)*] $map:ty, $key:ty: $lookup:expr, $own:expr;)*) => {$(
        impl<$($generics)*> ByKey<$key> for $map {}

        impl<$($generics)*> Batch<$key> for $map {
            type Item = I;
            type Mismatch = Infallible;

            fn sort(mut self, keys: &[$key]) -> Result<Sorted<Self, I::Value>, Infallible> {
                let values = keys.iter().map(|key| self.remove($lookup(key)).map(Item::share)).collect();
                let strangers = self.len();
                Ok(Sorted { values, rest: self, strangers })
            }

            fn gather(
                rest: Option<Self>,
                found: impl Iterator<Item = ($key, Option<Arc<I::Value>>)>,
            ) -> Self {
                let mut map = rest.unwrap_or_default();
                map.extend(found.filter_map(|(key, value)| Some(($own(key), Item::unshare(value?)))));
                map
            }
        }
    )*};
}

maps! {
    [K: Eq + Hash + Send, I: Item, S: BuildHasher + Default + Send] HashMap<K, I, S>, K: same, same;
    ['k, K: Clone + Eq + Hash + Send, I: Item, S: BuildHasher + Default + Send] HashMap<K, I, S>, &'k K: deref, K::clone;
    ['k, I: Item, S: BuildHasher + Default + Send] HashMap<String, I, S>, &'k str: deref, str::to_owned;
    [K: Ord + Send, I: Item] BTreeMap<K, I>, K: same, same;
}

impl<K, I: Item> Batch<K> for Vec<Option<I>> {
    type Item = I;
    type Mismatch = BatchError;

    fn sort(self, keys: &[K]) -> Result<Sorted<Self, I::Value>, BatchError> {
        if self.len() != keys.len() {
            return Err(BatchError::new(keys.len(), self.len()));
        }
        let values = self.into_iter().map(|item| item.map(Item::share)).collect();
        Ok(Sorted { values, rest: Self::new(), strangers: 0 })
    }

    fn gather(_: Option<Self>, found: impl Iterator<Item = (K, Option<Arc<I::Value>>)>) -> Self {
        found.map(|(_, value)| value.map(Item::unshare)).collect()
    }
}

/// An error type that can carry a [`BatchError`]; `M` tells apart the ways to do so.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that a `Vec` is longer or shorter than its keys",
    note = "return a `HashMap`, or an error that is `sqlx::Error` or implements `From<cache_core::error::BatchError>`"
)]
pub trait FromBatchError<M> {
    /// The mismatch in the function's own error type.
    fn from_batch_error(error: BatchError) -> Self;
}

/// Marker of the blanket implementation over `From`.
#[derive(Debug)]
pub enum ByFrom {}

impl<E: From<BatchError>> FromBatchError<ByFrom> for E {
    fn from_batch_error(error: BatchError) -> Self {
        Self::from(error)
    }
}

/// A map by itself.
#[derive(Debug)]
pub enum Alone {}

/// A map in a `Result`.
#[derive(Debug)]
pub enum InResult {}

/// A list in a `Result`, whose error can say that its length is wrong in the way of `M`.
#[derive(Debug)]
pub struct Aligned<M>(M);

/// What a batch function returns, in the shape `M`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be matched to keys of type `{K}`",
    label = "not the result of a batch",
    note = "a batch function returns `HashMap<{K}, V>`, a `Result` of it, or a `Result` of `Vec<Option<V>>` with one `Option` for each key in their order, where `V` is `T: Clone` or `Arc<T>` and `T` derives `Cacheable`"
)]
pub trait BatchOutput<K, M>: Sized {
    /// The values.
    type Batch: Batch<K>;
    /// Its error; uninhabited where there is none.
    type Error;

    /// Takes a result apart; an error is never cached.
    ///
    /// # Errors
    /// The loader's own error, untouched.
    fn split(self) -> Result<Self::Batch, Self::Error>;

    /// Puts a result together from values.
    fn wrap(batch: Self::Batch) -> Self;

    /// Puts a result together from the loader's own error.
    fn fail(error: Self::Error) -> Self;

    /// Puts a result together from what is wrong with the values.
    fn mismatch(mismatch: <Self::Batch as Batch<K>>::Mismatch) -> Self;
}

impl<K, B: ByKey<K>> BatchOutput<K, Alone> for B {
    type Batch = B;
    type Error = Infallible;

    fn split(self) -> Result<B, Infallible> {
        Ok(self)
    }

    fn wrap(batch: B) -> Self {
        batch
    }

    fn fail(error: Infallible) -> Self {
        match error {}
    }

    fn mismatch(mismatch: Infallible) -> Self {
        match mismatch {}
    }
}

impl<K, B: ByKey<K>, E> BatchOutput<K, InResult> for Result<B, E> {
    type Batch = B;
    type Error = E;

    fn split(self) -> Self {
        self
    }

    fn wrap(batch: B) -> Self {
        Ok(batch)
    }

    fn fail(error: E) -> Self {
        Err(error)
    }

    fn mismatch(mismatch: Infallible) -> Self {
        match mismatch {}
    }
}

impl<K, I: Item, E: FromBatchError<M>, M> BatchOutput<K, Aligned<M>> for Result<Vec<Option<I>>, E> {
    type Batch = Vec<Option<I>>;
    type Error = E;

    fn split(self) -> Self {
        self
    }

    fn wrap(batch: Vec<Option<I>>) -> Self {
        Ok(batch)
    }

    fn fail(error: E) -> Self {
        Err(error)
    }

    fn mismatch(mismatch: BatchError) -> Self {
        Err(E::from_batch_error(mismatch))
    }
}
