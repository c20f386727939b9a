//! Numbers that wait in Redis, merged by every process that counts. Refuses somebody else's values in their place.

use std::fmt;
use std::sync::Arc;

use redis::Value;

use super::error::rejected;
use super::link::Step;
use super::send::{Job, Reach};
use super::words::{keys, on_part};
use super::{Inner, RedisStore, script};
use crate::error::{BuildError, StoreError};
use crate::key::Namespace;
use crate::rng::{Rng, SystemRng};
use crate::store::StoreResult;
use crate::subject::{Kind, Subject};
use crate::tally::{Merge, Taken, Tally};

/// Numbers in a hash of the servers that a [`RedisStore`] is connected to. What the servers lose is lost.
pub struct RedisTally {
    store: Arc<Inner>,
    subject: Subject,
    merge: Merge,
    rng: SystemRng,
}

impl fmt::Debug for RedisTally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTally").field("subject", &self.subject.name()).finish_non_exhaustive()
    }
}

impl RedisTally {
    /// The tally of this name in a namespace.
    ///
    /// # Errors
    /// A namespace that is none.
    pub fn new(store: &RedisStore, namespace: &str, name: &str, merge: Merge) -> Result<Self, BuildError> {
        let namespace = Namespace::new(namespace).map_err(|error| BuildError::new(vec![error]))?;
        let subject = namespace.subject(Kind::Entity, |text| {
            text.literal("tally:");
            text.part(&name);
        });
        Ok(Self { store: store.inner.clone(), subject, merge, rng: SystemRng::default() })
    }

    async fn ask(&self, job: Job<'_>) -> Result<Value, StoreError> {
        let done = self.store.nodes.run(&[job], Reach::Any).await?.pop();
        match done.ok_or_else(super::commands::unanswered)?.value {
            Value::ServerError(error) => {
                Err(rejected(&format!("{} {}", error.code(), error.details().unwrap_or_default())))
            }
            value => Ok(value),
        }
    }

    async fn look(&self, part: char, key: &str) -> Result<Option<i64>, StoreError> {
        let look = Job::read(&self.subject, |_| {
            let mut get = on_part("HGET", &self.subject, part);
            get.arg(key);
            Step::Read(get)
        });
        match self.ask(look).await? {
            Value::Nil => Ok(None),
            value => number(&value).map(Some),
        }
    }
}

fn text(value: &Value) -> Result<&str, StoreError> {
    let text = match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    text.ok_or_else(|| rejected("a tally holds what is no number of this library"))
}

fn number(value: &Value) -> Result<i64, StoreError> {
    text(value)?.parse().map_err(|_| rejected("a tally holds what is no number"))
}

impl Tally for RedisTally {
    fn merge<'a>(&'a self, key: &'a str, by: i64) -> StoreResult<'a, ()> {
        Box::pin(async move {
            let how = match self.merge {
                Merge::Add => "add",
                Merge::Max => "max",
            };
            let step = move |_| {
                Step::script(&script::COUNT, &keys(&self.subject, ['n']), |cmd| {
                    cmd.arg(key).arg(by).arg(how);
                })
            };
            // The greatest twice is the greatest; a sum is not.
            let count = match self.merge {
                Merge::Add => Job::new(&self.subject, step),
                Merge::Max => Job::idempotent(&self.subject, step),
            };
            self.ask(count).await.map(drop)
        })
    }

    fn take(&self, limit: usize) -> StoreResult<'_, Option<Taken>> {
        Box::pin(async move {
            let new = format!("{:016x}{:016x}", self.rng.bits(), self.rng.bits());
            let take = Job::idempotent(&self.subject, |_| {
                Step::script(&script::TAKE, &keys(&self.subject, ['n', 'f', 'b']), |cmd| {
                    cmd.arg(&new).arg(limit.max(1));
                })
            });
            let Value::Array(parts) = self.ask(take).await? else {
                return Err(rejected("a script gave an answer that this version does not understand"));
            };
            let Some((id, pairs)) = parts.split_first() else { return Ok(None) };
            let id = u128::from_str_radix(text(id)?, 16);
            let id = id.map_err(|_| rejected("a tally's batch is none of this library"))?;
            let pair = |pair: &[Value]| match pair {
                [key, value] => Ok((text(key)?.to_owned(), number(value)?)),
                _ => Err(rejected("a tally's answer ends in the middle")),
            };
            Ok(Some(Taken { id, numbers: pairs.chunks(2).map(pair).collect::<Result<_, _>>()? }))
        })
    }

    fn done(&self, id: u128) -> StoreResult<'_, ()> {
        Box::pin(async move {
            let done = Job::idempotent(&self.subject, |_| {
                Step::script(&script::DONE, &keys(&self.subject, ['f', 'b']), |cmd| {
                    cmd.arg(format!("{id:032x}"));
                })
            });
            self.ask(done).await.map(drop)
        })
    }

    fn waiting<'a>(&'a self, key: &'a str) -> StoreResult<'a, i64> {
        Box::pin(async move {
            let taken = self.look('f', key).await?;
            Ok(self.merge.of(self.look('n', key).await?, taken))
        })
    }

    fn merges(&self) -> Merge {
        self.merge
    }

    fn describe(&self) -> String {
        format!("numbers in {} at {}", self.subject.name(), self.store.target)
    }
}
