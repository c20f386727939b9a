//! A file by the digest of its canonical path, where the system has nothing better to offer in safe code.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::FileId;

pub(super) fn identity(path: &Path) -> Option<FileId> {
    let mut hasher = DefaultHasher::new();
    std::fs::canonicalize(path).ok()?.hash(&mut hasher);
    Some(FileId { born: None, here: format!("path.{:016x}", hasher.finish()) })
}
