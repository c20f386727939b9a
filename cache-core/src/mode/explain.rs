//! Tells what became of each cached call, in words. Refuses to change anything: what is told is what would have happened.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Call;
use crate::policy::Policy;
use crate::site::{Location, ReadSite};
use crate::subject::Subject;

/// Runs a future and tells what became of each cached function it called: who answered, why not the entry, and whether the
/// value was stored. The calls that loaders make are not told: they belong to the loads, which may serve others as well.
///
/// Only this task: what the future spawns is not told. Inside another `explain` the inner one is told.
///
/// ```
/// # struct Users; impl Users { async fn find(&self, _: i64) {} }
/// # async fn f(users: Users) {
/// let (user, explained) = cache_core::explain(users.find(42)).await;
/// println!("{explained}");
/// # }
/// ```
pub async fn explain<F: Future>(future: F) -> (F::Output, Explained) {
    let notes = Notes::default();
    let output = Call { notes: Some(notes.clone()), ..Call::current() }.scope(future).await;
    let calls = std::mem::take(&mut *notes.lock());
    (output, Explained { calls })
}

/// What became of the cached calls inside one [`explain`], in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    calls: Vec<Explanation>,
}

impl Explained {
    /// The calls.
    #[must_use]
    pub fn calls(&self) -> &[Explanation] {
        &self.calls
    }
}

/// What became of one call of a cached function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// Key template as written.
    pub template: &'static str,
    /// The function.
    pub at: Location,
    /// The name asked for; `None` where it was not written, since the call ran past the cache.
    pub key: Option<String>,
    /// Who answered.
    pub outcome: Outcome,
    /// Why no entry did, at the first look.
    pub miss: Option<Miss>,
    /// How long ago the entry that answered was made, on the store's clock; not known of one in the L1.
    pub age: Option<Duration>,
    /// How long that entry will be served.
    pub left: Option<Duration>,
    /// How long this call's loader ran.
    pub load: Option<Duration>,
    /// What became of the value that this call loaded.
    pub stored: Option<Stored>,
    /// The policy in force.
    pub policy: Policy,
}

/// Who answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Nobody: it was dropped before it ended.
    Unfinished,
    /// An entry.
    Hit,
    /// An entry that says there is none.
    NegativeHit,
    /// The L1 of this process: a value, or that there is none.
    L1,
    /// An entry whose lifetime is over, where the policy allows it.
    StaleHit,
    /// A value that a write has invalidated, as the call had asked for ([`bounded`](super::bounded)).
    Bounded,
    /// The memory of its request ([`memo`](super::memo)).
    Memo,
    /// Another caller's load, or the entry which that caller found.
    Joined,
    /// An entry that another process made while this call waited for it.
    Awaited,
    /// Its own loader.
    Loaded,
    /// Its own loader, with an error.
    Failed,
    /// Its own loader, past the cache.
    Bypassed(Bypassed),
}

/// Why a call ran past the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bypassed {
    /// The caller asked for it.
    Asked,
    /// It reads inside a transaction (`on`).
    Transaction,
    /// The cache is off.
    Off,
}

/// Why no entry answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Miss {
    /// None is there: never filled, evicted, or dropped by a write.
    Absent,
    /// It was filled in another epoch of the store.
    Epoch,
    /// It was written for another schema, template, set of tags or key.
    Foreign,
    /// Its time has passed.
    Expired,
    /// One of its tags was invalidated or lost.
    Tags,
    /// It does not decode.
    Undecodable,
    /// It says that there is none, which this return type cannot.
    Negative,
    /// The store did not answer.
    Degraded,
    /// The caller asked for a load.
    Refresh,
    /// It stands, and chance chose this caller to load it early.
    Early,
}

/// What became of a loaded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stored {
    /// It was stored, to live this long.
    For(Duration),
    /// It was returned only.
    Not(NotStored),
}

/// Why a loaded value was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotStored {
    /// A write was in flight.
    Fenced,
    /// A write came while the loader ran.
    Refused,
    /// Another process or flight holds the lease and took too long.
    Busy,
    /// Too many of this key's loads run, or failed, to wait for them.
    Crowded,
    /// Waiting for the load that runs would have been waiting for itself.
    Circle,
    /// The store did not answer.
    Degraded,
    /// It is larger than the size limit.
    Oversized,
    /// It cannot be encoded.
    Unencodable,
    /// A write is queued that this function cannot read.
    Queued,
    /// Its loader, or an option of the attribute, said so.
    Skipped,
    /// A stale value went into it.
    Tainted,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.calls.is_empty() {
            return f.write_str("no cached function was called");
        }
        for (at, call) in self.calls.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{call}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key.as_deref().unwrap_or(self.template))?;
        write!(f, ": {}", self.outcome)?;
        if let Some(age) = self.age {
            write!(f, ", {age:.1?} old")?;
        }
        if let Some(left) = self.left {
            write!(f, ", {left:.1?} to live")?;
        }
        if let Some(miss) = self.miss {
            write!(f, "; {miss}")?;
        }
        if let Some(load) = self.load {
            write!(f, "; the load took {load:.1?}")?;
        }
        if let Some(stored) = self.stored {
            write!(f, "; {stored}")?;
        }
        write!(f, " [`{}` of {}; {}]", self.template, self.at, in_words(&self.policy))
    }
}

/// What differs from the defaults, and the lifetime.
fn in_words(policy: &Policy) -> String {
    let Policy { lifetime, stampede, on_wait, on_error, timeouts } = policy;
    let plain = Policy::ttl(lifetime.ttl);
    let mut words = format!("ttl {:?}", lifetime.ttl);
    let mut add = |is_plain: bool, part: &dyn fmt::Debug| {
        if !is_plain {
            let _ = fmt::Write::write_fmt(&mut words, format_args!(", {part:?}"));
        }
    };
    add(*lifetime == plain.lifetime, lifetime);
    add(*stampede == plain.stampede, stampede);
    add(*on_wait == plain.on_wait, on_wait);
    add(*on_error == plain.on_error, on_error);
    add(*timeouts == plain.timeouts, timeouts);
    words
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unfinished => "dropped before it ended",
            Self::Hit => "hit",
            Self::NegativeHit => "negative hit",
            Self::L1 => "hit, served by the L1",
            Self::StaleHit => "stale hit",
            Self::Bounded => "answered by what a write has invalidated, as asked",
            Self::Memo => "answered by the memo of its request",
            Self::Joined => "miss, joined another caller's load",
            Self::Awaited => "miss, waited for another process's load",
            Self::Loaded => "loaded",
            Self::Failed => "loaded, with an error",
            Self::Bypassed(Bypassed::Asked) => "bypassed, as asked",
            Self::Bypassed(Bypassed::Transaction) => "bypassed, inside a transaction",
            Self::Bypassed(Bypassed::Off) => "bypassed, the cache is off",
        })
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "no entry was there",
            Self::Epoch => "the entry is of another epoch",
            Self::Foreign => "the entry is of another schema, template, set of tags or key",
            Self::Expired => "the entry had expired",
            Self::Tags => "a tag of the entry was invalidated or lost",
            Self::Undecodable => "the entry does not decode",
            Self::Negative => "the entry says that there is none, which the return type cannot",
            Self::Degraded => "the store did not answer",
            Self::Refresh => "a load was asked for",
            Self::Early => "the entry stood and was loaded early",
        })
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::For(ttl) => return write!(f, "stored for {ttl:.1?}"),
            Self::Not(why) => why,
        };
        f.write_str("not stored: ")?;
        f.write_str(match why {
            NotStored::Fenced => "a write was in flight",
            NotStored::Refused => "a write came while the loader ran",
            NotStored::Busy => "another load of it took too long",
            NotStored::Crowded => "too many loads of it run or failed",
            NotStored::Circle => "waiting for the load that runs would have been waiting for itself",
            NotStored::Degraded => "the store did not answer",
            NotStored::Oversized => "it is larger than the size limit",
            NotStored::Unencodable => "it cannot be encoded",
            NotStored::Skipped => "its loader or an option said so",
            NotStored::Queued => "a write is queued that this function cannot read",
            NotStored::Tainted => "a stale value went into it",
        })
    }
}

/// Where the calls of one task are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Explanation>>>);

/// One call's place among them.
#[derive(Debug)]
pub(crate) struct Note {
    notes: Notes,
    at: usize,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Vec<Explanation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins.
    pub(crate) fn begin(&self, site: &ReadSite, key: Option<&Subject>, policy: Policy) -> Note {
        let mut calls = self.lock();
        calls.push(Explanation {
            template: site.template,
            at: site.at,
            key: key.map(ToString::to_string),
            outcome: Outcome::Unfinished,
            miss: None,
            age: None,
            left: None,
            load: None,
            stored: None,
            policy,
        });
        Note { notes: self.clone(), at: calls.len() - 1 }
    }
}

impl Note {
    /// Writes something down. What is told when its `explain` has ended already is lost.
    pub(crate) fn write(&self, write: impl FnOnce(&mut Explanation)) {
        if let Some(call) = self.notes.lock().get_mut(self.at) {
            write(call);
        }
    }
}
