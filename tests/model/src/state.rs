//! One moment of the modelled world: the database, two nodes of a store, the writers and the readers. Refuses to move.

mod names;
mod set;

use crate::system::Unnamed;

pub use set::Set;

/// Most writers a protocol may have.
pub const WRITERS: usize = 2;
/// Most readers a protocol may have.
pub const READERS: usize = 3;

/// A token or a generation that no node knows any more.
const FORGOTTEN: u8 = 31;

/// A value is the number of the write that made it; 0 is from before all.
pub type Version = u8;

/// A tag as an entry remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagStamp {
    /// Its generation.
    pub generation: u8,
    /// The node that gave it, where stamps name it; else 0.
    pub epoch: u8,
}

impl TagStamp {
    const FORGOTTEN: Self = Self { generation: FORGOTTEN, epoch: 0 };
}

/// What a read stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// Its value.
    pub value: Version,
    /// The epoch it is stamped with.
    pub epoch: u8,
    /// The tag it was stamped with.
    pub tag: Option<TagStamp>,
}

/// Permission to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    /// Its token.
    pub token: u8,
    /// Whether the next LEASE may replace it.
    pub lapsed: bool,
}

/// A node of the store. Its number is its epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// The entry.
    pub entry: Option<Entry>,
    /// The lease on it.
    pub lease: Option<Lease>,
    /// The writers whose fences stand.
    pub fences: Set,
    /// The writer who found no other fence and met none since.
    pub solo: Option<u8>,
    /// The tag's generation.
    pub generation: Option<u8>,
}

/// How far a transaction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transaction {
    /// Not begun.
    #[default]
    None,
    /// Begun; it holds the row's lock.
    Active,
    /// COMMIT was sent.
    Committing,
    /// Nothing can undo it, but nobody sees it yet.
    Durable,
    /// Everybody sees it.
    Visible,
    /// Undone.
    Aborted,
}

impl Transaction {
    /// Whether it can no longer change anything.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::None | Self::Visible | Self::Aborted)
    }
}

/// How a writer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Life {
    /// It works.
    #[default]
    Running,
    /// Its write was refused or rolled back; it still tries to lift its fence.
    Lifting,
    /// It died, or it is done with a write that was not made.
    Gone,
}

/// A writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Writer {
    /// Its next step.
    pub step: u8,
    /// How it is.
    pub life: Life,
    /// Its transaction.
    pub transaction: Transaction,
    /// What it made.
    pub version: Version,
    /// The node it talks to.
    pub node: u8,
    /// The node that it marked.
    pub marked_on: u8,
    /// Whether its transaction holds up the next epoch.
    pub holds_epoch: bool,
    /// Whether a MARK of a refused write is still under way.
    pub mark_under_way: bool,
    /// Whether its transaction writes a row into the outbox.
    pub outbox: bool,
}

/// Where a reader is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// Between two reads.
    #[default]
    Idle,
    /// About to look into the outbox.
    Outbox,
    /// About to look into the store.
    Look,
    /// Has an entry, about to read its tag.
    LookTag,
    /// Missed, about to join or lead a flight.
    Enter,
    /// Waits for the flight's leader.
    Joined,
    /// About to ask for a lease.
    Lease,
    /// Its LEASE was answered with an entry.
    Found,
    /// About to load.
    Load,
    /// Has loaded, about to seal the flight.
    Seal,
    /// About to fill.
    Fill,
    /// Filled, about to read the tag again.
    Compare,
    /// Waits for the answer to its FILL.
    Answer,
    /// About to keep the value in its L1.
    Keep,
}

/// The least that a read may return without breaking A, B or C.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Floor {
    /// The newest write that had returned when it began.
    pub returned: Version,
    /// The newest write that was visible.
    pub visible: Version,
    /// The newest value that any read had returned.
    pub seen: Version,
}

/// An L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NearState {
    /// What it holds.
    pub value: Option<Version>,
    /// Whether its volume lease lasts.
    pub leased: bool,
    /// Whether something was invalidated since the read began.
    pub moved: bool,
    /// Invalidations under way, by writer.
    pub pushes: Set,
    /// The writers whose marks have found it on the list of who reads the entry.
    pub awaited: Set,
    /// How it stands on that list.
    pub listed: Listed,
    /// A renewal whose answer is under way, and the invalidations that come before that.
    pub asked: Option<Set>,
}

/// How an L1 stands on the list of who reads the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Listed {
    /// It does not.
    #[default]
    No,
    /// It reads.
    Reads,
    /// It was told, and has not said that it has heard.
    Told,
}

impl Default for NearState {
    fn default() -> Self {
        Self {
            value: None,
            leased: true,
            moved: false,
            pushes: Set::default(),
            awaited: Set::default(),
            listed: Listed::No,
            asked: None,
        }
    }
}

/// What a reader remembers of the read it is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Read {
    /// Where it is.
    pub at: At,
    /// What it must not fall below.
    pub floor: Floor,
    /// The value it has.
    pub value: Version,
    /// Whether the value is of a snapshot from before the lease.
    pub has_snapshot: bool,
    /// Its lease.
    pub token: Option<u8>,
    /// The epoch to stamp with.
    pub epoch: u8,
    /// The tag to stamp with, or the one of the entry it found.
    pub tag: Option<TagStamp>,
    /// Whether the store took its fill, as far as others may rely on it.
    pub filled: bool,
    /// Whom it waits for.
    pub leader: u8,
    /// How far the flight was when it came.
    pub arrival: Stage,
    /// Whether it came before the leader's last LEASE was carried out.
    pub before_ask: bool,
}

/// How far a flight is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Nothing is loaded yet.
    #[default]
    Pending,
    /// The loader runs, or has run.
    Loading,
    /// The FILL goes out, or is out.
    Sealed,
}

/// A FILL whose reader is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LateFill {
    /// What would be stored.
    pub entry: Entry,
    /// With which lease.
    pub token: Option<u8>,
    /// On which node.
    pub node: u8,
}

/// A reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reader {
    /// The read it is at.
    pub read: Read,
    /// Whether it is in another process than the others.
    pub elsewhere: bool,
    /// The node it talks to.
    pub node: u8,
    /// Its L1.
    pub near: NearState,
    /// The epoch it holds a lease on.
    pub epoch_lease: Option<u8>,
    /// A FILL of a read that was dropped.
    pub late: Option<LateFill>,
}

/// Promises that the last step broke, by number.
pub type Broken = [bool; 3];

/// One moment of the modelled world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    /// The newest visible write.
    pub visible: Version,
    /// How many writes are durable.
    pub durable: Version,
    /// The newest write that has returned.
    pub returned: Version,
    /// The newest value that any read has returned.
    pub seen: Version,
    /// How far the replica of the database is.
    pub replica: Version,
    /// The two nodes; the second takes over when the first fails.
    pub nodes: [Node; 2],
    /// Which node is the master.
    pub master: u8,
    /// The epoch that the database names.
    pub epoch: u8,
    /// Whether no reader gets a lease on the epoch.
    pub draining: bool,
    /// The writers.
    pub writers: [Writer; WRITERS],
    /// The readers.
    pub readers: [Reader; READERS],
    /// The leader of the flight that arrivals join.
    pub flight: Option<u8>,
    /// Commits that the relay has yet to invalidate.
    pub relay: Set,
    /// How many writers have died.
    pub crashes: u8,
    /// What the last step broke.
    pub broken: Broken,
}

impl World {
    /// A token nobody holds. (Tokens are random: all that counts is who holds the same.)
    #[must_use]
    pub fn new_token(&self) -> u8 {
        let stored = self.nodes.iter().filter_map(|node| Some(node.lease?.token));
        let held = self.readers.iter().filter_map(|reader| reader.read.token);
        let late = self.readers.iter().filter_map(|reader| reader.late?.token);
        smallest_free(stored.chain(held).chain(late))
    }

    /// A generation nobody remembers.
    #[must_use]
    pub fn new_generation(&self) -> u8 {
        let current = self.nodes.iter().filter_map(|node| node.generation);
        let stored = self.nodes.iter().filter_map(|node| Some(node.entry?.tag?.generation));
        let held = self.readers.iter().filter_map(|reader| Some(reader.read.tag?.generation));
        let late = self.readers.iter().filter_map(|reader| Some(reader.late?.entry.tag?.generation));
        smallest_free(current.chain(stored).chain(held).chain(late).chain([0]))
    }
}

fn smallest_free(used: impl Iterator<Item = u8>) -> u8 {
    let used = used.fold(0_u32, |set, number| set | 1 << number);
    used.trailing_ones() as u8
}

/// A world, up to the names of its writers and readers.
pub type State = Unnamed<World>;
