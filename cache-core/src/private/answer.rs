//! Return types of cached functions by how they are written, so that a missing derive and a missing `Clone` are each reported
//! as what they are: with one way to be satisfied, the compiler names the bound that is not.

use std::sync::Arc;

use crate::output::{Item, Output, Payload};
use crate::schema::Cacheable;

/// Not known from what is written: an alias, or a value alone.
#[derive(Debug)]
pub enum Unseen {}

/// `Arc<_>`.
#[derive(Debug)]
pub enum Shared {}

/// `Option<_>`.
#[derive(Debug)]
pub struct Maybe<M>(M);

/// `Result<_, _>`.
#[derive(Debug)]
pub struct InResult<M>(M);

/// What a cached function returns, written as `M` says.
pub trait Answer<M>: Output {}

impl<O: Output> Answer<Unseen> for O {}
impl<T: Cacheable> Answer<Shared> for Arc<T> {}
impl<I: Item> Answer<Maybe<Unseen>> for Option<I> {}
impl<T: Cacheable> Answer<Maybe<Shared>> for Option<Arc<T>> {}
impl<P: Payload, E> Answer<InResult<Unseen>> for Result<P, E> {}
impl<T: Cacheable, E> Answer<InResult<Shared>> for Result<Arc<T>, E> {}
impl<I: Item, E> Answer<InResult<Maybe<Unseen>>> for Result<Option<I>, E> {}
impl<T: Cacheable, E> Answer<InResult<Maybe<Shared>>> for Result<Option<Arc<T>>, E> {}
