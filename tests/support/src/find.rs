//! Finds installed programs: `PATH` first, then the folders distributions use, the newest version first.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where packages put servers that they keep off `PATH`. A segment may hold one `*`.
const FOLDERS: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/lib/postgresql*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/usr/local/opt/libpq/bin",
    "/opt/homebrew/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/libexec",
];

/// The folders that hold every one of `programs`, each of which answers `--version`; the preferred one first.
pub(crate) fn folders_with(programs: &[&str]) -> Vec<PathBuf> {
    let mut real: Vec<PathBuf> = Vec::new();
    let mut found = Vec::new();
    for folder in candidates() {
        let Ok(target) = folder.join(programs[0]).canonicalize() else { continue };
        if real.contains(&target) || !programs.iter().all(|program| answers(&folder.join(program))) {
            continue;
        }
        real.push(target);
        found.push(folder);
    }
    found
}

/// The first of `names` that works, in order of preference.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    names.iter().find_map(|name| folders_with(&[name]).first().map(|folder| folder.join(name)))
}

/// The first file called `name`, without running it: a script that knows no `--version`.
pub(crate) fn file(name: &str) -> Option<PathBuf> {
    candidates().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Whether `PATH` holds `name`, without running it.
pub(crate) fn on_path(name: &str) -> bool {
    path_folders().any(|folder| folder.join(name).is_file())
}

fn path_folders() -> impl Iterator<Item = PathBuf> {
    env::var_os("PATH").into_iter().flat_map(|path| env::split_paths(&path).collect::<Vec<_>>())
}

fn candidates() -> impl Iterator<Item = PathBuf> {
    path_folders()
        .filter(|folder| folder.is_absolute())
        .chain(FOLDERS.iter().flat_map(|pattern| expand(pattern)))
}

/// A wrapper or a half-removed package can leave a file behind that does not run.
fn answers(program: &Path) -> bool {
    program.is_file()
        && Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some(star) = pattern.find('*') else { return vec![PathBuf::from(pattern)] };
    let parent_end = pattern[..star].rfind('/').expect("patterns are absolute");
    let prefix = &pattern[parent_end + 1..star];
    let rest = pattern[star + 1..].trim_start_matches('/');
    let Ok(entries) = fs::read_dir(&pattern[..parent_end]) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.len() > prefix.len() && name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(version(&name[prefix.len()..])));
    names.into_iter().map(|name| Path::new(&pattern[..parent_end]).join(name).join(rest)).collect()
}

fn version(text: &str) -> Vec<u32> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::folder::Folder;

    #[test]
    fn the_newest_version_comes_first() {
        let folder = Folder::new("cache_find").unwrap();
        for version in ["9.6", "15", "16"] {
            fs::create_dir_all(folder.path().join("pg").join(version).join("bin")).unwrap();
        }
        let root = folder.path().join("pg");
        let found = expand(&format!("{}/*/bin", root.display()));
        assert_eq!(found, ["16", "15", "9.6"].map(|version| root.join(version).join("bin")));
    }

    #[test]
    fn a_prefix_before_the_star_must_match() {
        let folder = Folder::new("cache_find").unwrap();
        for name in ["pgsql-9", "pgsql-17", "other-3"] {
            fs::create_dir_all(folder.path().join(name).join("bin")).unwrap();
        }
        let found = expand(&format!("{}/pgsql-*/bin", folder.path().display()));
        assert_eq!(found, ["pgsql-17", "pgsql-9"].map(|name| folder.path().join(name).join("bin")));
    }

    #[test]
    fn a_program_that_does_not_run_is_not_found() {
        let folder = Folder::new("cache_find").unwrap();
        let script = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        assert!(!answers(&script("broken", "#!/bin/sh\nexit 3\n")));
        assert!(answers(&script("working", "#!/bin/sh\nexit 0\n")));
        assert!(!answers(&folder.path().join("absent")));
    }
}
