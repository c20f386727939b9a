//! A journal in a Redis stream. Refuses to believe in a stream that took the place of its own, and in a server that forgets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::{Value, cmd};
use tokio::sync::watch;

use super::identity::Info;
use super::link::Step;
use super::nodes::Nodes;
use super::send::{Done, Job, Reach};
use super::words::{key, keys, on_part};
use super::{Inner, RedisStore, script};
use crate::error::{JournalError, JournalErrorKind, StoreError, StoreErrorKind};
use crate::journal::{Costs, Depth, Journal, JournalId, Position, Record, Survives};
use crate::key::Namespace;
use crate::rng::{Rng, SystemRng};
use crate::store::BoxFuture;
use crate::subject::{Kind, Subject};
use crate::time::{Clock, StoreTime, SystemClock};

/// How soon a record that another process appended is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// Records of one command at most.
const AT_ONCE: usize = 100;
/// Records waiting for the database, unless told otherwise.
const MOST: u64 = 10_000_000;

/// A write-behind journal in a stream of the servers that a [`RedisStore`] is connected to; any number of processes may append.
pub struct RedisJournal {
    store: Arc<Inner>,
    stream: Subject,
    id: JournalId,
    costs: Costs,
    limit: u64,
    clock: SystemClock,
    /// The last position that this process appended.
    last: watch::Sender<Position>,
}

impl fmt::Debug for RedisJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisJournal")
            .field("stream", &self.stream.name())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl RedisJournal {
    /// Opens the journal of this name in a namespace, or begins one. `costs` is the most that the sudden end of the server may cost:
    /// with less persistence than that it is refused.
    ///
    /// # Errors
    /// [`JournalErrorKind::Refused`] for a name that is no key part, a server that would evict it or that keeps less than `costs` says;
    /// [`JournalErrorKind::Failed`] when the server does not answer.
    pub async fn open(
        store: &RedisStore,
        namespace: &str,
        name: &str,
        costs: Costs,
    ) -> Result<Self, JournalError> {
        let refused = |what: String| JournalError::new(JournalErrorKind::Refused, what);
        let namespace = Namespace::new(namespace)
            .map_err(|error| refused(format!("a journal cannot be named so: {error}")))?;
        let stream = namespace.subject(Kind::Entity, |text| {
            text.literal("journal:");
            text.part(&name);
        });
        let nodes = &store.inner.nodes;
        let found = found(nodes, &stream).await?;
        if let Some(policy) = found.evicts {
            return Err(refused(format!(
                "the journal `{name}` would be evicted: the server's policy is `{policy}`; set `maxmemory-policy` to `noeviction` or `volatile-*`"
            )));
        }
        if rank(found.costs) > rank(costs) {
            let (has, wants) = (Survives::Server(found.costs), Survives::Server(costs));
            return Err(refused(format!(
                "the server does not keep the journal `{name}` as well as it was asked to ({wants}). It keeps it so: {has}. Set \
                 `appendonly yes` and, for every write, `appendfsync always`, or accept `Costs::{:?}`",
                found.costs
            )));
        }
        let rng = SystemRng::default();
        let new = format!("{:016x}{:016x}", rng.bits(), rng.bits());
        let identify = Job::idempotent(&stream, |_| {
            Step::script(&script::JOURNAL, &keys(&stream, ['q', 'i']), |cmd| {
                cmd.arg(&new);
            })
        });
        let id = text(&one(nodes, identify).await?).and_then(|id| u128::from_str_radix(id, 16).ok());
        let id = JournalId(id.ok_or_else(|| refused(format!("`{}` is somebody else's", key(&stream, 'i'))))?);
        let last = watch::Sender::new(Position(0));
        let (clock, costs, limit) = (SystemClock::default(), found.costs, MOST);
        let journal =
            Self { store: store.inner.clone(), stream: stream.clone(), id, costs, limit, clock, last };
        tracing::info!(journal = %journal.describe(), "{}", journal.survives());
        Ok(journal)
    }

    /// How many records may wait for the database, ten million unless told; beyond it writes are refused.
    #[must_use]
    pub fn limit_records(self, limit: u64) -> Self {
        Self { limit, ..self }
    }
}

fn rank(costs: Costs) -> u8 {
    match costs {
        Costs::Nothing => 0,
        Costs::LastSecond => 1,
        Costs::SinceSnapshot => 2,
    }
}

/// What a server says about how it keeps data.
struct Kept {
    costs: Costs,
    evicts: Option<String>,
}

async fn found(nodes: &Nodes, stream: &Subject) -> Result<Kept, JournalError> {
    let ask = |section: &'static str| {
        Job::read(stream, move |_| {
            let mut info = cmd("INFO");
            info.arg(section);
            Step::Read(info)
        })
    };
    let setting = |name: &'static str| {
        Job::read(stream, move |_| {
            let mut config = cmd("CONFIG");
            config.arg("GET").arg(name);
            Step::Read(config)
        })
    };
    let jobs = [ask("persistence"), ask("memory"), setting("appendfsync")];
    let done = nodes.run(&jobs, Reach::All).await.map_err(failed)?;
    let [persistence, memory, fsync] = &done[..] else { return Err(strange()) };
    let (persistence, memory) = (text(&persistence.value).unwrap_or(""), text(&memory.value).unwrap_or(""));
    let appends = Info(persistence).field("aof_enabled") == Some("1");
    // Who may not ask gets the server's default.
    let always = matches!(&fsync.value, Value::Array(pair) if pair.get(1).and_then(text) == Some("always"))
        || matches!(&fsync.value, Value::Map(map) if map.first().and_then(|(_, value)| text(value)) == Some("always"));
    let costs = match (appends, always) {
        (true, true) => Costs::Nothing,
        (true, false) => Costs::LastSecond,
        (false, _) => Costs::SinceSnapshot,
    };
    let memory = Info(memory);
    let limited = memory.field("maxmemory").is_some_and(|bytes| bytes != "0");
    let policy = memory.field("maxmemory_policy").filter(|policy| limited && policy.starts_with("allkeys"));
    Ok(Kept { costs, evicts: policy.map(str::to_owned) })
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// The store's fault in a journal's words; nothing was done.
fn failed(error: StoreError) -> JournalError {
    JournalError::new(JournalErrorKind::Failed, "the journal could not be reached").because(error)
}

fn strange() -> JournalError {
    JournalError::new(
        JournalErrorKind::Failed,
        "the server gave an answer that this version does not understand",
    )
}

async fn one(nodes: &Nodes, job: Job<'_>) -> Result<Value, JournalError> {
    let done = nodes.run(&[job], Reach::All).await.map_err(failed)?.pop();
    answered(done.ok_or_else(strange)?)
}

fn answered(Done { value, .. }: Done) -> Result<Value, JournalError> {
    match value {
        Value::ServerError(error) => Err(JournalError::new(
            JournalErrorKind::Failed,
            format!("the server refused: {} {}", error.code(), error.details().unwrap_or_default()),
        )),
        value => Ok(value),
    }
}

impl RedisJournal {
    /// Appends what there is room for, in one step.
    async fn add(
        &self,
        records: &[(&str, &Bytes)],
    ) -> Result<Vec<Result<Position, JournalError>>, JournalError> {
        let (id, limit, at) = (self.id.to_string(), self.limit, self.clock.wall().0);
        let append = Job::new(&self.stream, |_| {
            Step::script(&script::APPEND, &keys(&self.stream, ['q', 'i']), |cmd| {
                cmd.arg(&id).arg(limit).arg(at);
                for (key, payload) in records {
                    cmd.arg(key).arg(&payload[..]);
                }
            })
        });
        let done = self.store.nodes.run(&[append], Reach::All).await.map_err(|error| match error.kind() {
            StoreErrorKind::Unavailable | StoreErrorKind::Rejected => failed(error),
            _ => JournalError::new(JournalErrorKind::Unknown, "the journal did not answer").because(error),
        })?;
        let Value::Array(parts) = answered(done.into_iter().next().ok_or_else(strange)?)? else {
            return Err(strange());
        };
        let (held, appended) = match (parts.first().and_then(text), parts.get(1).and_then(text)) {
            (Some("appended"), Some(held)) => (held, &parts[2..]),
            (Some("other"), _) => return Err(self.lost()),
            _ => return Err(strange()),
        };
        let position = |part: &Value| text(part).and_then(position_of).ok_or_else(strange);
        let mut positions: Vec<_> =
            appended.iter().map(|part| position(part).map(Ok)).collect::<Result<_, _>>()?;
        if let Some(Ok(position)) = positions.last() {
            self.last.send_if_modified(|last| {
                let grows = position > last;
                *last = (*position).max(*last);
                grows
            });
        }
        let room = held.parse::<u64>().map_err(|_| strange())? + positions.len() as u64;
        positions.resize_with(records.len(), || {
            let what =
                format!("{} is full: it holds {room} records that wait for the database", self.describe());
            Err(JournalError::new(JournalErrorKind::Full, what))
        });
        Ok(positions)
    }

    async fn range(&self, after: Position, limit: usize) -> Result<Vec<Record>, JournalError> {
        let (id, after) = (self.id.to_string(), position_text(after));
        let read = Job::idempotent(&self.stream, |_| {
            Step::script(&script::RECORDS, &keys(&self.stream, ['q', 'i']), |cmd| {
                cmd.arg(&id).arg(&after).arg(limit);
            })
        });
        let Value::Array(mut parts) = one(&self.store.nodes, read).await? else { return Err(strange()) };
        match (parts.first().and_then(text), parts.len()) {
            (Some("records"), 2) => match parts.pop() {
                Some(Value::Array(records)) => {
                    records.into_iter().map(|one| record(one).ok_or_else(strange)).collect()
                }
                _ => Err(strange()),
            },
            (Some("other"), _) => Err(self.lost()),
            _ => Err(strange()),
        }
    }

    fn lost(&self) -> JournalError {
        let what = format!("{} was lost, and with it what was not flushed: open it again", self.describe());
        JournalError::new(JournalErrorKind::Damaged, what)
    }
}

/// `1700000000000-3` as a number that grows with it.
fn position_of(text: &str) -> Option<Position> {
    let (millis, count) = text.split_once('-')?;
    Some(Position(u128::from(millis.parse::<u64>().ok()?) << 64 | u128::from(count.parse::<u64>().ok()?)))
}

#[allow(clippy::cast_possible_truncation, reason = "the halves of the number")]
fn position_text(Position(number): Position) -> String {
    format!("{}-{}", (number >> 64) as u64, number as u64)
}

fn record(value: Value) -> Option<Record> {
    let Value::Array(parts) = value else { return None };
    let [id, Value::Array(fields)] = <[Value; 2]>::try_from(parts).ok()? else { return None };
    let position = position_of(text(&id)?)?;
    let (mut key, mut payload, mut at) = (None, None, None);
    let mut fields = fields.into_iter();
    while let (Some(name), Some(Value::BulkString(bytes))) = (fields.next(), fields.next()) {
        match text(&name)? {
            "k" => key = Some(String::from_utf8(bytes).ok()?),
            "v" => payload = Some(Bytes::from(bytes)),
            "t" => at = std::str::from_utf8(&bytes).ok()?.parse().ok().map(StoreTime),
            _ => {}
        }
    }
    Some(Record { position, at: at?, key: key?, payload: payload? })
}

impl Journal for RedisJournal {
    fn append<'a>(&'a self, key: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Position, JournalError>> {
        Box::pin(async move { self.add(&[(key, &payload)]).await?.pop().ok_or_else(strange)? })
    }

    fn append_many<'a>(
        &'a self,
        records: &'a [(String, Bytes)],
    ) -> BoxFuture<'a, Vec<Result<Position, JournalError>>> {
        Box::pin(async move {
            let mut positions = Vec::with_capacity(records.len());
            for part in records.chunks(AT_ONCE) {
                let part: Vec<_> = part.iter().map(|(key, payload)| (key.as_str(), payload)).collect();
                match self.add(&part).await {
                    Ok(appended) => positions.extend(appended),
                    Err(error) => positions.extend(part.iter().map(|_| Err(error.clone()))),
                }
            }
            positions
        })
    }

    fn read(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, JournalError>> {
        Box::pin(self.range(after, limit))
    }

    fn trim(&self, applied: Position) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            let (id, first) = (self.id.to_string(), position_text(Position(applied.0.saturating_add(1))));
            let trim = Job::idempotent(&self.stream, |_| {
                Step::script(&script::TRIM, &keys(&self.stream, ['q', 'i']), |cmd| {
                    cmd.arg(&id).arg(&first);
                })
            });
            one(&self.store.nodes, trim).await.map(drop)
        })
    }

    fn grown(&self, beyond: Position) -> BoxFuture<'_, ()> {
        let mut last = self.last.subscribe();
        Box::pin(async move {
            // What others appended is looked for.
            let own = last.wait_for(|last| *last > beyond);
            drop(tokio::time::timeout(LOOK, own).await);
        })
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, JournalError>> {
        Box::pin(async move {
            let number = |value| match value {
                Value::Int(number) => u64::try_from(number).map_err(|_| strange()),
                Value::Nil => Ok(0),
                _ => Err(strange()),
            };
            let length = Job::read(&self.stream, |_| Step::Read(on_part("XLEN", &self.stream, 'q')));
            let usage = Job::read(&self.stream, |_| {
                let mut usage = cmd("MEMORY");
                usage.arg("USAGE").arg(key(&self.stream, 'q'));
                Step::Read(usage)
            });
            let records = number(one(&self.store.nodes, length).await?)?;
            // An empty stream takes room, too.
            let bytes = if records == 0 { 0 } else { number(one(&self.store.nodes, usage).await?)? };
            Ok(Depth { records, bytes })
        })
    }

    fn id(&self) -> JournalId {
        self.id
    }

    fn survives(&self) -> Survives {
        Survives::Server(self.costs)
    }

    fn describe(&self) -> String {
        format!("the journal `{}` in {}", self.stream.name(), self.store.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_grow_as_the_servers_do_and_come_back() {
        let texts = ["0-1", "5-0", "5-18446744073709551615", "6-0", "1700000000000-3"];
        let positions: Vec<_> = texts.iter().map(|text| position_of(text).unwrap()).collect();
        assert!(positions.is_sorted());
        assert_eq!(positions.iter().map(|position| position_text(*position)).collect::<Vec<_>>(), texts);
        assert_eq!(position_of("5"), None);
        assert_eq!(position_of("-1-2"), None);
    }
}
