//! One call of the application from its first poll to its return, with what it saw written into the facts. Refuses to judge.

use std::collections::HashMap;

use cache_core::scope::OpenScope;

use crate::app::{App, Row, Story, seen};
use crate::check::{Clear, Read};
use crate::client::{Failure, SimTx};
use crate::database::Version;
use crate::plan::{Call, Savepoint};
use crate::variety::Function;
use crate::world::OpId;

/// Makes a call; `at_rest` says that the system is quiet.
pub async fn make(app: App, op: OpId, call: Call, at_rest: bool) {
    let world = app.db.world.clone();
    let process = app.db.process;
    let begin = {
        let mut state = world.lock();
        state.say(|state| format!("{}: calls {call:?}", state.who(process, Some(op))));
        if matches!(call, Call::Behind(_) | Call::Restore(_)) {
            state.facts.writes.entry(op).or_default().is_uncovered = true;
        }
        state.mark_time()
    };
    if call.is_read() {
        let result = read(&app, &call).await;
        let mut state = world.lock();
        let end = state.mark_time();
        match result {
            Ok(seen) => {
                state.say(|state| format!("{}: returns {}", state.who(process, Some(op)), versions(&seen)));
                let count = if at_rest { &mut state.counts.rest_reads } else { &mut state.counts.reads };
                *count += 1;
                state.counts.batch_reads += u64::from(matches!(call, Call::Rows(_) | Call::Many(_)));
                let ran = state.choice.zip(Function::of(&call));
                state.called.extend(ran);
                state.facts.reads.push(Read { op, begin, end, seen, at_rest });
            }
            Err(error) => state.say(|state| format!("{}: fails, {error}", state.who(process, Some(op)))),
        }
        return;
    }
    let result = write(&app, &call).await;
    let mut state = world.lock();
    let end = state.mark_time();
    match result {
        Ok(()) => {
            state.counts.writes += 1;
            state.say(|state| format!("{}: returns Ok", state.who(process, Some(op))));
            state.facts.writes.entry(op).or_default().returned = Some(end);
            state.ripe = Some(process);
        }
        Err(error) => {
            state.counts.failed_writes += 1;
            state.say(|state| format!("{}: fails, {error}", state.who(process, Some(op))));
            // A body that failed leaves its fence to whoever can tell how it ended: nobody will clear it.
            if matches!((call, error), (Call::Alone(_), Failure::Sql(_))) {
                state.facts.writes.entry(op).or_default().forsaken = true;
            }
        }
    }
}

fn versions(seen: &[(usize, Version)]) -> String {
    let one = |(row, version): &(usize, Version)| format!("row {row} v{version}");
    seen.iter().map(one).collect::<Vec<_>>().join(", ")
}

async fn read(app: &App, call: &Call) -> Result<Vec<(usize, Version)>, Failure> {
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
        Call::Card(id) => app.card(id).await?.seen(),
        Call::Page(id) => app.page(id).await?.seen(),
        _ => Vec::new(),
    })
}

fn all(ids: &[usize], rows: &HashMap<usize, Row>) -> Vec<(usize, Version)> {
    ids.iter().map(|id| seen(*id, rows.get(id))).collect()
}

async fn write(app: &App, call: &Call) -> Result<(), Failure> {
    match call {
        Call::Bump { rows, savepoint } => bump(app, rows, *savepoint).await,
        Call::Revise(id) => app.revise(*id).await,
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
