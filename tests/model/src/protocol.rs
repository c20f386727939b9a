//! What a row of the model checks: a protocol as a value. Refuses to say how its steps are carried out.

/// Everything that varies from row to row.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// What every writer does, in this order.
    pub writer: Vec<Step>,
    /// How many writers there are, at most [`crate::state::WRITERS`]. Each writes once.
    pub writers: usize,
    /// What the store and the readers hold on to.
    pub cache: Cache,
    /// Who reads. Each reads again and again, without an end.
    pub readers: Readers,
    /// What goes wrong.
    pub faults: Faults,
}

/// A step of a writer. Every command to the store may be carried out and its answer be lost, or be lost itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opens the transaction and locks the row.
    Begin,
    /// Sets the fence and drops what is stored. Without an answer the write is refused.
    Mark,
    /// As [`Step::Mark`]; without an answer the write goes on all the same.
    MarkOrProceed,
    /// As [`Step::Mark`]; without an answer the write goes on with a row in the outbox, and only the relay invalidates.
    MarkOrOutbox,
    /// Waits until no L1 serves what was marked: each has applied the invalidation, or its lease has ended.
    AwaitNear,
    /// Compares the epoch in the database with the mark's, and marks again if it is another; holds up the next epoch from
    /// here to the end of the transaction.
    CheckEpoch,
    /// COMMIT: becomes durable, then visible, then is answered. It may be refused.
    Commit,
    /// Drops the entry, nothing else. Repeated until answered.
    Delete,
    /// Drops the entry and the lease; a tag gets a new generation. Repeated until answered.
    Invalidate,
    /// Writes the new value over whatever stands.
    SetValue,
    /// Writes the new value if what stands is older.
    SetIfNewer,
    /// Lifts the fence and drops again. Repeated until answered.
    Clear,
    /// CLEAR, sent once; the writer goes on whether or not it was carried out.
    TryClear,
    /// CLEAR that installs the new value where that is allowed. Repeated until answered.
    ClearAndPut(PutRule),
    /// Returns `Ok` to the caller.
    Return,
}

/// When a writer may install its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutRule {
    /// Only if no other writer's fence stood since its mark.
    pub alone: bool,
    /// Only in the epoch of its mark.
    pub same_epoch: bool,
}

/// What the store and the readers hold on to.
#[derive(Clone, Debug)]
pub struct Cache {
    /// What a fill needs.
    pub filling: Filling,
    /// Who lifts the fence of a writer that is gone.
    pub healing: Healing,
    /// How entries of another dataset are told apart.
    pub epochs: Epochs,
    /// An L1 in every reader.
    pub near: Option<Near>,
    /// Invalidates what has committed, some time later.
    pub relay: Option<Relay>,
}

/// What a fill needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filling {
    /// Nothing.
    Anyway,
    /// What stands is older, or nothing stands.
    IfNewer,
    /// A lock was taken before the load; it is not compared again.
    Locked,
    /// The lease that is stored.
    Leased,
    /// The lease that is stored, and no fence.
    Fenced,
    /// No fence, and the lease is not another's: a fill whose lease is gone is accepted.
    FencedUnlessReplaced,
    /// A generation of a tag, read before the load; entries live as long as it stands.
    Tagged(Tag),
}

/// How a tag is kept. The write marks the tag only, so no lease protects the entry; the model needs none to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Whether CLEAR sets a new generation too.
    pub clear_rotates: bool,
    /// When the readers know which tag it is.
    pub known: Known,
    /// Where the tag is kept.
    pub shard: Shard,
    /// Whether an entry's stamp names the epoch of the tag's node besides the generation.
    pub stamps_epoch: bool,
    /// What a lost generation becomes.
    pub lost: Lost,
}

/// When the readers know an entry's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// They are declared: generation and fence are read before the load, and a fence forbids to fill.
    BeforeLoad,
    /// Only from the value: a sequence number is read before the load, and compared when the value is there.
    FromValue,
}

/// Where a tag is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shard {
    /// With the entry.
    Same,
    /// On the nodes that may fail over; the entry is elsewhere and stays.
    Other,
}

/// What a lost generation becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// One that nobody has seen.
    MadeAnew,
    /// The first one again, as a counter would.
    Restarted,
}

/// Who lifts the fence of a writer that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healing {
    /// Nobody.
    Nobody,
    /// Time, whatever the writer does.
    Expiry,
    /// A reader, once the writer's transaction is aborted, or committed and visible.
    ByTransaction,
    /// A reader, once the writer's transaction is aborted or durable, visible or not.
    ByDurability,
    /// Time, for a writer that nobody can be asked about.
    ByAge(Orphan),
}

/// A write without a transaction id, when its fence is old enough to be lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphan {
    /// Its statement is over by then.
    IsOver,
    /// Its client is dead, but its statement may still run.
    MayStillRun,
}

/// How entries of another dataset are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epochs {
    /// Not at all.
    Ignored,
    /// Each entry carries the epoch of its LEASE, and each reader compares it with its connection's.
    Stamped,
    /// The same, with the epoch of the node that carried the FILL out.
    StampedAtFill,
    /// The epoch is kept in the database; readers hold it as a lease, writers check it in their transaction.
    Strict(NewEpoch),
}

/// What opening a new epoch waits for, and when readers ask which epoch it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEpoch {
    /// Also where a LEASE is answered with an entry, and not only before the read.
    pub compares_at_lease: bool,
    /// Until no reader holds the old epoch.
    pub awaits_readers: bool,
    /// Until no transaction has checked the old epoch and is still in flight.
    pub awaits_writers: bool,
}

/// An L1 in every reader, valid while its volume lease lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    /// Insert only if nothing was invalidated since the read began.
    pub compares_moves: bool,
    /// Forget everything when the connection that carries the invalidations is lost.
    pub flushes: bool,
    /// A renewed lease proves that earlier invalidations were applied.
    pub renews_in_order: bool,
    /// Whom a writer waits for.
    pub awaits: Awaits,
    /// When a lease is renewed.
    pub renewal: Renewal,
}

/// Whom a writer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// Every L1.
    All,
    /// Those that MARK finds on the list of who reads the entry.
    Listed(List),
}

/// How the list of who reads an entry is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// A reader is on it before it reads what it keeps; else from when it keeps it.
    pub comes_first: bool,
    /// Who was told stays on it until he has heard; else MARK takes him off.
    pub stays: bool,
}

/// When a lease is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// At once.
    AtOnce,
    /// The answer comes later than the question was carried out, and counts from when it was asked.
    FromQuestion,
    /// The same, and counts from when it comes.
    FromAnswer,
}

/// Invalidates what has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// From the log: an event may come before the change is visible.
    Early,
    /// An event is held back until the change is visible.
    WhenVisible,
    /// Rows of an outbox, written only where the mark failed.
    Outbox,
}

/// Who reads, and how.
#[derive(Clone, Debug)]
pub struct Readers {
    /// How many, at most [`crate::state::READERS`].
    pub count: usize,
    /// How many of them, the last ones, are in another process.
    pub elsewhere: usize,
    /// Where they load from.
    pub source: Source,
    /// Whether a reader may load although an entry stands.
    pub refreshes: bool,
    /// Whether each read begins with a look at the outbox, and bypasses the store while there is a row.
    pub asks_outbox: bool,
    /// How the readers of one process share their loads.
    pub sharing: Sharing,
}

/// Where readers load from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The primary, by a statement that begins after the lease was granted.
    Primary,
    /// A transaction whose snapshot is older than the lease.
    OlderSnapshot,
    /// A replica that lags behind.
    Replica,
}

/// Who takes the result of another's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody: everybody loads alone.
    Alone,
    /// Everybody who waits: plain single-flight.
    Anyone,
    /// Who may, by this rule.
    Rule(JoinRule),
}

/// The join rule of `cache_core::freshness::may_take`, with its parts to take out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinRule {
    /// Nobody joins once the FILL was sent.
    pub seals: bool,
    /// An entry that a LEASE found goes only to those who came before that command was carried out.
    pub counts_asks: bool,
    /// A fill counts as accepted only if the answer says so.
    pub needs_answer: bool,
    /// A fill counts as accepted only in the epoch of its lease.
    pub compares_epoch: bool,
    /// A fill counts as accepted only if no generation moved until it was carried out.
    pub compares_tags: bool,
}

impl JoinRule {
    /// The rule as it is built.
    pub const WHOLE: Self = Self {
        seals: true,
        counts_asks: true,
        needs_answer: true,
        compares_epoch: true,
        compares_tags: true,
    };
}

/// What goes wrong, as often as it likes where no number is given. Lost answers are in every row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// How many writers die, at any step; also what a writer does whose COMMIT is not answered.
    pub crashes: u8,
    /// Leases lapse; a lapsed one may be replaced.
    pub leases_lapse: bool,
    /// Leases are lost.
    pub leases_evicted: bool,
    /// Entries are lost.
    pub entries_evicted: bool,
    /// Fences are lost, by eviction or FLUSHALL.
    pub fences_lost: bool,
    /// Generations of tags are lost.
    pub generations_lost: bool,
    /// A read is dropped half-way; a FILL that is under way then arrives late.
    pub reads_dropped: bool,
    /// The connection of an L1 is cut.
    pub near_cut: bool,
    /// The node fails over, once.
    pub failover: Failover,
}

/// How a node fails over. What it held is replicated whole, some time before, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failover {
    /// It does not.
    #[default]
    Never,
    /// Everybody moves at once, and what was not replicated is lost.
    Lossy,
    /// The old node lives on, and clients move when they like.
    SplitBrain,
}
