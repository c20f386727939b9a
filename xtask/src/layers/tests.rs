//! The check, tried on planted sources.

use super::*;

fn source(file: &str, text: &str) -> Source {
    Source { path: Path::new("src").join(file), module: module_of(Path::new(file)), text: text.to_owned() }
}

fn faults(file: &str, text: &str) -> Vec<String> {
    check(&[source(file, text)]).faults
}

/// The paths a file names, joined, with their lines.
fn imports(module: &str, text: &str) -> Vec<String> {
    let module: Vec<String> = module.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let scan = paths::scan(&module, text);
    scan.imports.iter().map(|import| format!("{}@{}", import.path.join("::"), import.line)).collect()
}

#[test]
fn a_downward_import_passes() {
    let report =
        check(&[source("engine/read.rs", "use crate::{flight::Flight, key::Key};\nuse super::batch;")]);
    assert_eq!((report.faults, report.modules, report.imports), (vec![], 1, 3));
}

#[test]
fn an_upward_import_is_reported_with_its_file_and_line() {
    assert_eq!(
        faults("key.rs", "//! Keys.\n\nuse crate::engine::read;\n"),
        [
            "src/key.rs:3: `key` (layer 1, vocabulary) may not import `engine` (layer 5, engine): a module imports lower layers \
             and those named before it in its own (xtask/src/layers/table.rs), and only lib.rs names a store"
        ]
    );
}

#[test]
fn a_line_with_one_mistake_is_reported_once() {
    assert_eq!(faults("key.rs", "use crate::cache::{Cache, Mode};").len(), 1);
    assert_eq!(faults("key.rs", "use crate::cache::Cache;\nuse crate::cache::Mode;").len(), 2);
}

#[test]
fn mechanisms_may_not_import_each_other() {
    assert_eq!(faults("l1/mod.rs", "fn f() { crate::flight::join() }").len(), 1);
    assert_eq!(faults("l1/map.rs", "use super::super::flight;").len(), 1);
    assert_eq!(faults("l1/map.rs", "use super::slot;").len(), 0);
}

#[test]
fn vocabulary_and_surface_import_only_what_is_named_before_them() {
    assert!(faults("key.rs", "use crate::subject::Subject;").is_empty());
    assert_eq!(faults("subject.rs", "use crate::key::Text;").len(), 1);
    assert!(faults("testkit/assert.rs", "use crate::cache::Cache;").is_empty());
    assert_eq!(faults("cache.rs", "use crate::testkit::Rule;").len(), 1);
}

#[test]
fn a_store_imports_seams_and_below_and_no_other_store() {
    assert!(faults("backend/redis/mod.rs", "use crate::{store::Store, key::Key, time::Clock};").is_empty());
    assert!(
        faults("backend/redis/mod.rs", "use self::script::Script; use super::redis::script::Other;")
            .is_empty()
    );
    assert_eq!(faults("backend/redis/mod.rs", "use crate::flight::Flight;").len(), 1);
    assert_eq!(faults("backend/redis/mod.rs", "use super::memory::MemoryStore;").len(), 1);
    assert_eq!(faults("backend/redis/script.rs", "use crate::backend::memory;").len(), 1);
    assert_eq!(faults("cache.rs", "use crate::backend::memory::MemoryStore;").len(), 1);
}

#[test]
fn a_module_without_a_layer_must_be_added_to_the_table() {
    let found = faults("gadget.rs", "use crate::key::Key;");
    assert_eq!(
        found,
        ["src/gadget.rs: module `gadget` has no layer; add it to the table in xtask/src/layers/table.rs"]
    );
    assert_eq!(faults("engine/read.rs", "use crate::Gadget;").len(), 1);
    assert_eq!(faults("engine/read.rs", "use crate::*;").len(), 1);
    assert_eq!(faults("engine/read.rs", "fn f() { crate::gadget!() }").len(), 0);
}

#[test]
fn the_root_may_name_everything() {
    assert!(
        faults("lib.rs", "pub use crate::backend::memory::MemoryStore; mod gadget { use crate::x; }")
            .is_empty()
    );
}

#[test]
fn what_only_tests_compile_is_free() {
    for text in [
        "#[cfg(test)]\nmod tests { use crate::cache::Cache; }",
        "#[cfg(test)] use crate::{cache::Cache, builder};",
        "#[cfg(test)] #[derive(Debug)] pub(crate) struct S<A, B>(crate::cache::Cache, A, B);",
        "#[cfg(test)] fn f<A, B>(x: [u8; 3]) -> crate::cache::Cache { crate::builder::build() }",
        "#[cfg(all(test, feature = \"redis\"))] mod tests { use crate::cache::Cache; }",
        "struct S { #[cfg(test)] spy: crate::cache::Cache, real: u8 }",
        "#![cfg(test)] use crate::cache::Cache;",
    ] {
        assert_eq!(faults("key.rs", text), [""; 0], "{text}");
        assert_eq!(
            faults("key.rs", &format!("{text} use crate::cache::Cache;")).len()
                + usize::from(text.starts_with("#!")),
            1,
            "{text}"
        );
    }
    let apart = [
        source("key/mod.rs", "#[cfg(test)]\nmod tests;"),
        source("key/tests.rs", "use crate::cache::Cache;"),
    ];
    assert!(check(&apart).faults.is_empty());
}

#[test]
fn other_conditions_do_not_free_anything() {
    for condition in ["any(test, feature = \"testkit\")", "not(test)", "feature = \"test\""] {
        assert_eq!(
            faults("key.rs", &format!("#[cfg({condition})] use crate::cache::Cache;")).len(),
            1,
            "{condition}"
        );
    }
}

#[test]
fn use_trees_are_followed_to_their_leaves() {
    assert_eq!(
        imports(
            "engine::read",
            "use crate::{\n  a::{B, c::{self, D as E}},\n  f as g, h::*,\n};\nuse super::x;"
        ),
        ["a::B@2", "a::c@2", "a::c::D@2", "f@3", "h@3", "engine::x@5"]
    );
}

#[test]
fn modules_within_a_file_shift_what_super_means() {
    let text = "mod inner { use super::a; mod deep { use super::super::b; } } use super::c; use self::d::e;";
    assert_eq!(imports("l1::map", text), ["l1::map::a@1", "l1::map::b@1", "l1::c@1", "l1::map::d::e@1"]);
}

#[test]
fn paths_in_code_count_and_visibilities_and_comments_do_not() {
    let text = "pub(in crate::engine) fn f() -> crate::key::Key<u8> { crate::key::Key::<u8>::new() } // crate::cache";
    assert_eq!(imports("engine::read", text), ["key::Key@1", "key::Key@1"]);
    assert_eq!(imports("engine", "/// [`crate::cache::Cache`]\nconst S: &str = \"crate::cache\";"), [""; 0]);
    assert_eq!(imports("engine", "for x in crate::key::all() {}"), ["key::all@1"]);
}
