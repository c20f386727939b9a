//! A temporary folder that another user can be let into, removed on drop.

use std::{
    env,
    fs::DirBuilder,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{Error, unique_name};

/// A folder of our own, readable by its owner only.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// In the system's temporary folder, or the first place every user can reach when that one lies within somebody's home.
    pub(crate) fn new(prefix: &str) -> Result<Self, Error> {
        let usual = env::temp_dir();
        let parent = [usual.as_path(), Path::new("/tmp"), Path::new("/var/tmp")]
            .into_iter()
            .find(|path| is_open_to_all(path))
            .unwrap_or(&usual);
        let path = parent.join(unique_name(prefix));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(Error::io(format!("cannot create the folder {}", path.display())))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind lies in the temporary folder; a destructor has nobody to tell.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Whether users other than the owner may pass through `path` and all above it.
fn is_open_to_all(path: &Path) -> bool {
    const SEARCH_BY_OTHERS: u32 = 0o001;
    path.canonicalize().is_ok_and(|path| {
        path.ancestors().all(|folder| {
            folder.metadata().is_ok_and(|meta| meta.permissions().mode() & SEARCH_BY_OTHERS != 0)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_gone_after_its_handle() {
        let folder = Folder::new("cache_folder").unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("file"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_inside_a_private_one_is_not_open_to_all() {
        let private = Folder::new("cache_folder").unwrap();
        let inner = private.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        assert!(!is_open_to_all(&inner));
        assert!(is_open_to_all(Path::new("/")));
    }
}
