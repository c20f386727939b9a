//! A file by inode, and by when it was made or where it is: the same through every path, another after a restore.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::FileId;

pub(super) fn identity(path: &Path) -> Option<FileId> {
    let metadata = std::fs::metadata(path).ok()?;
    let here = format!("{:x}.{:x}", metadata.dev(), metadata.ino());
    Some(FileId { born: born(&metadata), here })
}

/// Numbers of devices change with every mount. The moment at which a file was made, to a fraction of a second, does not; some
/// filesystems do not keep it.
fn born(metadata: &Metadata) -> Option<String> {
    let since = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    (!since.is_zero()).then(|| format!("{:x}.{:x}", metadata.ino(), since.as_nanos()))
}
