//! What a loader may ask and say while it runs. Refuses to be inherited: a task that a loader spawns is no part of the load.

use std::any::Any;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An entry has two bytes for its length.
const LONGEST_VALIDATOR: usize = 64 * 1024;

tokio::task_local! {
    static LOAD: Arc<Load>;
}

/// One run of a loader.
#[derive(Debug, Default)]
pub(crate) struct Load {
    previous: Option<Known>,
    /// How long it may take.
    hard: Option<Duration>,
    is_skipped: AtomicBool,
    is_tainted: AtomicBool,
    is_late: AtomicBool,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    validator: Option<Box<str>>,
    ttl: Option<Duration>,
}

/// A value that stands while it is loaded anew.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) value: Arc<dyn Any + Send + Sync>,
    pub(crate) validator: Option<Box<str>>,
    pub(crate) age: Duration,
}

/// What a load that is over has said.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The value is for its caller, and for those who wait for it; it is not stored.
    pub(crate) is_skipped: bool,
    /// Something older than now went into it: it is for its caller alone.
    pub(crate) is_tainted: bool,
    /// It was dropped because it took too long.
    pub(crate) is_late: bool,
    pub(crate) validator: Option<Box<str>>,
    pub(crate) ttl: Option<Duration>,
}

/// Runs a loader.
pub(crate) async fn run<F: Future>(
    previous: Option<Known>,
    hard: Option<Duration>,
    loader: F,
) -> (F::Output, Verdict) {
    let load = Arc::new(Load { previous, hard, ..Load::default() });
    let output = LOAD.scope(load.clone(), loader).await;
    let said = std::mem::take(&mut *load.said.lock().unwrap_or_else(PoisonError::into_inner));
    let verdict = Verdict {
        is_skipped: load.is_skipped.load(Ordering::Relaxed),
        is_tainted: load.is_tainted.load(Ordering::Relaxed),
        is_late: load.is_late.load(Ordering::Relaxed),
        validator: said.validator,
        ttl: said.ttl,
    };
    inherit(verdict.is_tainted, verdict.is_skipped);
    (output, verdict)
}

/// What is true of a value that was loaded is true of what is made of it.
pub(crate) fn inherit(is_tainted: bool, is_skipped: bool) {
    if is_tainted {
        taint();
    }
    if is_skipped {
        skip();
    }
}

fn running<T>(say: impl FnOnce(&Load) -> T) -> Option<T> {
    LOAD.try_with(|load| say(load)).ok()
}

/// Something that may be older than a write that has returned goes into the running load, if one runs.
pub(crate) fn taint() {
    running(|load| load.is_tainted.store(true, Ordering::Relaxed));
}

/// How long the running load may take.
pub(crate) fn hard_timeout() -> Option<Duration> {
    running(|load| load.hard).flatten()
}

/// The running load was dropped: it took too long.
pub(crate) fn is_late() {
    running(|load| load.is_late.store(true, Ordering::Relaxed));
}

/// Whether it was.
pub(crate) fn was_late() -> bool {
    running(|load| load.is_late.load(Ordering::Relaxed)).unwrap_or(false)
}

/// The value that the running load is about to return lives for so long.
pub(crate) fn lives(ttl: Duration) {
    running(|load| load.said.lock().unwrap_or_else(PoisonError::into_inner).ttl = Some(ttl));
}

/// What the running loader returns is not to be stored: its callers get it, and the next one loads again. Outside of a loader
/// it does nothing.
///
/// ```
/// # use cache_core::{Cache, cached, loading};
/// # struct Prices { cache: Cache }
/// # impl Prices { async fn ask(&self, _: i64) -> (u64, bool) { (1, false) }
/// #[cached(key = "price:<id>", ttl = "1h")]
/// async fn price(&self, id: i64) -> u64 {
///     let (price, is_preliminary) = self.ask(id).await;
///     if is_preliminary {
///         loading::skip();
///     }
///     price
/// }
/// # }
/// ```
pub fn skip() {
    running(|load| load.is_skipped.store(true, Ordering::Relaxed));
}

/// Says what identifies the state of the source that the running loader has read, an HTTP ETag for example. The next loader of
/// this entry finds it in [`previous`]. One of 64 KiB or more is left out: then the next loader finds none.
pub fn validator(text: &str) {
    // Part of one would be another.
    let text = (text.len() < LONGEST_VALIDATOR).then(|| text.into());
    running(|load| load.said.lock().unwrap_or_else(PoisonError::into_inner).validator = text);
}

/// The value that stands while it is loaded anew, for a loader that may answer "not modified". `None` where nothing stands, and
/// outside of a loader. `V` is the value's type without `Result`, `Option` and `Arc`.
///
/// Only an early or a stale load finds one: with `refresh_ahead`, `stampede = "xfetch"`, `stale_while_revalidate` or
/// `stale_if_error`. It is no proof of anything: ask the source whether it still holds.
#[must_use]
pub fn previous<V: Send + Sync + 'static>() -> Option<Previous<V>> {
    let known = running(|load| load.previous.clone()).flatten()?;
    Some(Previous { value: known.value.downcast().ok()?, validator: known.validator, age: known.age })
}

/// A value that stands while it is loaded anew.
#[derive(Debug)]
pub struct Previous<V> {
    /// The value.
    pub value: Arc<V>,
    /// What its loader had said by [`validator`].
    pub validator: Option<Box<str>>,
    /// How long ago it was loaded, or last found unmodified.
    pub age: Duration,
}

impl<V> Previous<V> {
    /// The source has not changed: the same value, for another lifetime, with the same validator.
    #[must_use]
    pub fn not_modified(self) -> Arc<V> {
        if let Some(text) = &self.validator {
            validator(text);
        }
        self.value
    }
}
