//! What the compiler says where a type is wrong: our sentence, at the line after the mark `//~`, and nothing else. Its own
//! wording around it differs from release to release, so only the first line of each message is compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn cargo() -> PathBuf {
    std::env::var_os("CARGO").expect("cargo runs the tests").into()
}

/// The libraries that this package was just built with.
fn libraries() -> Vec<(String, PathBuf)> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let output = Command::new(cargo())
        .args([
            "test",
            "--no-run",
            "--test=derives",
            "--offline",
            "--quiet",
            "--message-format=json",
            "--manifest-path",
        ])
        .arg(manifest)
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let artifacts = String::from_utf8(output.stdout).expect("JSON");
    let mut found = Vec::new();
    for line in artifacts.lines() {
        let artifact: Value = serde_json::from_str(line).expect("JSON");
        let name = artifact["target"]["name"].as_str().unwrap_or_default().replace('-', "_");
        if ["cache_core", "cache_ui_tests", "serde"].contains(&name.as_str())
            && let Some(files) = artifact["filenames"].as_array()
        {
            let rlib = files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".rlib"));
            found.extend(rlib.map(|file| (name, PathBuf::from(file))));
        }
    }
    assert_eq!(found.len(), 3, "{found:?}");
    found
}

type Said = BTreeSet<(usize, String)>;

/// The errors in a file, by line.
fn errors(file: &Path, libraries: &[(String, PathBuf)], scratch: &Path) -> Said {
    let mut rustc = Command::new(cargo().with_file_name("rustc"));
    rustc.args([
        "--edition=2024",
        "--crate-type=bin",
        "--emit=metadata",
        "--error-format=json",
        "--cap-lints=allow",
    ]);
    rustc.arg("-o").arg(scratch.join("metadata"));
    for (name, path) in libraries {
        rustc.arg("--extern").arg(format!("{name}={}", path.display()));
        let folder = path.parent().expect("a file has a folder");
        let dependencies = if folder.ends_with("deps") { folder.to_owned() } else { folder.join("deps") };
        rustc.arg("-L").arg(format!("dependency={}", dependencies.display()));
    }
    let output = rustc.arg(file).output().expect("rustc starts");
    let messages = String::from_utf8(output.stderr).expect("JSON");
    let mut said = Said::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).expect("JSON");
        let spans = message["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
        if message["level"] == "error"
            && let Some(span) = spans.iter().find(|span| span["is_primary"] == true)
        {
            said.insert((line_of(span), message["message"].as_str().unwrap_or_default().to_owned()));
        }
    }
    said
}

fn line_of(span: &Value) -> usize {
    usize::try_from(span["line_start"].as_u64().unwrap_or(0)).unwrap_or(0)
}

/// `//~` marks speak of the next line without a mark.
fn expected(text: &str) -> Said {
    let (mut said, mut waiting) = (Said::new(), Vec::new());
    for (i, line) in text.lines().enumerate() {
        match line.trim().strip_prefix("//~ ") {
            Some(message) => waiting.push(message.to_owned()),
            None => said.extend(waiting.drain(..).map(|message| (i + 1, message))),
        }
    }
    said
}

#[test]
fn a_wrong_type_is_explained_where_it_stands() {
    let libraries = libraries();
    let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("types");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let expected = expected(&fs::read_to_string(&file).unwrap());
        assert!(!expected.is_empty(), "{} expects nothing", file.display());
        assert_eq!(errors(&file, &libraries, &scratch), expected, "{}", file.display());
    }
}
