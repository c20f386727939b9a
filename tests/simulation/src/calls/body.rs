//! What each call runs: the application's functions. Refuses to note anything but the clears that returned.

use std::collections::HashMap;

use cache_core::scope::OpenScope;

use super::Seen;
use crate::app::{App, Row, Story, seen};
use crate::check::Clear;
use crate::client::{Failure, SimTx};
use crate::plan::{Call, Savepoint};

/// So often two functions call each other.
const DEEP: u8 = 2;

/// Runs a read.
pub(super) async fn read(app: &App, call: &Call) -> Result<Seen, Failure> {
    Ok(match *call {
        Call::Row(id) => vec![seen(id, app.row(id).await?.as_ref())],
        Call::Soon(id) => vec![seen(id, app.soon(id).await?.as_ref())],
        Call::Early(id) => vec![seen(id, app.early(id).await?.as_ref())],
        Call::Rows(ref ids) => all(ids, &app.rows(ids).await?),
        Call::Many(ref ids) => all(ids, &app.many(ids).await?),
        Call::List => app.list().await?.iter().map(Row::seen).collect(),
        Call::Story(id) => match app.story(id).await? {
            Some(story) => story.seen().to_vec(),
            None => vec![(id, 0)],
        },
        Call::Stories => app.stories().await?.iter().flat_map(Story::seen).collect(),
        Call::Left(id) => app.left(id, DEEP).await?.seen,
        Call::Right(id) => app.right(id, DEEP).await?.seen,
        Call::Card(id) => app.card(id).await?.seen(),
        Call::Badge(id) => app.badge(id).await?.seen,
        Call::Page(id) => app.page(id).await?.seen(),
        _ => Vec::new(),
    })
}

fn all(ids: &[usize], rows: &HashMap<usize, Row>) -> Seen {
    ids.iter().map(|id| seen(*id, rows.get(id))).collect()
}

/// Runs a write.
pub(super) async fn write(app: &App, call: &Call) -> Result<(), Failure> {
    match call {
        Call::Bump { rows, savepoint } => bump(app, rows, *savepoint).await,
        Call::Revise(id) => app.revise(*id).await,
        Call::Swing(id) => app.swing(*id).await,
        Call::Pin(id) => app.pin(*id).await,
        Call::Install(id) => app.install(*id).await.map(drop),
        Call::Alone(id) => app.alone(*id).await,
        Call::Behind(id) => Ok(app.db.write_alone(*id).await.map(drop)?),
        Call::Restore(id) => restore(app, *id).await,
        _ => Ok(()),
    }
}

/// Changes a row behind the cache's back, and then clears the namespace.
async fn restore(app: &App, id: usize) -> Result<(), Failure> {
    app.db.write_alone(id).await?;
    let begin = app.db.world.lock().mark_time();
    app.cache.clear().await?;
    let mut state = app.db.world.lock();
    let end = state.mark_time();
    state.counts.clears += 1;
    state.facts.clears.push(Clear { begin, end });
    Ok(())
}

async fn bump(app: &App, rows: &[usize], savepoint: Option<Savepoint>) -> Result<(), Failure> {
    let mut tx = SimTx::open(&app.cache, &app.db).await?;
    app.bump(&mut tx, rows[0]).await?;
    // With one row, the savepoint writes it once more.
    let rest = if rows.len() == 1 && savepoint.is_some() { rows } else { &rows[1..] };
    let set = if savepoint.is_some() { Some(tx.savepoint().await?) } else { None };
    for row in rest {
        app.bump(&mut tx, *row).await?;
    }
    match (set, savepoint) {
        (Some(set), Some(Savepoint::RolledBack)) => tx.roll_back_to(set).await?,
        (Some(set), _) => tx.release(set).await?,
        (None, _) => {}
    }
    tx.commit().await
}
