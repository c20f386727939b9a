//! Who was told of a write, and whether they have heard. Refuses to take silence for an answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::{Value, cmd};

use super::message::{decimal, hex, unhex};
use crate::backend::redis::error::rejected;
use crate::backend::redis::link::Step;
use crate::backend::redis::nodes::Nodes;
use crate::backend::redis::script;
use crate::backend::redis::send::{Job, Reach};
use crate::bus::{Sharer, Sharers};
use crate::error::StoreError;
use crate::subject::{Kind, Subject};

/// Pauses between two looks at the board. The first look is sent with the clear, and by then most have answered.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(20);

/// What `tell` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend::redis) struct Told {
    is_whole: bool,
    life: u64,
    number: u64,
    /// Each with the leases he had asked for.
    members: Vec<(u64, u64)>,
}

/// Reads it; nothing where it is nothing.
pub(in crate::backend::redis) fn told(reply: &Value) -> Result<Told, StoreError> {
    let strange = || rejected("a script gave an answer that this version does not understand");
    let Value::Array(parts) = reply else { return Err(strange()) };
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let parts: Vec<_> = parts.iter().map(text).collect::<Option<_>>().ok_or_else(strange)?;
    let read = || {
        let (first, rest) = parts.split_first()?;
        let is_whole = match first.as_slice() {
            b"some" => true,
            b"unknown" => false,
            _ => return None,
        };
        let [life, number, members @ ..] = rest else {
            let nobody = Told { is_whole, life: 0, number: 0, members: Vec::new() };
            return (!is_whole && rest.is_empty()).then_some(nobody);
        };
        let members: Option<_> =
            members.chunks(2).map(|pair| Some((unhex(&pair[0])?, decimal(pair.get(1)?)?))).collect();
        Some(Told { is_whole, life: unhex(life)?, number: decimal(number)?, members: members? })
    };
    read().ok_or_else(strange)
}

impl Told {
    pub(super) fn sharers(self, board: &Arc<str>, own: Option<u64>) -> Sharers {
        let sharer = |(member, beats)| Sharer {
            board: board.clone(),
            life: self.life,
            member,
            beats,
            message: self.number,
        };
        let others = self.members.into_iter().filter(|(member, _)| Some(*member) != own);
        Sharers { awaited: others.map(sharer).collect(), is_unknown: !self.is_whole }
    }
}

/// The board of some sharers, as a subject of its own.
fn board_of(sharer: &Sharer) -> Option<Subject> {
    let name = sharer.board.strip_prefix('{')?.split('}').next()?;
    Some(Subject::new(Kind::Tag, name, None))
}

/// Returns when all have acknowledged.
pub(in crate::backend::redis) async fn acknowledged(nodes: &Nodes, sharers: &Sharers) {
    if sharers.is_unknown {
        std::future::pending::<()>().await;
    }
    let mut pause = FIRST_PAUSE;
    loop {
        // An error tells nothing; who waits gives up after a lease.
        if let Ok(true) = have_heard(nodes, sharers).await {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST_PAUSE);
    }
}

async fn have_heard(nodes: &Nodes, sharers: &Sharers) -> Result<bool, StoreError> {
    let Some(first) = sharers.awaited.first() else { return Ok(true) };
    let Some(board) = board_of(first) else { return Ok(false) };
    let look = Job::idempotent(&board, |_| {
        let mut all = cmd("HGETALL");
        all.arg(&*first.board);
        Step::Read(all)
    });
    let Some(done) = nodes.run(&[look], Reach::All).await?.pop() else { return Ok(false) };
    let Value::Array(fields) = done.value else { return Ok(false) };
    let mut known = HashMap::new();
    for pair in fields.chunks(2) {
        if let [Value::BulkString(field), Value::BulkString(value)] = pair {
            known.insert(field.as_slice(), value.as_slice());
        }
    }
    let life = known.get(&b"is"[..]).and_then(|is| unhex(is.split(|byte| *byte == b'|').next()?));
    let has_heard = |sharer: &Sharer| {
        if sharer.board != first.board || Some(sharer.life) != life {
            return false;
        }
        // Who is no member any more was struck off when his last lease had ended.
        let Some(member) = known.get(hex(sharer.member).as_bytes()) else { return true };
        let heard = member.split(|byte| *byte == b'|').nth(1).and_then(decimal);
        heard.is_some_and(|heard| heard >= sharer.message)
    };
    Ok(sharers.awaited.iter().all(has_heard))
}

/// Strikes off those who have asked for no lease since they were told.
pub(in crate::backend::redis) async fn forget(nodes: &Nodes, sharers: &Sharers) {
    let Some(first) = sharers.awaited.first() else { return };
    let Some(board) = board_of(first) else { return };
    let strike = Job::idempotent(&board, |_| {
        Step::script(&script::FORGET, &[first.board.to_string()], |cmd| {
            cmd.arg(hex(first.life));
            for sharer in sharers.awaited.iter().filter(|sharer| sharer.life == first.life) {
                cmd.arg(hex(sharer.member)).arg(sharer.beats);
            }
        })
    });
    // Best effort: else the next writer waits for them, too.
    let _ = nodes.run(&[strike], Reach::All).await;
}
