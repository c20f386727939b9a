//! What happened, in words, for people. Refuses to be asked for anything else; the run is the same without it.

use std::time::Duration;

use cache_core::store::Leased;
use cache_core::{codec, entry};

use crate::app::{Card, Page, Row, Story, Turn};
use crate::wire::{Cargo, Command, Says, Sql, SqlSays, StoreSays};
use crate::world::{OpId, State};

/// Numbered lines, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Option<Vec<String>>);

impl Timeline {
    /// One that keeps what it is told.
    #[must_use]
    pub fn kept() -> Self {
        Self(Some(Vec::new()))
    }

    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    pub fn push(&mut self, now: Duration, text: String) {
        if let Some(lines) = &mut self.0 {
            let millis = now.as_secs_f64() * 1000.0;
            lines.push(format!("{:>4} {millis:>8.1} ms  {text}", lines.len() + 1));
        }
    }

    /// The lines.
    #[must_use]
    pub fn lines(self) -> Vec<String> {
        self.0.unwrap_or_default()
    }
}

impl State {
    /// A process, and what it does it for.
    pub fn who(&self, process: usize, op: Option<OpId>) -> String {
        let instance = self.processes[process].instance;
        match op {
            Some(op) => format!("instance {instance}, call {op}"),
            None => format!("instance {instance}, background"),
        }
    }

    pub fn sends(&self, process: usize, op: Option<OpId>, cargo: &Cargo) -> String {
        let what = match cargo {
            Cargo::Store(job) => command(&job.command),
            Cargo::Sql(sql) => statement(sql),
            _ => "…".into(),
        };
        format!("{}: sends {what}", self.who(process, op))
    }
}

/// A command in words.
pub fn command(command: &Command) -> String {
    let names = |subjects: &[cache_core::subject::Subject]| {
        let names: Vec<_> = subjects.iter().map(plain).collect();
        names.join(" ")
    };
    match command {
        Command::Get { key, tags } if tags.is_empty() => format!("GET {}", plain(&key.subject)),
        Command::Get { key, tags } => format!("GET {} with {}", plain(&key.subject), names(tags)),
        Command::Lease { key, token, force, finished, .. } => {
            let force = if *force { ", forced" } else { "" };
            let healed: String = finished.iter().map(|w| format!(", lifts {}", short(w.0))).collect();
            format!("LEASE {} as {}{force}{healed}", plain(&key.subject), short(token.0.into()))
        }
        Command::Fill { key, token, blob, .. } => {
            format!("FILL {} as {} with {}", plain(&key.subject), short(token.0.into()), value(blob))
        }
        Command::Aside { key } => format!("ASIDE {}", plain(&key.subject)),
        Command::ClearNamespace { .. } => "CLEAR the namespace".into(),
        Command::Release { key, token } => {
            format!("RELEASE {} as {}", plain(&key.subject), short(token.0.into()))
        }
        Command::Mark { writer, origin, subjects, .. } => {
            format!("MARK {} ({}) {}", short(writer.0), origin.as_str(), names(subjects))
        }
        Command::Clear { writer, subjects, puts, .. } => {
            let puts: String = puts.iter().map(|put| format!(", installing {}", value(&put.blob))).collect();
            format!("CLEAR {} {}{puts}", short(writer.0), names(subjects))
        }
    }
}

/// A statement in words.
pub fn statement(sql: &Sql) -> String {
    match sql {
        Sql::Begin => "BEGIN".into(),
        Sql::Write(xid, row) => format!("UPDATE row {row} in tx {xid}"),
        Sql::WriteAlone(row) => format!("UPDATE row {row}, alone"),
        Sql::Savepoint(xid) => format!("SAVEPOINT in tx {xid}"),
        Sql::Release(xid) => format!("RELEASE SAVEPOINT in tx {xid}"),
        Sql::RollBackTo(xid) => format!("ROLLBACK TO SAVEPOINT in tx {xid}"),
        Sql::Identify(xid) => format!("who is tx {xid}?"),
        Sql::Commit(xid) => format!("COMMIT tx {xid}"),
        Sql::RollBack(xid) => format!("ROLLBACK tx {xid}"),
        Sql::Read(rows) => format!("SELECT rows {rows:?}"),
        Sql::Finished(asked) => {
            let xids: Vec<_> = asked.iter().map(|(xid, _)| xid).collect();
            format!("are tx {xids:?} finished?")
        }
    }
}

/// An answer in words.
pub fn answer(says: &Says) -> String {
    match says {
        Says::Store(Err(error)) => format!("{error:?}"),
        Says::Sql(Err(error)) => format!("{error:?}"),
        Says::Store(Ok(says)) => match says {
            StoreSays::Found(found) => match &found.blob {
                Some(blob) => format!("hit {} (epoch {})", value(blob), found.epoch.0),
                None => "miss".into(),
            },
            StoreSays::Leased(leased) => match leased {
                Leased::Queued(_) => "a queued write".into(),
                Leased::Granted { epoch, .. } => format!("granted (epoch {})", epoch.0),
                Leased::Present(found) => match &found.blob {
                    Some(blob) => format!("present {}", value(blob)),
                    None => "present".into(),
                },
                Leased::Busy => "busy".into(),
                Leased::Fenced(fences) => {
                    let fence = |fence: &cache_core::store::Fence| {
                        format!(" {} by {} for {:?}", plain(&fence.subject), short(fence.writer.0), fence.age)
                    };
                    format!("fenced:{}", fences.iter().map(fence).collect::<String>())
                }
            },
            StoreSays::Filled(filled) if filled.stored => format!("stored (epoch {})", filled.epoch.0),
            StoreSays::Filled(_) => "refused".into(),
            StoreSays::Aside(None) => "nothing".into(),
            StoreSays::Aside(Some(kept)) => format!("kept {} (epoch {})", value(&kept.blob), kept.epoch.0),
            StoreSays::Released => "released".into(),
            StoreSays::ClearedNamespace => "cleared".into(),
            StoreSays::Marked(_) => "marked".into(),
            StoreSays::Cleared(_, cleared) => {
                let fences = if cleared.intact { "cleared" } else { "cleared, but the fence was gone" };
                let puts = if cleared.installed > 0 { ", installed" } else { "" };
                format!("{fences}{puts}")
            }
        },
        Says::Sql(Ok(says)) => match says {
            SqlSays::Begun(xid) => format!("tx {xid}"),
            SqlSays::Wrote(version) => format!("wrote v{version}"),
            SqlSays::Done => "done".into(),
            SqlSays::Open(open) => if *open { "open" } else { "ended" }.into(),
            SqlSays::Versions(versions) => format!("versions {versions:?}"),
            SqlSays::Finished(writers) => {
                let writers: Vec<_> = writers.iter().map(|writer| short(writer.0)).collect();
                format!("finished: {writers:?}")
            }
        },
    }
}

/// A subject without its namespace.
pub fn plain(subject: &cache_core::subject::Subject) -> String {
    let text = subject.to_string();
    let name = text.split_once([':', '#']).map_or(text.as_str(), |(_, name)| name);
    match subject.kind() {
        cache_core::subject::Kind::Entity => name.to_owned(),
        cache_core::subject::Kind::Tag => format!("#{name}"),
    }
}

fn short(id: u128) -> String {
    format!("{:04x}", id & 0xffff)
}

fn value(blob: &bytes::Bytes) -> String {
    let Ok((header, payload)) = entry::decode(blob) else { return "what is no entry".into() };
    if header.negative {
        return "none".into();
    }
    let versions = codec::decode::<Page>(header.codec, &payload)
        .map(|page| page.seen())
        .or_else(|_| codec::decode::<Card>(header.codec, &payload).map(|card| card.seen()))
        .or_else(|_| codec::decode::<Story>(header.codec, &payload).map(|story| story.seen().to_vec()))
        .or_else(|_| {
            codec::decode::<Vec<Story>>(header.codec, &payload)
                .map(|stories| stories.iter().flat_map(Story::seen).collect())
        })
        .or_else(|_| codec::decode::<Turn>(header.codec, &payload).map(|turn| turn.seen))
        .or_else(|_| codec::decode::<Row>(header.codec, &payload).map(|row| vec![row.seen()]))
        .or_else(|_| {
            codec::decode::<Vec<Row>>(header.codec, &payload).map(|rows| rows.iter().map(Row::seen).collect())
        });
    match versions {
        Ok(seen) => {
            let seen: Vec<_> = seen.iter().map(|(row, version)| format!("row {row} v{version}")).collect();
            seen.join(" ")
        }
        Err(_) => "a value".into(),
    }
}
