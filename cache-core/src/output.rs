//! What a cached function may return: `T`, `Arc<T>`, `Option` of either, and `Result` of any of those. Refuses to look
//! inside values; it only takes the wrapping off and puts it on again.

mod many;

use std::sync::Arc;

pub use many::{Aligned, Alone, Batch, BatchOutput, ByFrom, ByKey, FromBatchError, InResult, Sorted};

use crate::schema::Cacheable;

/// A value, alone or shared.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be handed out by the cache",
    note = "a cached value is `T` with `T: Clone`, or `Arc<T>`, where `T` derives `Cacheable`"
)]
pub trait Item: Sized + Send + Sync {
    /// The value itself.
    type Value: Cacheable;

    /// The value, to look at.
    fn peek(&self) -> &Self::Value;

    /// The value, to be shared with other callers and to be encoded.
    fn share(self) -> Arc<Self::Value>;

    /// Hands the value out; clones only if it is shared and the caller wants it alone.
    fn unshare(value: Arc<Self::Value>) -> Self;
}

impl<T: Cacheable + Clone> Item for T {
    type Value = T;

    fn peek(&self) -> &T {
        self
    }

    fn share(self) -> Arc<T> {
        Arc::new(self)
    }

    fn unshare(value: Arc<T>) -> Self {
        Arc::unwrap_or_clone(value)
    }
}

impl<T: Cacheable> Item for Arc<T> {
    type Value = T;

    fn peek(&self) -> &T {
        self
    }

    fn share(self) -> Arc<T> {
        self
    }

    fn unshare(value: Arc<T>) -> Self {
        value
    }
}

/// An item, or the fact that there is none.
pub trait Payload: Sized + Send {
    /// The value itself.
    type Value: Cacheable;

    /// Whether this type can say "there is none".
    const NEGATIVE: bool;

    /// The value, to look at; `None` says "there is none".
    fn peek(&self) -> Option<&Self::Value>;

    /// `None` says "there is none" (a negative entry).
    fn share(self) -> Option<Arc<Self::Value>>;

    /// Hands a value or a negative entry out; `None` if this type cannot say "there is none".
    fn unshare(value: Option<Arc<Self::Value>>) -> Option<Self>;
}

impl<I: Item> Payload for I {
    type Value = I::Value;

    const NEGATIVE: bool = false;

    fn peek(&self) -> Option<&I::Value> {
        Some(Item::peek(self))
    }

    fn share(self) -> Option<Arc<I::Value>> {
        Some(Item::share(self))
    }

    fn unshare(value: Option<Arc<I::Value>>) -> Option<Self> {
        value.map(Item::unshare)
    }
}

impl<I: Item> Payload for Option<I> {
    type Value = I::Value;

    const NEGATIVE: bool = true;

    fn peek(&self) -> Option<&I::Value> {
        self.as_ref().map(Item::peek)
    }

    fn share(self) -> Option<Arc<I::Value>> {
        self.map(Item::share)
    }

    fn unshare(value: Option<Arc<I::Value>>) -> Option<Self> {
        Some(value.map(Item::unshare))
    }
}

/// What a cached function returns.
#[diagnostic::on_unimplemented(
    message = "a cached function cannot return `{Self}`",
    label = "not a cacheable return type",
    note = "return `T`, `Arc<T>`, `Option<T>`, `Option<Arc<T>>` or a `Result` of one of them, where `T: Clone` derives `Cacheable`"
)]
pub trait Output: Sized {
    /// What is cached of it.
    type Payload: Payload;
    /// Its error; uninhabited where there is none.
    type Error;

    /// The value, to look at; `None` for an error and for "there is none".
    fn peek(&self) -> Option<&ValueOf<Self>>;

    /// Takes a result apart; an error is never cached.
    ///
    /// # Errors
    /// The loader's own error, untouched.
    fn split(self) -> Result<Self::Payload, Self::Error>;

    /// Puts a result together from a payload.
    fn wrap(payload: Self::Payload) -> Self;

    /// Puts a result together from the loader's own error.
    fn fail(error: Self::Error) -> Self;
}

impl<P: Payload> Output for P {
    type Payload = P;
    type Error = std::convert::Infallible;

    fn peek(&self) -> Option<&P::Value> {
        Payload::peek(self)
    }

    fn split(self) -> Result<P, Self::Error> {
        Ok(self)
    }

    fn wrap(payload: P) -> Self {
        payload
    }

    fn fail(error: Self::Error) -> Self {
        match error {}
    }
}

impl<P: Payload, E> Output for Result<P, E> {
    type Payload = P;
    type Error = E;

    fn peek(&self) -> Option<&P::Value> {
        self.as_ref().ok().and_then(Payload::peek)
    }

    fn split(self) -> Result<P, E> {
        self
    }

    fn wrap(payload: P) -> Self {
        Ok(payload)
    }

    fn fail(error: E) -> Self {
        Err(error)
    }
}

/// The value type of a cached function's return type.
pub type ValueOf<O> = <<O as Output>::Payload as Payload>::Value;
