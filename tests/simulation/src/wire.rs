//! What is under way between instances, store and database: requests, answers, and what the servers have yet to do. Refuses to
//! keep an order: any message may overtake any other.

use std::time::Duration;

use bytes::Bytes;
use cache_core::error::StoreErrorKind;
use cache_core::key::Namespace;
use cache_core::store::{Aside, Cleared, Filled, Found, Leased, Marked, Origin, Put};
use cache_core::subject::{EntryKey, Subject, Token, WriterId};

use crate::database::{Version, Xid};
use crate::job::Job;
use crate::world::OpId;

/// A question that somebody waits for.
pub type CallId = u64;

/// A command of the seam, with what it borrows.
#[derive(Clone, Debug)]
pub enum Command {
    Get {
        key: EntryKey,
        tags: Vec<Subject>,
    },
    Lease {
        key: EntryKey,
        tags: Vec<Subject>,
        token: Token,
        duration: Duration,
        force: bool,
        over: Option<[u8; 8]>,
        finished: Vec<WriterId>,
        seed: u64,
        tag_ttl: Duration,
    },
    Fill {
        key: EntryKey,
        tags: Vec<Subject>,
        token: Token,
        blob: Bytes,
        ttl: Duration,
        aside: Duration,
    },
    Aside {
        key: EntryKey,
    },
    Release {
        key: EntryKey,
        token: Token,
    },
    Mark {
        writer: WriterId,
        origin: Origin,
        subjects: Vec<Subject>,
        seed: u64,
        tag_ttl: Duration,
    },
    Clear {
        writer: WriterId,
        subjects: Vec<Subject>,
        puts: Vec<Put>,
        seed: u64,
        tag_ttl: Duration,
    },
    ClearNamespace {
        namespace: Namespace,
        seed: u64,
    },
}

/// What the store says.
#[derive(Clone, Debug)]
pub enum StoreSays {
    Found(Found),
    Leased(Leased),
    Filled(Filled),
    Aside(Option<Aside>),
    Released,
    Marked(Marked),
    Cleared(WriterId, Cleared),
    ClearedNamespace,
}

/// A statement.
#[derive(Clone, Debug)]
pub enum Sql {
    Begin,
    Write(Xid, usize),
    /// Writes a row in a transaction of its own.
    WriteAlone(usize),
    Savepoint(Xid),
    Release(Xid),
    RollBackTo(Xid),
    Identify(Xid),
    Commit(Xid),
    RollBack(Xid),
    Read(Vec<usize>),
    Finished(Vec<(Xid, WriterId)>),
}

/// What the database says.
#[derive(Clone, Debug)]
pub enum SqlSays {
    Begun(Xid),
    Wrote(Version),
    Done,
    Open(bool),
    Versions(Vec<Version>),
    Finished(Vec<WriterId>),
}

/// Why a statement failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlError {
    /// The session was lost; what was sent may or may not have been carried out.
    Lost,
    /// The transaction is not open any more.
    Gone,
    /// The COMMIT was refused, and the transaction is undone.
    Refused,
    /// The statement was turned away.
    Busy,
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Says {
    Store(Result<StoreSays, StoreErrorKind>),
    Sql(Result<SqlSays, SqlError>),
}

/// What a message carries.
#[derive(Clone, Debug)]
pub enum Cargo {
    Store(Box<Job>),
    Sql(Sql),
    Answer(Says),
    /// The database is about to show a transaction.
    Show(Xid, Option<Says>),
    /// The database is about to notice that a transaction's client is gone.
    Abort(Xid),
}

/// Something under way.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: u64,
    /// The process that sent it or is to get it.
    pub process: usize,
    /// The question it belongs to.
    pub call: CallId,
    /// On whose behalf; `None` for work in the background.
    pub op: Option<OpId>,
    /// How likely it is to be the next.
    pub weight: u32,
    /// Not before this time.
    pub not_before: Duration,
    pub cargo: Cargo,
}

impl Message {
    /// The same, at another pace, with nothing in it.
    pub fn at(&self, weight: u32) -> Self {
        Self { weight, cargo: Cargo::Abort(0), ..*self }
    }

    /// Whether it is between a process and the store.
    pub fn is_of_store(&self) -> bool {
        matches!(self.cargo, Cargo::Store(_) | Cargo::Answer(Says::Store(_)))
    }

    /// Whether it is between a process and the database.
    pub fn is_of_database(&self) -> bool {
        matches!(self.cargo, Cargo::Sql(_) | Cargo::Answer(Says::Sql(_)))
    }
}
