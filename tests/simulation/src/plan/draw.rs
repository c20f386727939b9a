//! Which calls a seed's kind of work is made of. Refuses to say when they run.

use super::{Call, How, Savepoint, Shape};

/// A call of this kind of work over so many rows.
pub(super) fn call(rng: &mut fastrand::Rng, shape: Shape, rows: usize) -> Call {
    let row = rng.usize(..rows);
    let bump = |row| Call::Bump { rows: vec![row], savepoint: None };
    let dice = rng.u8(..10);
    match (shape, dice) {
        (Shape::Hot | Shape::Heirs | Shape::Lagging, 0..7) => Call::Row(row),
        (Shape::Hot | Shape::Heirs | Shape::Lagging, _) => bump(row),
        (Shape::Unfenced, 0..4) => Call::Card(row),
        (Shape::Unfenced, 4..7) => Call::Row(row),
        (Shape::Unfenced, _) => bump(row),
        (Shape::Tagged, 0..5) => Call::List,
        (Shape::Tagged, 5) => Call::Page(row),
        (Shape::Tagged, 6) => Call::Row(row),
        (Shape::Tagged, _) => bump(row),
        (Shape::Nested, 0..4) => Call::Card(row),
        (Shape::Nested, 4..6) => Call::Row(row),
        (Shape::Nested, 6) => Call::Page(row),
        (Shape::Nested, _) => bump(row),
        (Shape::Through, 0..5) => Call::Row(row),
        (Shape::Through, 5..8) => Call::Install(row),
        (Shape::Through, _) => bump(row),
        (Shape::Early, 0..7) => Call::Early(row),
        (Shape::Early, _) => bump(row),
        (Shape::Savepoints, 0..3) => Call::Row(row),
        (Shape::Savepoints, 3..5) => Call::List,
        (Shape::Savepoints, _) => {
            let savepoint = match rng.u8(..4) {
                0 => None,
                1 => Some(Savepoint::Released),
                _ => Some(Savepoint::RolledBack),
            };
            let mut all: Vec<_> = (0..rows).collect();
            all.truncate(rng.usize(1..=rows));
            Call::Bump { rows: all, savepoint }
        }
        (Shape::Alone, 0..6) => Call::Row(row),
        (Shape::Alone, 6..9) => Call::Alone(row),
        (Shape::Alone, _) => bump(row),
        (Shape::Batches, 0..3) => Call::Rows(some(rng, rows)),
        (Shape::Batches, 3..5) => Call::Many(some(rng, rows)),
        (Shape::Batches, 5..7) if rng.bool() => Call::Soon(row),
        (Shape::Batches, 5..7) => Call::Row(row),
        (Shape::Batches, _) => bump(row),
        (Shape::Told, 0..5) => Call::Story(row),
        (Shape::Told, 5) => Call::Stories,
        (Shape::Told, 6) => Call::Row(row),
        (Shape::Told, _) => Call::Revise(row),
        (Shape::Cleared, 0..4) => Call::Row(row),
        (Shape::Cleared, 4) => Call::Card(row),
        (Shape::Cleared, 5) => Call::List,
        (Shape::Cleared, 6) => Call::Behind(row),
        (Shape::Cleared, 7..9) => Call::Restore(row),
        (Shape::Cleared, _) if rng.bool() => Call::Install(row),
        (Shape::Circles, 0..4) => Call::Left(row),
        (Shape::Circles, 4..8) => Call::Right(row),
        (Shape::Circles, _) => Call::Swing(row),
        (Shape::Anew, 0..5) => Call::Asked(How::Refresh, Box::new(Call::Row(row))),
        (Shape::Anew, 5..8) => Call::Behind(row),
        (Shape::Anew, 8) => Call::Row(row),
        (Shape::Made, 0..3) => Call::Badge(row),
        (Shape::Made, 3..6) => {
            let read = match rng.u8(..8) {
                0..4 => Call::Row(row),
                4 => Call::Soon(row),
                5 => Call::List,
                6 => Call::Rows(some(rng, rows)),
                _ => Call::Many(some(rng, rows)),
            };
            Call::Asked(How::Bounded, Box::new(read))
        }
        (Shape::Made, 6) => Call::Row(row),
        (Shape::Made, _) => Call::Pin(row),
        (Shape::Failing, 0..6) => Call::Soon(row),
        (Shape::Failing, 6) => Call::Row(row),
        (Shape::Mixed, 0) => Call::Row(row),
        (Shape::Mixed, 1) => Call::Early(row),
        (Shape::Mixed, 2) => Call::List,
        (Shape::Mixed, 3) => Call::Card(row),
        (Shape::Mixed, 4) => Call::Page(row),
        (Shape::Mixed, 5) => Call::Install(row),
        (Shape::Mixed, 6) => Call::Alone(row),
        (Shape::Mixed, 7) => Call::Soon(row),
        (Shape::Lapsing, 0..3) => Call::Row(row),
        (Shape::Lapsing, 3..5) => Call::Soon(row),
        (Shape::Lapsing, 5) => Call::List,
        (Shape::Lapsing, 6) => Call::Card(row),
        (Shape::Lapsing, 7) if rng.bool() => Call::Row(row),
        (Shape::Mixed | Shape::Lapsing | Shape::Failing | Shape::Cleared | Shape::Anew, _) => bump(row),
    }
}

/// What a read may ask for, each as often as it stands here.
const ASKED: [How; 6] = [How::Refresh, How::Refresh, How::Peek, How::Bypass, How::Bounded, How::Bounded];

/// A call of this kind of work that may ask for something.
pub(super) fn special(rng: &mut fastrand::Rng, shape: Shape, rows: usize) -> Call {
    let plain = call(rng, shape, rows);
    match rng.u8(..8) {
        0 => Call::Behind(rng.usize(..rows)),
        1 | 2 => request(rng, shape, rows),
        3..6 if plain.is_read() => {
            let how = ASKED[rng.usize(..ASKED.len())];
            Call::Asked(how, Box::new(plain))
        }
        _ => plain,
    }
}

/// Reads of one request, some of them twice, and perhaps a write between them.
fn request(rng: &mut fastrand::Rng, shape: Shape, rows: usize) -> Call {
    let drawn: Vec<_> = (0..4).map(|_| call(rng, shape, rows)).collect();
    let mut calls: Vec<_> = drawn.iter().filter(|call| call.is_read()).cloned().collect();
    calls.extend_from_within(..calls.len().min(2));
    let may_be_inside = |call: &&Call| {
        matches!(
            call,
            Call::Bump { savepoint: None, .. }
                | Call::Revise(_)
                | Call::Swing(_)
                | Call::Pin(_)
                | Call::Install(_)
        )
    };
    if let Some(write) = drawn.iter().find(may_be_inside) {
        calls.insert(rng.usize(..=calls.len()), write.clone());
    }
    Call::Request(calls)
}

/// Some keys in any order, perhaps one of them twice.
fn some(rng: &mut fastrand::Rng, rows: usize) -> Vec<usize> {
    let mut keys: Vec<_> = (0..rows).collect();
    rng.shuffle(&mut keys);
    keys.truncate(rng.usize(1..=rows));
    if rng.u8(..4) == 0 {
        keys.push(keys[0]);
    }
    keys
}
