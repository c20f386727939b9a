//! Reads what the scripts answer. Pure. Refuses to guess: a reply that cannot be read is an error, never a lease.

use std::ops::Range;

use bytes::Bytes;
use redis::Value;

use super::bus::{self, Told};
use super::error::{Fault, rejected};
use crate::error::StoreError;
use crate::store::{Fence, Origin, Queued};
use crate::subject::{Epoch, Generation, JournalId, Position, Subject, TagStamp};
use crate::time::StoreTime;

/// What a script tells that either fences or goes on.
#[derive(Debug)]
pub(super) enum Gate {
    Open(Answer),
    Fenced(Vec<Fence>),
}

/// A script's answer that is not a fence.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) word: String,
    pub(super) now: StoreTime,
    pub(super) value: Option<Vec<u8>>,
}

fn strange(reply: &Value) -> StoreError {
    match reply {
        Value::ServerError(error) => Fault::of(error).into(),
        other => {
            let kind = match other {
                Value::Array(_) => "a list",
                Value::Int(_) => "a number",
                Value::Nil => "nothing",
                _ => "something else",
            };
            rejected(&format!("a script answered {kind}, which this version does not understand"))
        }
    }
}

/// Whether the step was not carried out because its slot is migrating and its keys are on both nodes or on neither.
pub(super) fn is_torn(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if Fault::of(error) == Fault::Torn)
}

/// Whether another node has to be asked.
pub(super) fn is_moved(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if Fault::of(error) == Fault::Moved)
}

/// A number.
pub(super) fn number(reply: &Value) -> Result<u64, StoreError> {
    match reply {
        Value::Int(number) => u64::try_from(*number).map_err(|_| strange(reply)),
        _ => Err(strange(reply)),
    }
}

/// So many numbers.
pub(super) fn numbers(reply: &Value, count: usize) -> Result<Vec<u64>, StoreError> {
    match reply {
        Value::Array(replies) if replies.len() == count => replies.iter().map(number).collect(),
        _ => Err(strange(reply)),
    }
}

/// What MARK answered: the clock, whether a queued write stands, and who was told.
pub(super) fn marked(reply: &Value) -> Result<(StoreTime, bool, Option<Told>), StoreError> {
    match reply {
        Value::Int(now) => Ok((StoreTime(now.unsigned_abs()), *now < 0, None)),
        Value::Array(parts) => match parts.as_slice() {
            [Value::Int(now), told] => Ok((StoreTime(now.unsigned_abs()), *now < 0, Some(bus::told(told)?))),
            _ => Err(strange(reply)),
        },
        _ => Err(strange(reply)),
    }
}

/// What PEND answered for so many subjects: who was told of each, if anything was shown.
pub(super) fn pended(reply: &Value, count: usize) -> Result<Vec<Option<Told>>, StoreError> {
    let one = |reply: &Value| match reply {
        Value::Array(_) => bus::told(reply).map(Some),
        _ => number(reply).map(|_| None),
    };
    match reply {
        Value::Array(replies) if replies.len() == count => replies.iter().map(one).collect(),
        _ => Err(strange(reply)),
    }
}

/// What CLEAR answered: whether the writer's fence stood, and how many values were installed.
pub(super) fn cleared(reply: &Value) -> Result<(bool, usize), StoreError> {
    match reply {
        Value::Array(parts) => match parts.as_slice() {
            [stood, installed] => {
                Ok((number(stood)? == 1, usize::try_from(number(installed)?).unwrap_or_default()))
            }
            _ => Err(strange(reply)),
        },
        _ => Err(strange(reply)),
    }
}

/// The answer to TIME, seconds and microseconds.
pub(super) fn time(reply: &Value) -> Result<StoreTime, StoreError> {
    let part = |value: &Value| match value {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    match reply {
        Value::Array(parts) => match parts.as_slice() {
            [seconds, micros] => {
                let millis = part(seconds).zip(part(micros)).map(|(s, us)| s * 1000 + us / 1000);
                millis.map(StoreTime).ok_or_else(|| strange(reply))
            }
            _ => Err(strange(reply)),
        },
        _ => Err(strange(reply)),
    }
}

/// An entry, if there is one; somebody else's value in its place is none.
pub(super) fn blob(reply: Value) -> Result<Option<Bytes>, StoreError> {
    match reply {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        Value::ServerError(error) => match Fault::of(&error) {
            // Where a slot is being imported nothing is known to be valid yet.
            Fault::WrongType | Fault::Ask(_) => Ok(None),
            fault => Err(fault.into()),
        },
        other => Err(strange(&other)),
    }
}

/// What ASIDE answered: the clock, when it was dropped, and the bytes.
pub(super) fn aside(reply: Value) -> Result<Option<(StoreTime, StoreTime, Bytes)>, StoreError> {
    match reply {
        // Where a slot is being imported nothing is known to be as old as it seems.
        Value::Nil => Ok(None),
        Value::Array(parts) => match <[Value; 3]>::try_from(parts) {
            Ok([now, since, Value::BulkString(blob)]) => {
                Ok(Some((StoreTime(number(&now)?), StoreTime(number(&since)?), blob.into())))
            }
            Ok(strangers) => Err(strange(&Value::Array(strangers.into()))),
            Err(parts) if parts.len() == 1 => Ok(None),
            Err(parts) => Err(strange(&Value::Array(parts))),
        },
        Value::ServerError(error) => match Fault::of(&error) {
            Fault::Ask(_) | Fault::Torn => Ok(None),
            fault => Err(fault.into()),
        },
        other => Err(strange(&other)),
    }
}

/// A tag's stamp; somebody else's value in its place is a lost generation.
pub(super) fn stamp(reply: Value, epoch: Epoch) -> Result<TagStamp, StoreError> {
    let generation = blob(reply)?.as_deref().and_then(generation);
    Ok(TagStamp { epoch, generation })
}

/// A generation in hexadecimal digits.
pub(super) fn generation(digits: &[u8]) -> Option<Generation> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok().map(Generation)
}

/// What LEASE or its tags' part answered about this subject.
pub(super) fn gate(reply: Value, subject: &Subject) -> Result<Gate, StoreError> {
    let Value::Array(parts) = reply else { return Err(strange(&reply)) };
    let mut parts = parts.into_iter();
    let (Some(Value::BulkString(word)), Some(now), value) = (parts.next(), parts.next(), parts.next()) else {
        return Err(strange(&Value::Array(Vec::new())));
    };
    let (word, now) = (String::from_utf8_lossy(&word).into_owned(), StoreTime(number(&now)?));
    match value {
        Some(Value::Array(records)) if word == "fenced" => {
            let fences =
                records.chunks(2).map(|record| fence(record, subject, now)).collect::<Result<_, _>>()?;
            Ok(Gate::Fenced(fences))
        }
        Some(Value::BulkString(value)) => Ok(Gate::Open(Answer { word, now, value: Some(value) })),
        None => Ok(Gate::Open(Answer { word, now, value: None })),
        Some(other) => Err(strange(&other)),
    }
}

/// A queued write as `queued.lua` puts it together.
pub(super) fn queued(write: Vec<u8>, now: StoreTime, server: Epoch) -> Result<Queued, StoreError> {
    let write = Bytes::from(write);
    let text = |range: Range<usize>| std::str::from_utf8(write.get(range)?).ok();
    let read = || {
        let journal = JournalId(u128::from_str_radix(text(0..32)?, 16).ok()?);
        let position = Position(u128::from_str_radix(text(32..64)?, 16).ok()?);
        let field = u64::from_str_radix(text(64..80)?, 16).ok()?;
        let is_of_epoch = write.get(80..88)? == server.0.to_le_bytes();
        let age = now.since(StoreTime(text(88..104)?.parse().ok()?));
        Some(Queued { journal, position, field, payload: write.slice(104..), age, is_of_epoch })
    };
    read().ok_or_else(|| rejected("a queued write stands there that this version does not understand"))
}

/// A writer and its record, `origin|marked at|…`. One that cannot be read is an error: nobody may lift it by its age.
fn fence(record: &[Value], subject: &Subject, now: StoreTime) -> Result<Fence, StoreError> {
    let read = || {
        let [Value::BulkString(writer), Value::BulkString(record)] = record else { return None };
        let writer = std::str::from_utf8(writer).ok()?.parse().ok()?;
        let mut parts = std::str::from_utf8(record).ok()?.split('|');
        let origin = Origin::new(parts.next()?)?;
        let marked = StoreTime(parts.next()?.parse().ok()?);
        Some(Fence { subject: subject.clone(), writer, origin, age: now.since(marked) })
    };
    read().ok_or_else(|| rejected("a write is in flight whose fence this version does not understand"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::subject::{Kind, WriterId};

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn fenced(records: Vec<Value>) -> Value {
        Value::Array(vec![bulk("fenced"), Value::Int(5000), Value::Array(records)])
    }

    fn user() -> Subject {
        Subject::new(Kind::Entity, "shop:user:1", None)
    }

    #[test]
    fn fences_are_read_with_their_age() {
        let reply =
            fenced(vec![bulk("00ff"), bulk("pg:1:2:3|4000|1"), bulk("01"), bulk("none|9000|0|later")]);
        let Gate::Fenced(fences) = gate(reply, &user()).unwrap() else { panic!("open") };
        let told: Vec<_> =
            fences.iter().map(|fence| (fence.writer, fence.origin.as_str(), fence.age)).collect();
        assert_eq!(
            told,
            [(WriterId(255), "pg:1:2:3", Duration::from_secs(1)), (WriterId(1), "none", Duration::ZERO)]
        );
    }

    #[test]
    fn a_fence_that_cannot_be_read_is_an_error() {
        for record in ["", "none", "none|soon|1", "two words|1|1"] {
            assert!(gate(fenced(vec![bulk("01"), bulk(record)]), &user()).is_err(), "{record}");
        }
        assert!(gate(fenced(vec![bulk("nobody"), bulk("none|1|1")]), &user()).is_err());
        assert!(gate(fenced(vec![bulk("01")]), &user()).is_err());
    }

    #[test]
    fn strange_replies_are_errors() {
        for reply in [Value::Nil, Value::Okay, Value::Array(vec![]), Value::Array(vec![bulk("granted")])] {
            assert!(gate(reply, &user()).is_err());
        }
        assert!(number(&Value::Int(-1)).is_err());
        assert!(time(&Value::Array(vec![bulk("1")])).is_err());
        assert!(blob(Value::Int(1)).is_err());
        for parts in [
            vec![],
            vec![Value::Int(1), Value::Int(1)],
            vec![Value::Int(1), Value::Int(1), Value::Nil],
            vec![Value::Int(1), bulk("1"), bulk("old")],
        ] {
            assert!(aside(Value::Array(parts)).is_err());
        }
    }

    #[test]
    fn a_generation_is_sixteen_digits() {
        assert_eq!(generation(b"00000000000000ff"), Some(Generation(255)));
        for strange in [&b""[..], b"ff", b"000000000000000g", b"00000000000000fff"] {
            assert_eq!(generation(strange), None);
        }
    }

    #[test]
    fn the_server_tells_seconds_and_microseconds() {
        let reply = Value::Array(vec![bulk("1700000000"), bulk("123999")]);
        assert_eq!(time(&reply).unwrap(), StoreTime(1_700_000_000_123));
    }
}
