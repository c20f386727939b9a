//! Keeps source files short enough to be read in one go.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

const LIMIT: usize = 600;

/// The workspace's source files by length, the longest first.
pub(crate) fn measured(root: &Path) -> io::Result<Vec<(usize, PathBuf)>> {
    let mut files = Vec::new();
    for path in rust_files(root)? {
        let lines = fs::read_to_string(&path)?.lines().count();
        files.push((lines, path.strip_prefix(root).map_or(path.clone(), Path::to_owned)));
    }
    files.sort_by(|a, b| b.cmp(a));
    Ok(files)
}

/// What is wrong with the lengths.
pub(crate) fn faults(files: &[(usize, PathBuf)]) -> Vec<String> {
    files
        .iter()
        .filter(|(lines, _)| *lines > LIMIT)
        .map(|(lines, path)| format!("{}: {lines} lines; split it, {LIMIT} is the limit", path.display()))
        .collect()
}

/// All `.rs` files under a folder, but for build output and hidden folders.
pub(crate) fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    open.push(entry.path());
                }
            } else if name.ends_with(".rs") {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_allowed() {
        let files = [(601, "long.rs".into()), (600, "full.rs".into()), (3, "short.rs".into())];
        assert_eq!(faults(&files), ["long.rs: 601 lines; split it, 600 is the limit"]);
    }

    #[test]
    fn this_file_is_found_and_build_output_is_not() {
        let files = rust_files(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(files.iter().any(|path| path.ends_with("src/sizes.rs")));
        assert!(!files.iter().any(|path| path.components().any(|part| part.as_os_str() == "target")));
    }
}
