//! The assertions. Refuses to pass for nothing: a write that changes nothing a read shows proves nothing.

use crate::cache::Cache;
use crate::catalogue::Catalogue;

/// Reads, writes, reads again: the second read must show the write, exactly as the source of truth has it.
///
/// Both are expressions that give a future each time they are evaluated. The read is run three times: before the write
/// (which warms the cache), after it, and past the cache. Fails if the write changes nothing that the read shows. What they
/// return is compared as `Debug` shows it, errors included; a `HashMap` shows its entries in any order, so return a
/// `BTreeMap` or sort.
///
/// ```
/// # use cache_core::assert_fresh;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let row = std::cell::Cell::new(1);
/// # let rename = async || row.set(2); let find = async || row.get();
/// assert_fresh!(rename(), find());
/// # }
/// ```
#[macro_export]
macro_rules! assert_fresh {
    ($write:expr, $read:expr $(,)?) => {{
        let __before = format!("{:?}", $read.await);
        let __written = format!("{:?}", $write.await);
        let __after = format!("{:?}", $read.await);
        let __truth = format!("{:?}", $crate::testkit::bypass($read).await);
        $crate::testkit::Changed { before: __before, written: __written, after: __after, truth: __truth }
            .check(stringify!($write), stringify!($read));
    }};
}

/// Runs an expression and counts the loads that the given caches made for it.
///
/// ```
/// # use cache_core::{assert_loads, Cache, MemoryStore};
/// # let cache = Cache::builder("t").store(MemoryStore::default()).build().unwrap();
/// assert_loads!(0, [cache], { /* cached reads, awaited */ });
/// ```
#[macro_export]
macro_rules! assert_loads {
    ($expected:expr, [$($cache:expr),+ $(,)?], $run:expr $(,)?) => {{
        let __caches = [$(&$cache),+];
        let __before = $crate::testkit::loads_of(&__caches);
        let __value = $run;
        let __loads = $crate::testkit::loads_of(&__caches) - __before;
        assert_eq!(__loads, $expected, "loads made by `{}`", stringify!($run));
        __value
    }};
}

/// Fails if an invalidation of this program has no cached function that reads it, or a template is read as two types.
/// Belongs in a test of the crate that links all repositories.
#[macro_export]
macro_rules! assert_catalogue {
    () => {
        if let Err(__mistakes) = $crate::testkit::catalogue_is_clean() {
            panic!("{__mistakes}");
        }
    };
}

/// What [`assert_fresh!`] saw.
#[derive(Debug)]
pub struct Changed {
    /// The read before the write.
    pub before: String,
    /// What the write returned.
    pub written: String,
    /// The read after the write.
    pub after: String,
    /// The same read past the cache.
    pub truth: String,
}

impl Changed {
    /// # Panics
    /// When the read after the write is not the truth, or the write changed nothing.
    #[track_caller]
    pub fn check(&self, write: &str, read: &str) {
        let Self { before, written, after, truth } = self;
        assert_eq!(after, truth, "stale: `{read}` after `{write}` (which returned {written})");
        assert_ne!(
            before, truth,
            "`{write}` (which returned {written}) changes nothing that `{read}` shows, so this proves nothing"
        );
    }
}

/// The loads that these caches made so far.
#[must_use]
pub fn loads_of<C: AsRef<Cache>>(caches: &[&C]) -> u64 {
    caches.iter().map(|cache| cache.as_ref().stats().total().loads).sum()
}

/// The catalogue's errors and the invalidations that nobody reads.
///
/// # Errors
/// One line a mistake.
pub fn catalogue_is_clean() -> Result<(), String> {
    let catalogue = Catalogue::linked();
    let mut mistakes = catalogue.errors();
    mistakes.extend(catalogue.unread());
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("\n")) }
}
