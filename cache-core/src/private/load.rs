//! What generated code does around a loader's body: its timeout, and what the attribute's options say about its value.

use std::future::Future;
use std::time::Duration;

use crate::error::LoadTimeout;
use crate::loading;
use crate::output::{Item, Output, ValueOf};
use crate::scope::FromLoadTimeout;

/// What a call that is made again in a task of its own consists of.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be loaded in the background",
    label = "not `Clone + Send + 'static`",
    note = "a background load calls the function again in a task of its own: derive `Clone`, or write `refresh = \"inline\"` and let a caller load"
)]
pub trait Repeatable: Clone + Send + 'static {}

impl<T: Clone + Send + 'static> Repeatable for T {}

/// A copy for the background.
pub fn repeat<T: Repeatable>(value: &T) -> T {
    value.clone()
}

/// What can say that a load took too long.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that a load took too long",
    label = "has no error to say it with",
    note = "with `hard_timeout` the function returns a `Result` whose error is `sqlx::Error` or implements `From<cache_core::error::LoadTimeout>`"
)]
pub trait TimesOut<M>: Sized {
    /// The timeout in the function's own type.
    fn timed_out(error: LoadTimeout) -> Self;
}

impl<T, E: FromLoadTimeout<M>, M> TimesOut<M> for Result<T, E> {
    fn timed_out(error: LoadTimeout) -> Self {
        Err(E::from_load_timeout(error))
    }
}

/// Runs a body under the hard timeout that is in force.
pub async fn timed<O: TimesOut<M>, M>(template: &'static str, body: impl Future<Output = O>) -> O {
    let Some(hard) = loading::hard_timeout() else { return body.await };
    match tokio::time::timeout(hard, body).await {
        Ok(output) => output,
        Err(_) => {
            loading::is_late();
            O::timed_out(LoadTimeout::new(template, hard))
        }
    }
}

/// What `ttl_from` says about a value.
pub fn ttl_from<O: Output>(output: &O, ttl: impl FnOnce(&ValueOf<O>) -> Duration) {
    if let Some(value) = output.peek() {
        loading::lives(ttl(value));
    }
}

/// The opposite.
#[must_use]
pub const fn not(is: bool) -> bool {
    !is
}

/// What `only_if` says about a value; `unless` says the opposite.
pub fn only_if<O: Output>(output: &O, keep: impl FnOnce(&ValueOf<O>) -> bool) {
    if output.peek().is_some_and(|value| !keep(value)) {
        loading::skip();
    }
}

/// What `unless` says about a value.
pub fn unless<O: Output>(output: &O, skip: impl FnOnce(&ValueOf<O>) -> bool) {
    only_if(output, |value| !skip(value));
}

/// The error that `cache_err` names counts as "there is none", unless it is what the hard timeout is called.
///
/// # Errors
/// Any other.
pub fn absent<P: Item, E>(result: Result<P, E>, is: impl FnOnce(&E) -> bool) -> Result<Option<P>, E> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is(&error) && !loading::was_late() => Ok(None),
        Err(error) => Err(error),
    }
}

/// "There is none" is the error that `cache_err` names.
///
/// # Errors
/// That one, and any other that was there.
pub fn present<P, E>(result: Result<Option<P>, E>, error: impl FnOnce() -> E) -> Result<P, E> {
    result.and_then(|value| value.ok_or_else(error))
}
