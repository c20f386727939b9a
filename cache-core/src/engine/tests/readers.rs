//! Loaders that are registered once: the same entries, flights and leases as an attribute's.

use super::*;
use crate::{BuildError, Reader, peek, refresh};

type Rows = Reader<(i32,), Option<u64>>;

/// A reader of the row that `find` reads.
fn rows(a: &Instance) -> Rows {
    let row = a.world.row.clone();
    let load = move |_: i32| {
        let row = row.clone();
        async move { Some(row.load(Ordering::SeqCst)) }
    };
    a.cache.reader("row:<id>", HOUR, load).unwrap()
}

#[tokio::test]
async fn a_reader_and_an_attribute_with_one_template_and_type_share_their_entries() {
    let world = World::new();
    let a = world.instance();
    let rows = rows(&a);
    assert_eq!((rows.get(7).await, a.find().await, rows.get((7,)).await), (Some(1), Some(1), Some(1)));
    assert_eq!((a.cache.stats().of("row:<id>").loads, a.cache.stats().of("row:<x>").hits), (1, 2));
    assert_eq!(rows.get(8).await, Some(1), "another key");
    assert_eq!(a.cache.stats().total().loads, 2);
    world.instance().write(2).await.unwrap();
    assert_eq!(rows.get(7).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_cold_callers_of_a_reader_make_one_load() {
    let world = World::new();
    let a = world.instance();
    let rows = rows(&a);
    let fill = world.store.hold(crate::testkit::Command::Fill);
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let rows = rows.clone();
            tokio::spawn(async move { rows.get(7).await })
        })
        .collect();
    fill.reached().await;
    a.missed(1000).await;
    fill.release();
    for caller in callers {
        assert_eq!(promptly(caller).await.unwrap(), Some(1));
    }
    assert_eq!(a.cache.stats().total().loads, 1);
}

#[tokio::test]
async fn a_write_during_a_reader_s_load_refuses_its_fill() {
    let world = World::new();
    let a = world.instance();
    let (writer, row) = (world.instance(), world.row.clone());
    let slow = a.cache.reader("row:<id>", HOUR, move |_: i32| {
        let (writer, row) = (writer.clone(), row.clone());
        async move {
            let seen = row.load(Ordering::SeqCst);
            if seen == 1 {
                writer.write(2).await.unwrap();
            }
            Some(seen)
        }
    });
    let slow = slow.unwrap();
    assert_eq!((slow.get(7).await, slow.get(7).await), (Some(1), Some(2)));
    assert_eq!(a.cache.stats().total().fills_refused, 1);
}

#[tokio::test]
async fn errors_are_the_loader_s_own_and_calls_may_ask_for_more() {
    let a = World::new().instance();
    let runs = Arc::new(AtomicU64::new(0));
    let load = {
        let runs = runs.clone();
        move |org: i64, page: &'static str| {
            let run = runs.fetch_add(1, Ordering::SeqCst);
            async move { if run == 0 { Err("down") } else { Ok(format!("{org}/{page}/{run}")) } }
        }
    };
    let pages = a.cache.reader("page:<org>:<page>", HOUR, load).unwrap();
    assert_eq!(pages.get((1, "x")).await, Err("down"));
    assert!(peek(pages.get((1, "x"))).await.is_none());
    assert_eq!(pages.get((1, "x")).await, Ok("1/x/1".into()));
    assert_eq!(refresh(pages.get((1, "x"))).await, Ok("1/x/2".into()));
    assert_eq!(peek(pages.get((1, "x"))).await.unwrap().value, Ok("1/x/2".into()));
    assert_eq!(pages.get((11, "x")).await, Ok("11/x/3".into()));
}

#[tokio::test]
async fn a_reader_s_stale_value_is_loaded_anew_in_the_background() {
    let world = World::new();
    let a = world.instance();
    let row = world.row.clone();
    let terms = Overrides { stale_while_revalidate: Some(HOUR), ..Overrides::ttl(HOUR) };
    let rows = a
        .cache
        .reader("later:<id>", terms, move |_: i32| {
            let row = row.clone();
            async move { row.load(Ordering::SeqCst) }
        })
        .unwrap();
    assert_eq!(rows.get(1).await, 1);
    world.clock.advance(HOUR);
    a.commit(2);
    assert_eq!(rows.get(1).await, 1, "served, and loaded meanwhile");
    until(|| a.cache.stats().total().fills == 2).await;
    assert_eq!(rows.get(1).await, 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_reader_is_said_in_one_line_with_its_place() {
    let a = World::new().instance();
    let said = |result: Result<Reader<(i64,), u64>, BuildError>| {
        let error = result.unwrap_err();
        assert_eq!(error.mistakes().len(), 1, "{error}");
        let line = error.to_string();
        assert!(line.contains("readers.rs:"), "{line}");
        line
    };
    let load = |_: i64| async { 1_u64 };
    assert!(said(a.cache.reader("user:<id", HOUR, load)).contains("`<` is not closed in the key `user:<id`"));
    assert!(
        said(a.cache.reader("user:<a>:<b>", HOUR, load))
            .contains("2 placeholders and the loader takes 1 arguments")
    );
    assert!(
        said(a.cache.reader("user:<id>", "sesion", load))
            .contains("there is no profile `sesion`; did you mean `session`?")
    );
    assert!(said(a.cache.reader("user:<id>", Overrides::NONE, load)).contains("there is no lifetime"));
    assert!(said(a.cache.reader("user:<id>", Duration::ZERO, load)).contains("`ttl` has to be from 1 ms"));
    a.cache.reader("taken:<id>", HOUR, |_: i64| async { Some(String::new()) }).unwrap();
    let taken = said(a.cache.reader("taken:<other>", "session", load));
    for part in ["`taken:<other>` is read as `u64` here and as `String` by reader", "`taken:<other>:u64`"] {
        assert!(taken.contains(part), "{part} in {taken}");
    }
}

#[tokio::test]
async fn profiles_of_readers_are_checked_when_they_change() {
    use crate::policy::Profiles;
    let a = World::new().instance();
    let sessions = a.cache.reader("sessions:<id>", "session", |_: i64| async { 1_u64 }).unwrap();
    assert_eq!(sessions.get(1).await, 1);
    let late = Overrides { hard_timeout: Some(HOUR), ..Overrides::ttl(HOUR) };
    let error = a.cache.set_profiles(Profiles::default().with("session", late)).unwrap_err().to_string();
    assert!(error.contains("readers.rs:") && error.contains("`hard_timeout`"), "{error}");
}
