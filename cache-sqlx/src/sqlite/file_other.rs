//! A file by the digest of its canonical path, where the system has nothing better to offer in safe code.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

pub(super) fn identity(path: &Path) -> Option<String> {
    let mut hasher = DefaultHasher::new();
    std::fs::canonicalize(path).ok()?.hash(&mut hasher);
    Some(format!("path.{:016x}", hasher.finish()))
}
