//! `#[derive(Cacheable)]` and `#[derive(KeyPart)]`: what changes a fingerprint, what does not, and what keys read like.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cache_core::key::Namespace;
use cache_core::schema::fingerprint;
use cache_core::subject::Kind;
use cache_core::{Cache, Cacheable, KeyPart, MemoryStore, cached};
use cache_ui_tests::{Role, Slug, User, UserId};
use serde::{Deserialize, Serialize};

/// Each in a module of its own, so that only what is inside differs.
macro_rules! shapes {
    ($($module:ident { $($item:tt)* })*) => {$(
        mod $module {
            #[allow(unused_imports, reason = "not every shape needs all")]
            use super::*;
            #[derive(Clone, Serialize, Deserialize, Cacheable)]
            $($item)*
        }
    )*};
}

shapes! {
    plain { pub(super) struct Row { id: i64, name: String } }
    moved { pub(super) struct Row { id: i64, name: String } }
    renamed { pub(super) struct Renamed { id: i64, name: String } }
    documented { #[doc = "What it is."] pub(super) struct Row { #[doc = "Identity."] id: i64, name: String } }
    other_field { pub(super) struct Row { id: i64, title: String } }
    other_type { pub(super) struct Row { id: u64, name: String } }
    other_order { pub(super) struct Row { name: String, id: i64 } }
    one_more { pub(super) struct Row { id: i64, name: String, more: u8 } }
    unnamed { pub(super) struct Row(i64, String); }
    container_attribute { #[serde(rename_all = "camelCase")] pub(super) struct Row { id: i64, name: String } }
    field_attribute { pub(super) struct Row { id: i64, #[serde(rename = "n")] name: String } }
    versioned { #[cacheable(version = 2)] pub(super) struct Row { id: i64, name: String } }
    field_version { pub(super) struct Row { id: i64, #[cacheable(version = 2)] name: String } }
    next_field_version { pub(super) struct Row { id: i64, #[cacheable(version = 3)] name: String } }
    unit { pub(super) struct Row; }
    nothing { pub(super) struct Row {} }
    one_of { pub(super) enum Row { A, B(i64), C { id: i64 } } }
    one_of_others { pub(super) enum Row { A, B(i64), D { id: i64 } } }
    reordered { pub(super) enum Row { B(i64), A, C { id: i64 } } }
    of_row { pub(super) struct Row { row: plain::Row } }
    of_other { pub(super) struct Row { row: other_field::Row } }
}

#[test]
fn the_modules_of_types_and_docs_are_no_part_of_a_shape() {
    let plain = fingerprint::<plain::Row>();
    assert_eq!(plain, fingerprint::<moved::Row>());
    assert_eq!(plain, fingerprint::<documented::Row>());
}

#[test]
fn every_change_of_a_shape_changes_the_fingerprint() {
    let prints = [
        fingerprint::<plain::Row>(),
        fingerprint::<renamed::Renamed>(),
        fingerprint::<other_field::Row>(),
        fingerprint::<other_type::Row>(),
        fingerprint::<other_order::Row>(),
        fingerprint::<one_more::Row>(),
        fingerprint::<unnamed::Row>(),
        fingerprint::<container_attribute::Row>(),
        fingerprint::<field_attribute::Row>(),
        fingerprint::<versioned::Row>(),
        fingerprint::<field_version::Row>(),
        fingerprint::<next_field_version::Row>(),
        fingerprint::<unit::Row>(),
        fingerprint::<nothing::Row>(),
        fingerprint::<one_of::Row>(),
        fingerprint::<one_of_others::Row>(),
        fingerprint::<reordered::Row>(),
        fingerprint::<of_row::Row>(),
        fingerprint::<of_other::Row>(),
    ];
    let distinct: std::collections::BTreeSet<_> = prints.iter().collect();
    assert_eq!(distinct.len(), prints.len());
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Cacheable)]
struct Page<T, const N: usize = 3>
where
    T: Clone,
{
    items: Vec<T>,
    next: Option<Box<Page<T, N>>>,
    by_name: BTreeMap<String, Arc<T>>,
}

#[derive(Serialize, Deserialize, Cacheable)]
struct Tree {
    left: Option<Box<Tree>>,
    forest: HashMap<String, Forest>,
    r#type: u8,
}

#[derive(Serialize, Deserialize, Cacheable)]
enum Forest {
    Empty,
    Trees(Vec<Tree>),
}

/// A type without a schema.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Foreign {
    seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Cacheable)]
struct Holds {
    #[cacheable(version = 1)]
    foreign: Foreign,
    #[serde(skip)]
    #[cacheable(lossy)]
    never_stored: Foreign,
}

/// What the derive accepts without `lossy`: each field comes back as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Cacheable)]
struct Sparse {
    #[serde(skip_serializing_if = "String::is_empty", default)]
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Cacheable)]
struct Account {
    id: i64,
    #[serde(skip_serializing, default)]
    #[cacheable(lossy)]
    hash: String,
}

#[cached(key = "sparse:<id>", ttl = "1h")]
async fn sparse(cache: &Cache, id: i64) -> Sparse {
    if id == 0 { Sparse::default() } else { Sparse { text: id.to_string(), number: Some(id) } }
}

#[cached(key = "account:<id>", ttl = "1h")]
async fn account(cache: &Cache, id: i64) -> Account {
    Account { id, hash: "secret".into() }
}

#[tokio::test]
async fn what_is_left_out_of_an_entry_comes_back_unless_the_field_is_lossy() {
    let cache = Cache::builder("ui").store(MemoryStore::default()).build().expect("a store and a good name");
    for id in [0, 7] {
        let loaded = sparse(&cache, id).await;
        assert_eq!(sparse(&cache, id).await, loaded);
    }
    assert_eq!(cache.stats().of("sparse:<id>").loads, 2);
    assert_eq!(account(&cache, 1).await.hash, "secret");
    assert_eq!(account(&cache, 1).await, Account { id: 1, hash: String::new() });
}

fn is_cacheable<T: Cacheable>() {}

#[test]
fn generic_and_cyclic_types_have_fingerprints() {
    is_cacheable::<Page<User>>();
    is_cacheable::<Holds>();
    assert_ne!(fingerprint::<Page<i64>>(), fingerprint::<Page<u64>>());
    assert_ne!(fingerprint::<Tree>(), fingerprint::<Forest>());
}

fn key(write: impl FnOnce(&mut cache_core::key::Text)) -> String {
    Namespace::new("ns").expect("a good name").subject(Kind::Entity, write).name().to_owned()
}

#[derive(KeyPart)]
struct Place {
    shelf: u8,
    slot: Option<Slug>,
}

#[derive(KeyPart)]
struct Range<T>(T, T);

#[derive(KeyPart)]
struct Borrowed<'a> {
    name: &'a str,
}

#[derive(KeyPart)]
struct Everything;

#[test]
fn parts_write_what_they_are_made_of() {
    let text = |part: &dyn Fn(&mut cache_core::key::Text)| key(part);
    assert_eq!(text(&|t| t.part(&UserId(7))), "ns:7");
    assert_eq!(text(&|t| t.part(&Slug("a:b".into()))), "ns:a%3ab");
    assert_eq!(text(&|t| t.part(&Role::Author)), "ns:Author");
    assert_eq!(text(&|t| t.part(&Place { shelf: 1, slot: None })), "ns:(1,%-)");
    assert_eq!(text(&|t| t.part(&Range(UserId(1), UserId(2)))), "ns:(1,2)");
    assert_eq!(text(&|t| t.part(&Borrowed { name: "x" })), "ns:x");
    assert_eq!(text(&|t| t.part(&Everything)), "ns:()");
}

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(key = "post:<org>:<slug>:<r#type>:<org>")]
struct Post {
    org: i64,
    slug: String,
    r#type: UserIdText,
}

#[derive(Serialize, Deserialize, Cacheable, KeyPart)]
struct UserIdText(Box<str>);

#[test]
fn a_typed_key_takes_its_fields_by_value_or_by_reference() {
    let expected = "ns:post:3:x%3ay:z:3";
    let (slug, kind) = (String::from("x:y"), UserIdText("z".into()));
    assert_eq!(key(Post::key(3, "x:y", &kind)), expected);
    assert_eq!(key(Post::key(&3, &slug, &kind)), expected);
    assert_eq!(key(Post::key(&&3, slug, kind)), expected);
    assert_eq!(<Post as cache_core::__private::Keyed>::TEMPLATE, "post:<org>:<slug>:<r#type>:<org>");
    assert_eq!(key(User::key(42)), "ns:user:42");
}
