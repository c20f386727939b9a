use super::*;

fn name(write: impl FnOnce(&mut Text)) -> String {
    Namespace::new("shop").unwrap().subject(Kind::Entity, write).name().to_owned()
}

fn pair(a: impl KeyPart, b: impl KeyPart) -> String {
    name(|t| {
        t.literal("x:");
        t.part(&a);
        t.literal(":");
        t.part(&b);
    })
}

#[test]
fn a_plain_key_reads_as_written() {
    let user = name(|t| {
        t.literal("user:");
        t.part(&42_i64);
    });
    assert_eq!(user, "shop:user:42");
    assert_eq!(pair("ada", true), "shop:x:ada:true");
}

#[test]
fn a_separator_in_an_argument_is_escaped() {
    assert_eq!(pair("1:2", "3"), "shop:x:1%3a2:3");
    assert_ne!(pair("1:2", "3"), pair("1", "2:3"));
    assert_ne!(pair("1%3a2", "3"), pair("1:2", "3"));
}

#[test]
fn what_stores_and_terminals_would_read_is_escaped() {
    let odd = name(|t| t.part("a{b}c|d~e#f\n g\u{85}<h>"));
    assert!(
        !odd["shop:".len()..].contains(['{', '}', '|', '~', '#', '\n', ' ', '\u{85}', '<', '>']),
        "{odd}"
    );
}

#[test]
fn options_sequences_and_tuples_do_not_meet() {
    let texts = [
        pair(None::<&str>, ""),
        pair(Some("-"), ""),
        pair(Some(""), ""),
        pair(Some(None::<&str>), ""),
        pair(Some(Some(None::<&str>)), ""),
        pair(vec!["a", "b"], ""),
        pair(vec!["a,b"], ""),
        pair(vec![vec!["a"], vec!["b"]], ""),
        pair(vec![vec!["a", "b"]], ""),
        pair(("a", "b"), ""),
        pair(Vec::<&str>::new(), ""),
        pair(vec![""], ""),
    ];
    let distinct: std::collections::HashSet<_> = texts.iter().collect();
    assert_eq!(distinct.len(), texts.len(), "{texts:?}");
}

#[test]
fn a_long_name_ends_in_a_digest_and_keeps_the_whole() {
    let ns = Namespace::new("shop").unwrap();
    let long = |end: &str| ns.subject(Kind::Entity, |t| t.part(&("ä".repeat(300) + end)));
    let (a, b) = (long("1"), long("2"));
    assert!(a.name().len() <= LONGEST);
    assert_ne!(a.name(), b.name());
    assert_eq!(a.full().map(str::len), Some("shop:".len() + 601));
    assert_eq!(a.name().split('~').nth(1).map(str::len), Some(32));
}

#[test]
fn a_tag_and_a_thing_of_one_name_differ() {
    let ns = Namespace::new("shop").unwrap();
    let of = |kind| ns.subject(kind, |t| t.literal("users")).name().to_owned();
    assert_eq!((of(Kind::Entity), of(Kind::Tag)), ("shop:users".into(), "shop#users".into()));
}

#[test]
fn a_bad_namespace_says_what_is_allowed() {
    for bad in ["", "Shop", "a:b", "a#b", "{x}", &"x".repeat(33)] {
        let error = Namespace::new(bad).unwrap_err();
        assert!(error.contains("1 to 32"), "{error}");
    }
}
