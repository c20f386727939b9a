//! What a write names and what a read stores under it. Refuses to know how names are built (see [`crate::key`]).

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Whether a subject is one thing or a group of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One thing, such as `user:42`; a mark drops its entries.
    Entity,
    /// An invalidation group, such as `org:7:members`; a mark gives it a new generation.
    Tag,
}

/// What a write names: a thing (`user:42`) or a tag (`org:7:members`), inside a namespace. Holds no schema version, so old
/// and new releases running side by side invalidate each other's entries.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    kind: Kind,
    name: Arc<str>,
    full: Option<Arc<str>>,
}

impl Subject {
    /// A subject of this name in a store; `full` is its whole text where `name` ends in a digest of it.
    pub(crate) fn new(kind: Kind, name: impl Into<Arc<str>>, full: Option<Arc<str>>) -> Self {
        Self { kind, name: name.into(), full }
    }

    /// Thing or tag.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name stores use: namespace and text, never longer than 240 bytes, without braces, blanks or control characters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A number that stands for the name where two names may share one: what a [`Listener`](crate::bus::Listener) is told. The same in
    /// every process and release; of the name, since not everybody who writes knows the whole text.
    #[must_use]
    pub fn stripe(&self) -> u64 {
        xxh3_64(self.name.as_bytes())
    }

    /// The whole text where the name was shortened by a digest; entries carry it to be compared.
    #[must_use]
    pub fn full(&self) -> Option<&str> {
        self.full.as_deref()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.full.as_deref().unwrap_or(&self.name))
    }
}

/// Where an entry lives: a field under its subject. The field is a fingerprint of value schema, key template and declared
/// tags, so that releases that disagree about any of them never read each other's entries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntryKey {
    /// The subject a write would name.
    pub subject: Subject,
    /// Fingerprint of schema, template and tags.
    pub field: u64,
}

impl EntryKey {
    /// Field and subject in one number, which every entry carries: a whole and current entry of another row, brought by a reply
    /// that went astray or a key that somebody copied, is no entry of this one.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        xxh3_64_with_seed(self.subject.name().as_bytes(), self.field)
    }

    /// The field as stores write it: 16 hexadecimal digits.
    #[must_use]
    pub fn field_text(&self) -> String {
        format!("{:016x}", self.field)
    }
}

/// Where a record stands in its journal: later ones are greater. Nothing stands at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u128);

/// Who counts the positions. A database remembers how far it has applied each journal by this.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct JournalId(pub u128);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Identity of one attempt to write: random, so that a late CLEAR of one attempt never lifts another's fence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WriterId(pub u128);

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for WriterId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// Permission to fill one entry, unique to one load. Any mark on the subject voids it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// Identity of a store's dataset. Entries of another epoch are misses: they may have missed invalidations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Epoch(pub u64);

/// A tag's random stamp. A tag that was lost gets a new one, so old entries die; a counter would start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Generation(pub u64);

/// A tag's state as one answer saw it. Two stamps are the same stamp only if both parts agree and a generation is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagStamp {
    /// Epoch of the node that holds the tag.
    pub epoch: Epoch,
    /// The tag's generation; `None` when it was lost or never made.
    pub generation: Option<Generation>,
}
