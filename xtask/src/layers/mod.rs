//! Checks who imports whom in cache-core: a module imports strictly lower layers. Reads tokens, not the compiler's mind:
//! it sees `crate::…`, `super::…` and `self::…` paths, which is every way to name another module of the crate.

mod paths;
mod table;
mod tokens;

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use self::{
    paths::Import,
    table::{Layer, layer_of, may_import},
};
use crate::sizes;

/// One source file of the crate.
struct Source {
    path: PathBuf,
    /// Its module, from the root; empty for `lib.rs`.
    module: Vec<String>,
    text: String,
}

/// What a check has found.
#[derive(Debug, Default)]
struct Report {
    faults: Vec<String>,
    modules: usize,
    imports: usize,
}

/// Checks the layers of cache-core and the length of every source file.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("cannot read the sources: {error}");
    let report = check(&sources(root, Path::new("cache-core/src")).map_err(unreadable)?);
    let lengths = sizes::measured(root).map_err(unreadable)?;
    let mut faults = report.faults;
    faults.extend(sizes::faults(&lengths));
    if !faults.is_empty() {
        for fault in &faults {
            eprintln!("{fault}");
        }
        return Err(format!("{} faults in layers or file lengths", faults.len()));
    }
    println!("layers: {} files of cache-core, {} imports, all downward", report.modules, report.imports);
    if let Some((lines, path)) = lengths.first() {
        println!("lengths: {} files, the longest {} with {lines} lines", lengths.len(), path.display());
    }
    Ok(())
}

fn sources(root: &Path, folder: &Path) -> io::Result<Vec<Source>> {
    let base = root.join(folder);
    sizes::rust_files(&base)?
        .into_iter()
        .map(|file| {
            let inside = file.strip_prefix(&base).expect("it was found there");
            let text = fs::read_to_string(&file)?;
            Ok(Source { path: folder.join(inside), module: module_of(inside), text })
        })
        .collect()
}

/// `engine/read.rs` is `engine::read`, `engine/mod.rs` is `engine`, `lib.rs` is the root.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> = file
        .with_extension("")
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    match module.last().map(String::as_str) {
        Some("mod") => drop(module.pop()),
        Some("lib") if module.len() == 1 => module.clear(),
        _ => {}
    }
    module
}

fn check(sources: &[Source]) -> Report {
    let scanned: Vec<_> = sources.iter().map(|source| paths::scan(&source.module, &source.text)).collect();
    let for_tests: Vec<&Vec<String>> = scanned.iter().flat_map(|scan| &scan.test_modules).collect();
    let mut report = Report::default();
    for (source, scan) in sources.iter().zip(&scanned) {
        let is_for_tests = for_tests.iter().any(|test| source.module.starts_with(test));
        let Some(top) = source.module.first().filter(|_| !is_for_tests) else { continue };
        report.modules += 1;
        let Some(layer) = layer_of(top) else {
            report.faults.push(format!(
                "{}: module `{top}` has no layer; add it to the table in xtask/src/layers/table.rs",
                source.path.display()
            ));
            continue;
        };
        for import in &scan.imports {
            report.imports += 1;
            if let Some(fault) = fault(&source.module, layer, import) {
                report.faults.push(format!("{}:{}: {fault}", source.path.display(), import.line));
            }
        }
    }
    // One line that takes several names from a module is one mistake.
    report.faults.dedup();
    report
}

/// What is wrong with an import, if anything is.
fn fault(module: &[String], layer: Layer, import: &Import) -> Option<String> {
    let own = &module[0];
    let Some(target) = import.path.first() else {
        return Some("a glob import of the crate's root hides what is imported; name the modules".to_owned());
    };
    if target == own {
        return sibling_store(module, layer, import);
    }
    let Some(target_layer) = layer_of(target) else {
        return (!import.is_macro).then(|| {
            format!(
                "`{target}` is no module with a layer: import it from its module, or add the module to the table in xtask/src/layers/table.rs"
            )
        });
    };
    (!may_import(own, target))
        .then(|| format!("`{own}` ({layer}) may not import `{target}` ({target_layer}): {}", layer.rule()))
}

/// The stores are built as if they were crates of their own.
fn sibling_store(module: &[String], layer: Layer, import: &Import) -> Option<String> {
    let (Layer::Store, Some(own), Some(other)) = (layer, module.get(1), import.path.get(1)) else {
        return None;
    };
    let is_module = other.starts_with(|first: char| first.is_ascii_lowercase());
    (own != other && is_module).then(|| format!("the store `{own}` may not import the store `{other}`"))
}
