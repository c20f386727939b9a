//! The seam to the shared tier: six commands that a store carries out atomically per subject. Refuses to interpret values:
//! a blob is bytes, apart from the epoch at [`crate::entry::EPOCH`].
//!
//! # Invariants every store keeps
//! * **I1** An entry exists only if no fence stood when it was filled; a mark deletes the subject's entries in the same
//!   atomic step. So presence is validity.
//! * **I2** A fill needs the exact token that is stored; a mark deletes all of a subject's tokens. A token past its deadline
//!   may be replaced by the next lease; until it is, it still fills, since no mark can have come in between.
//! * **I3** A fence belongs to one writer id; nobody else's clear lifts it.
//!
//! The conformance suite of the test kit shows a store's author whether his store keeps them.

mod many;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use crate::bus::{Listener, Sharers};
use crate::error::{StoreError, StoreErrorKind};
use crate::key::Namespace;
pub use crate::subject::TagStamp;
use crate::subject::{EntryKey, Epoch, JournalId, Position, Subject, Token, WriterId};
use crate::time::StoreTime;
pub(crate) use many::all;
pub use many::side_by_side;

/// A boxed future, so that stores can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a store answers, or why it could not.
pub type StoreResult<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// One answer for each of many requests, in their order: what is wrong with one says nothing about the others.
pub type Answers<'a, T> = BoxFuture<'a, Vec<Result<T, StoreError>>>;

/// What [`Store::get_many`] is asked for, entry by entry.
#[derive(Clone, Copy, Debug)]
pub struct GetRequest<'a> {
    /// The entry.
    pub key: &'a EntryKey,
    /// The tags whose generations are wanted.
    pub tags: &'a [Subject],
    /// Whether this process may keep what it reads for itself: then it is made known first, as one to be told, for the entry's
    /// subject and the tags.
    pub shares: bool,
}

/// Answer to [`Store::get`].
#[derive(Clone, Debug)]
pub struct Found {
    /// Epoch of the dataset that answered.
    pub epoch: Epoch,
    /// The store's clock when it answered (an estimate is fine; its error adds to expiry).
    pub now: StoreTime,
    /// The stored bytes.
    pub blob: Option<Bytes>,
    /// One stamp for each tag asked for, in order, read in the same round trip.
    pub tags: Vec<TagStamp>,
    /// Whether a writer to the subject or one of the tags will wait for this process from before the read on, where that was asked for.
    pub shared: bool,
}

/// What [`Store::lease`] is asked for.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRequest<'a> {
    /// The entry to be filled.
    pub key: &'a EntryKey,
    /// The tags the entry will carry.
    pub tags: &'a [Subject],
    /// A random token for this one request: sent again, a late duplicate would revive a token that a mark has voided.
    pub token: Token,
    /// The lease lapses this long after it was granted, on the store's clock.
    pub duration: Duration,
    /// Take a token although an entry stands (early refresh).
    pub force: bool,
    /// With `force`: only if the entry that stands has these bytes at [`crate::entry::CHECKSUM`], or none stands. Another one of
    /// the current epoch is answered: somebody was quicker.
    pub over: Option<[u8; 8]>,
    /// Writers known to be finished: their fences on the subject and the tags are lifted first.
    pub finished: &'a [WriterId],
    /// Random number for missing tag generations. A store mixes in what never repeats, so that a command that is carried out
    /// twice does not bring a generation back that old entries carry.
    pub seed: u64,
    /// Generations live at least this long from now.
    pub tag_ttl: Duration,
    /// As in [`GetRequest::shares`].
    pub shares: bool,
}

/// Where a fence came from: how a [`Healer`](crate::heal::Healer) finds out whether its writer is finished. Printable ASCII
/// without `|`, for example `pg:7301…:1:48213`; `none` for a writer without a transaction id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(Arc<str>);

impl Origin {
    /// A writer nobody can ask about; its fence is lifted by age alone (`orphan_after`).
    #[must_use]
    pub fn none() -> Self {
        Self("none".into())
    }

    /// An origin in a healer's own words; `None` unless it is 1-200 printable ASCII characters without `|` and blanks.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && b != b'|');
        (plain && (1..=200).contains(&text.len())).then(|| Self(text.into()))
    }

    /// The text, for stores to keep and healers to read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nobody can be asked about this writer.
    #[must_use]
    pub fn is_none(&self) -> bool {
        &*self.0 == "none"
    }
}

/// A write in flight, as a reader meets it.
#[derive(Clone, Debug)]
pub struct Fence {
    /// The subject or tag it stands on.
    pub subject: Subject,
    /// Who set it.
    pub writer: WriterId,
    /// How to find out whether that writer is finished.
    pub origin: Origin,
    /// How long ago it was set, on the store's clock.
    pub age: Duration,
}

/// A write that a journal has and the database has not, as a reader of its subject meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The journal that has it.
    pub journal: JournalId,
    /// Where it stands there.
    pub position: Position,
    /// The entry's field that it is the value of.
    pub field: u64,
    /// The value, as it was handed to [`Store::pend`].
    pub payload: Bytes,
    /// How long ago it was handed in, on the store's clock.
    pub age: Duration,
    /// Whether that was in the dataset that answers.
    pub is_of_epoch: bool,
}

/// How long the position of a settled write stays known: longer than any command is on its way.
pub const SETTLED: Duration = Duration::from_secs(60);

/// What [`Store::pend`] is asked for.
#[derive(Clone, Copy, Debug)]
pub struct PendRequest<'a> {
    /// The entry whose value was queued.
    pub key: &'a EntryKey,
    /// The journal that has the write.
    pub journal: JournalId,
    /// Where it stands there.
    pub position: Position,
    /// The value.
    pub payload: &'a Bytes,
}

/// Answer to [`Store::lease`].
#[derive(Clone, Debug)]
pub enum Leased {
    /// Load, then fill with the token asked with.
    Granted {
        /// Epoch to stamp the entry with.
        epoch: Epoch,
        /// The store's clock.
        now: StoreTime,
        /// Generations to stamp the entry with; all are there and unfenced.
        tags: Vec<TagStamp>,
        /// As in [`Found::shared`].
        shared: bool,
    },
    /// An entry of the current epoch stands (with `force` only another one than [`LeaseRequest::over`]). The caller still compares its tags.
    Present(Found),
    /// Someone else loads.
    Busy,
    /// Writes are in flight: load, do not fill.
    Fenced(Vec<Fence>),
    /// A write is queued: this is the newest value, fence or no fence, and the database does not have it.
    Queued(Queued),
}

/// What [`Store::fill`] is asked for.
#[derive(Clone, Copy, Debug)]
pub struct FillRequest<'a> {
    /// The entry.
    pub key: &'a EntryKey,
    /// Its tags, whose generations are read again in the same round trip, after the fill.
    pub tags: &'a [Subject],
    /// The token the lease was granted for.
    pub token: Token,
    /// The encoded entry.
    pub blob: &'a Bytes,
    /// Time until the entry is useless.
    pub ttl: Duration,
    /// A mark that drops the entry keeps it aside this long, for calls that ask for it; zero for not at all.
    pub aside: Duration,
}

/// Answer to [`Store::fill`].
#[derive(Clone, Debug)]
pub struct Filled {
    /// Epoch of the dataset that answered. A store that lost what came after the lease may still hold the token: in another
    /// epoch than the lease's, "stored" proves nothing.
    pub epoch: Epoch,
    /// Whether the entry was stored: no fence stood and the token was live.
    pub stored: bool,
    /// One stamp a tag, read after the fill.
    pub tags: Vec<TagStamp>,
}

/// What a mark has dropped and kept aside: answer to [`Store::aside`]. No entry any more: a write has invalidated it.
#[derive(Clone, Debug)]
pub struct Aside {
    /// Epoch of the dataset that answered.
    pub epoch: Epoch,
    /// The store's clock when it answered, exactly: the window ends by it.
    pub now: StoreTime,
    /// When the mark dropped it, on the same clock.
    pub since: StoreTime,
    /// The bytes that were stored.
    pub blob: Bytes,
}

/// What [`Store::mark`] is asked for.
#[derive(Clone, Copy, Debug)]
pub struct MarkRequest<'a> {
    /// This attempt's random id. Marked again after its clear, it would be solo anew: an attempt that is repeated needs another
    /// id, or its clear must carry no puts.
    pub writer: WriterId,
    /// How others find out whether the writer is finished.
    pub origin: &'a Origin,
    /// Everything the write changes.
    pub subjects: &'a [Subject],
    /// Random number for the tags' new generations; as in [`LeaseRequest::seed`].
    pub seed: u64,
    /// Generations live at least this long.
    pub tag_ttl: Duration,
}

/// Answer to [`Store::mark`]: every subject is fenced.
#[derive(Clone, Debug)]
pub struct Marked {
    /// Epoch of the node that holds each subject, in the order asked.
    pub epochs: Vec<Epoch>,
    /// The store's clock.
    pub now: StoreTime,
    /// The places of the subjects on which queued writes stand.
    pub queued: Vec<usize>,
    /// Who may still hold what was marked in his own memory.
    pub sharers: Sharers,
}

/// A value to install at clear.
#[derive(Clone, Debug)]
pub struct Put {
    /// The entry; its subject is among those cleared, and the entry has no tags.
    pub key: EntryKey,
    /// The encoded entry, stamped with the epoch of the mark.
    pub blob: Bytes,
    /// Time until the entry is useless.
    pub ttl: Duration,
    /// As in [`FillRequest::aside`].
    pub aside: Duration,
    /// The epoch of the mark; a put in any other is refused.
    pub epoch: Epoch,
}

/// What [`Store::clear`] is asked for.
#[derive(Clone, Copy, Debug)]
pub struct ClearRequest<'a> {
    /// The id the mark was set with.
    pub writer: WriterId,
    /// Everything that was marked.
    pub subjects: &'a [Subject],
    /// Values to install where nobody else wrote in between.
    pub puts: &'a [Put],
    /// Random number for the tags' new generations; as in [`LeaseRequest::seed`].
    pub seed: u64,
    /// Generations live at least this long.
    pub tag_ttl: Duration,
}

/// Answer to [`Store::clear`]: no fence of the writer stands, and entries, leases and generations from before are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// Whether the writer's fence still stood on every subject. If not, it was lost, or lifted by a reader who knew that the
    /// writer was finished, and entries may have been filled since.
    pub intact: bool,
    /// How many of the puts were installed.
    pub installed: usize,
}

/// A part of a store that may fail while the others answer, such as one node of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shard(pub u64);

/// The shared tier. Commands on one subject are atomic and happen in one order; an error says that a command may or may
/// not have been carried out. A store never waits longer than its connection needs to answer or fail: deadlines, the
/// breaker and retries are the engine's.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Reads an entry and the generations of its tags in one round trip; without tags this is one command.
    fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found>;

    /// Asks for permission to fill. In one atomic step per subject: lifts the fences of `finished` writers; if any fence
    /// stands (on the subject or a tag), answers `Fenced`; if an entry of the current epoch stands and not `force`, answers
    /// `Present`; if an unlapsed token stands, answers `Busy`; else stores the token and answers `Granted`. Generations of
    /// tags are read, or made, before the answer; a token that was granted while a tag is fenced is given back.
    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased>;

    /// Stores an entry if no fence stands and the token is the stored one, lapsed or not; drops the token.
    fn fill<'a>(&'a self, request: FillRequest<'a>) -> StoreResult<'a, Filled>;

    /// Gives a lease back without filling, so that the next reader need not wait for it to lapse. A token that is not the
    /// live one changes nothing.
    fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()>;

    /// Fences every subject: drops entries and tokens (a tag: sets a new generation), and records the writer; `solo` holds
    /// for a writer who found no other fence and is lost to all others when another writer marks. Idempotent. `Ok` only when all are fenced.
    fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked>;

    /// Lifts the writer's fences and drops entries and tokens again (a tag: sets a new generation, always, and only then
    /// lifts). A put is installed only if the writer's solo bit still stood, no fence stands after it, and the dataset is
    /// still in the put's epoch. Idempotent, also where the fence is already gone. `Ok` only when the current master
    /// acknowledged all of it.
    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared>;

    /// What the last mark that dropped entries of the subject has kept aside of this one. Nothing where no entry of the subject
    /// asked for that, once the longest window that they asked for is over, and at any time the store needs the room. Marks that
    /// found nothing, and clears, leave it as it is. Never an entry: it answers no [`get`](Self::get) and no
    /// [`lease`](Self::lease). A store that keeps nothing has the default.
    fn aside<'a>(&'a self, _key: &'a EntryKey) -> StoreResult<'a, Option<Aside>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// As [`get`](Self::get) for each; a store that can sends all in one round trip. By default each is asked for by itself, side
    /// by side.
    fn get_many<'a>(&'a self, requests: &'a [GetRequest<'a>]) -> Answers<'a, Found> {
        side_by_side(requests, |request| self.get(request.key, request.tags))
    }

    /// As [`lease`](Self::lease) for each, each atomic by itself; a store that can sends all in one round trip.
    fn lease_many<'a>(&'a self, requests: &'a [LeaseRequest<'a>]) -> Answers<'a, Leased> {
        side_by_side(requests, |request| self.lease(*request))
    }

    /// As [`fill`](Self::fill) for each, each atomic by itself; a store that can sends all in one round trip. The tags of an
    /// entry are read after its fill.
    fn fill_many<'a>(&'a self, requests: &'a [FillRequest<'a>]) -> Answers<'a, Filled> {
        side_by_side(requests, |request| self.fill(*request))
    }

    /// As [`release`](Self::release) for each.
    fn release_many<'a>(&'a self, leases: &'a [(EntryKey, Token)]) -> Answers<'a, ()> {
        side_by_side(leases, |(key, token)| self.release(key, *token))
    }

    /// Makes all entries of a namespace worthless, whatever their number: from some moment on, their epoch is no answer's any more.
    /// `Ok` tells how long after the answer that moment is, at most, for everybody who uses the store. An error says what may
    /// still be there. Leases and fences of writes stay; what is filled under a lease from before is worthless, too.
    fn clear_namespace<'a>(&'a self, _namespace: &'a Namespace, _seed: u64) -> StoreResult<'a, Duration> {
        let words = "this store cannot clear a namespace";
        Box::pin(std::future::ready(Err(StoreError::new(StoreErrorKind::Rejected, words))))
    }

    /// Shows a queued write to all readers of its subject. In one atomic step: unless a write of the same journal stands there
    /// with a later position, or with the same one and settled, drops entries and tokens as a mark does, and keeps this one until it is settled.
    /// While it stands, a lease answers it and grants nothing. It has no expiry and goes with no clear.
    fn pend<'a>(&'a self, _request: PendRequest<'a>) -> StoreResult<'a, Sharers> {
        let words = "this store shows no queued writes";
        Box::pin(std::future::ready(Err(StoreError::new(StoreErrorKind::Rejected, words))))
    }

    /// The writes of a journal up to a position are in the database, those of this subject among them: drops entries and tokens
    /// again, and what [`pend`](Self::pend) keeps, if it is of this journal and not of a later position. The position stays known for a minute, so
    /// that a pend that was on its way for so long changes nothing.
    fn settle<'a>(
        &'a self,
        _subject: &'a Subject,
        _journal: JournalId,
        _position: Position,
    ) -> StoreResult<'a, ()> {
        let words = "this store shows no queued writes";
        Box::pin(std::future::ready(Err(StoreError::new(StoreErrorKind::Rejected, words))))
    }

    /// The queued write that stands on a subject, if any.
    fn queued<'a>(&'a self, _subject: &'a Subject) -> StoreResult<'a, Option<Queued>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// As [`pend`](Self::pend) for each; a store that can sends all in one round trip.
    fn pend_many<'a>(&'a self, requests: &'a [PendRequest<'a>]) -> Answers<'a, Sharers> {
        side_by_side(requests, |request| self.pend(*request))
    }

    /// Whether each of these queued writes is shown: it, or a later one of its journal, by the dataset of this moment. A store that can
    /// asks in one round trip, and takes the values for none of its business.
    fn show_many<'a>(&'a self, requests: &'a [PendRequest<'a>]) -> Answers<'a, bool> {
        side_by_side(requests, |request| {
            let (journal, position) = (request.journal, request.position);
            Box::pin(async move {
                let shown = self.queued(&request.key.subject).await?;
                Ok(shown.is_some_and(|shown| {
                    shown.is_of_epoch && shown.journal == journal && shown.position >= position
                }))
            })
        })
    }

    /// As [`settle`](Self::settle) for each; a store that can sends all in one round trip.
    fn settle_many<'a>(
        &'a self,
        subjects: &'a [Subject],
        journal: JournalId,
        position: Position,
    ) -> Answers<'a, ()> {
        side_by_side(subjects, move |subject| self.settle(subject, journal, position))
    }

    /// Which part of the store holds a subject, as far as is known now. Parts are rested one by one when they do not answer, so
    /// a part that is gone costs its share of the keys only. A store in one piece keeps the default: one shard.
    fn shard(&self, _subject: &Subject) -> Shard {
        Shard::default()
    }

    /// How many connections it has made so far. Another number than before says that it was away in between, or that a part of it is
    /// reached anew: somebody may have written meanwhile who did not reach it. A store that cannot be away keeps the default.
    fn connections(&self) -> u64 {
        0
    }

    /// Returns when all of these have acknowledged what they were told; never, where only time tells. The engine waits no longer
    /// than [`LEASE`](crate::bus::LEASE). Dropped at any time, nothing is lost.
    fn acknowledged<'a>(&'a self, sharers: &'a Sharers) -> BoxFuture<'a, ()> {
        match sharers.is_empty() {
            true => Box::pin(std::future::ready(())),
            false => Box::pin(std::future::pending()),
        }
    }

    /// A whole lease has passed since these were to acknowledge something: whoever of them has asked for no lease since holds
    /// nothing any more, and nobody need wait for him again.
    fn forget<'a>(&'a self, _sharers: &'a Sharers) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    /// From now on tells this listener of all writes in a namespace, by the rules of [`crate::bus`], and vouches for that as far as it
    /// can. It is let go of when its owner is. Called once, when a cache with an L1 is built.
    ///
    /// # Errors
    /// One sentence that says why this store never will, and what to do: then there can be no L1 over it. A store that hears of no
    /// writes has the default.
    fn join(&self, _namespace: &Namespace, _listener: Weak<dyn Listener>) -> Result<(), String> {
        Err(format!("the store ({}) does not tell of what others write: leave `.l1(…)` out", self.describe()))
    }

    /// One line that names the store and where it is, without secrets.
    fn describe(&self) -> String;
}
