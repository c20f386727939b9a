//! Random names and numbers from the standard library's hash seeds. Not for secrets.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number that differs between calls, threads and processes.
pub(crate) fn number() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

/// `prefix` followed by `_` and 16 random hexadecimal digits.
///
/// Tests share one Redis: give each of them its own namespace with this, and none sees another's entries.
///
/// ```
/// let namespace = cache_test_support::unique_name("shop");
/// assert_ne!(namespace, cache_test_support::unique_name("shop"));
/// ```
pub fn unique_name(prefix: &str) -> String {
    format!("{prefix}_{:016x}", number())
}
