//! What a recording comes to.

use super::*;
use crate::key::Namespace;

fn recording() -> Recording {
    Recording::new(Namespace::new("t").unwrap()).with_bulk_limit(3)
}

fn row(recording: &Recording, tag: &Subject, id: u32) {
    recording.touch_row(tag, |text| {
        text.literal("row:");
        text.part(&id);
    });
}

fn touch(recording: &Recording, name: &'static str) -> Subject {
    recording.touch(Kind::Entity, |text| text.literal(name))
}

fn rows_tag(recording: &Recording) -> Subject {
    recording.bulk(|text| text.literal("rows"))
}

fn finished(recording: &Recording) -> Vec<String> {
    recording.finish().unwrap().subjects.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_named_twice_is_marked_once_in_the_order_it_was_named() {
    let recording = recording();
    for name in ["b", "a", "b", "c", "a"] {
        touch(&recording, name);
    }
    assert_eq!(finished(&recording), ["t:b", "t:a", "t:c"]);
    assert!(recording.is_empty());
}

#[test]
fn up_to_the_limit_rows_are_marked_one_by_one_and_past_it_their_tag() {
    for (rows, marked) in [(3, &["t:row:1", "t:row:2", "t:row:3"][..]), (4, &["t#rows"]), (9, &["t#rows"])] {
        let recording = recording();
        let tag = rows_tag(&recording);
        // Named again, a row counts once.
        (1..=rows).chain(1..=2).for_each(|id| row(&recording, &tag, id));
        assert_eq!(finished(&recording), marked, "{rows} rows");
    }
}

#[test]
fn the_limit_is_for_all_of_a_transaction_and_for_each_tag() {
    let recording = recording();
    let [few, many] = ["few", "many"].map(|name| recording.bulk(|text| text.literal(name)));
    for id in 1..=2 {
        row(&recording, &few, id);
        row(&recording.for_body(), &many, 10 + id);
        row(&recording, &many, 20 + id);
    }
    touch(&recording, "row:11");
    assert_eq!(
        finished(&recording),
        ["t:row:11", "t:row:1", "t:row:2", "t#many"],
        "named for itself, it is marked"
    );
}

static READ: ReadSite = ReadSite::new(
    Location { function: "f", file: "f.rs", line: 1 },
    "row:<id>",
    "u64",
    crate::policy::Overrides::NONE,
);

fn put(body: &Recording, subject: &Subject, value: &'static str) {
    body.put(EntryKey { subject: subject.clone(), field: 1 }, Bytes::from_static(value.as_bytes()), 0, &READ);
}

fn offered(recording: &Recording) -> Vec<Bytes> {
    recording.finish().unwrap().puts.into_iter().map(|put| put.payload).collect()
}

#[test]
fn a_value_that_is_offered_again_replaces_the_one_before() {
    let (recording, body) = (recording(), recording().for_body());
    let a = touch(&recording, "a");
    recording.used();
    put(&recording, &a, "one");
    put(&recording, &a, "two");
    assert_eq!(offered(&recording), ["two"]);
    // Offered by a body that used the connection otherwise, the key has no value any more.
    drop(body);
    recording.used();
    let body = recording.for_body();
    recording.used();
    put(&body, &a, "three");
    recording.used();
    put(&body, &a, "four");
    assert!(offered(&recording).is_empty());
}

#[tokio::test]
async fn in_the_body_of_a_write_around_nothing_is_offered_and_what_was_is_withdrawn() {
    for is_around in [false, true] {
        let recording = recording();
        let [a, b] = ["a", "b"].map(|name| touch(&recording, name));
        recording.used();
        put(&recording, &a, "one");
        let body = async {
            put(&recording, &a, "two");
            put(&recording, &b, "two");
        };
        if is_around {
            mode::around(body).await
        } else {
            body.await
        }
        assert_eq!(offered(&recording).len(), if is_around { 0 } else { 2 });
        put(&recording, &b, "after");
    }
}

static UNFINISHED: WriteSite = WriteSite {
    at: Location { function: "unfinished", file: "f.rs", line: 2 },
    keys: &["row:<return>"],
    tags: &[],
    coverage: crate::site::Coverage::Within,
    on_unfenced: None,
};

/// Three savepoints deep: the innermost owes its subjects and is released; the others end as they are told.
fn owing(middle: bool, outer: bool) -> Result<Writes, Uncovered> {
    let recording = recording();
    let end = |savepoint, released| match released {
        true => recording.release(savepoint),
        false => recording.roll_back(savepoint),
    };
    let one = recording.savepoint();
    touch(&recording, "one");
    let two = recording.savepoint();
    touch(&recording, "two");
    let three = recording.savepoint();
    touch(&recording, "three");
    drop(recording.expect(&UNFINISHED));
    end(three, true);
    end(two, middle);
    end(one, outer);
    recording.finish()
}

#[test]
fn what_a_savepoint_owes_passes_to_its_parents_until_one_is_rolled_back() {
    for (middle, outer) in [(true, true), (true, false), (false, true), (false, false)] {
        let finished = owing(middle, outer);
        assert_eq!(finished.is_err(), middle && outer, "released: {middle}, {outer}");
        if let Ok(writes) = finished {
            assert_eq!(writes.subjects.len(), 3, "subjects stay whatever is rolled back");
        }
    }
}

#[tokio::test]
async fn what_a_cover_fences_is_not_marked_again_while_it_stands() {
    let whole = recording();
    let (a, rows) = (touch(&whole, "a"), rows_tag(&whole));
    let cover = Cover::new(&[a, rows.clone()]);
    let under = || {
        let recording = recording().under(&cover);
        touch(&recording, "b");
        row(&recording, &rows, 1);
        recording
    };
    let recording = under();
    let held = recording.hold_cover().await;
    let subjects = recording.finish_under(held.as_ref()).unwrap().subjects;
    assert_eq!(subjects.iter().map(ToString::to_string).collect::<Vec<_>>(), ["t:b"]);

    let closing = tokio::spawn({
        let cover = cover.clone();
        async move { cover.close().await }
    });
    tokio::task::yield_now().await;
    assert!(!closing.is_finished(), "somebody commits under it");
    drop(held);
    closing.await.unwrap();

    let recording = under();
    let held = recording.hold_cover().await;
    assert!(held.is_none());
    let mut subjects: Vec<_> =
        recording.finish_under(held.as_ref()).unwrap().subjects.iter().map(ToString::to_string).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["t#rows", "t:a", "t:b", "t:row:1"], "all of it, for itself");
}
