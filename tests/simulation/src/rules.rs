//! The rules that a run can be made to break, by name. Refuses to know what they do: those of the engine are the test kit's,
//! those of a store are kept by [`crate::dataset`].

use std::fmt;

use cache_core::testkit::Rule;

/// A rule that a store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreRule {
    /// A fill needs the stored token. Without it: any fill is accepted while no fence stands.
    FillChecksToken,
    /// A mark drops the subject's tokens.
    MarkVoidsLeases,
    /// A mark drops the subject's entries.
    MarkDropsEntries,
    /// Nobody gets a lease while a fence stands.
    FenceRefusesLeases,
    /// A mark gives a tag a new generation.
    MarkRotatesTags,
    /// A clear drops entries and tokens again, and gives a tag a new generation.
    ClearDropsAgain,
    /// A generation that was lost never comes back.
    GenerationsAreNew,
    /// A written value is installed only by a writer who was alone.
    PutsNeedSolo,
    /// What a mark has dropped is kept for its window, and grows older meanwhile.
    AsideAges,
    /// A mark that drops nothing leaves the time of what an earlier one has dropped.
    AsideKeepsItsTime,
}

/// Something taken out of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// A rule of the engine.
    Engine(Rule),
    /// A rule of the store.
    Store(StoreRule),
}

/// A rule that may be broken.
#[derive(Clone, Copy, Debug)]
pub struct Mutation {
    /// Its name on the command line.
    pub name: &'static str,
    /// What happens without it.
    pub without: &'static str,
    /// What is taken out: one rule, or two where one covers for the other.
    pub broken: &'static [Broken],
    /// So many seeds from 0 are enough to find it.
    pub budget: u64,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn rule(name: &'static str, without: &'static str, broken: &'static [Broken], budget: u64) -> Mutation {
    Mutation { name, without, broken, budget }
}

use Broken::{Engine, Store};

/// Every rule that may be broken.
pub const MUTATIONS: &[Mutation] = &[
    rule("fill-checks-token", "fill without the token check", &[Store(StoreRule::FillChecksToken)], 4_000),
    rule("mark-voids-leases", "a mark leaves tokens", &[Store(StoreRule::MarkVoidsLeases)], 20_000),
    rule("mark-drops-entries", "a mark leaves entries", &[Store(StoreRule::MarkDropsEntries)], 4_000),
    rule(
        "mark-rotates-tags",
        "a mark leaves a tag's generation",
        &[Store(StoreRule::MarkRotatesTags)],
        4_000,
    ),
    rule(
        "fence-refuses-leases",
        "leases are granted under a fence",
        &[Store(StoreRule::FenceRefusesLeases)],
        4_000,
    ),
    rule(
        "clear-drops-again",
        "a clear drops nothing and does not rotate tags, and a lost fence is not set again",
        &[Store(StoreRule::ClearDropsAgain), Engine(Rule::LostFenceSetAgain)],
        4_000,
    ),
    rule(
        "generations-are-new",
        "a tag that was lost starts counting again",
        &[Store(StoreRule::GenerationsAreNew)],
        4_000,
    ),
    rule(
        "puts-need-solo",
        "a written value is installed over another's",
        &[Store(StoreRule::PutsNeedSolo)],
        4_000,
    ),
    rule("aside-ages", "what a mark has dropped never grows old", &[Store(StoreRule::AsideAges)], 4_000),
    rule(
        "aside-keeps-its-time",
        "the window begins anew with every mark",
        &[Store(StoreRule::AsideKeepsItsTime)],
        4_000,
    ),
    rule("sealed-flights", "plain single-flight", &[Engine(Rule::SealedFlights)], 4_000),
    rule("seal-before-fill", "seal after the FILL instead of before", &[Engine(Rule::SealBeforeFill)], 4_000),
    rule("join-stored", "join after an invalidation", &[Engine(Rule::JoinStored)], 4_000),
    rule("join-one-epoch", "join of a fill accepted in another epoch", &[Engine(Rule::JoinOneEpoch)], 20_000),
    rule("join-unmoved-tags", "join although a tag has moved", &[Engine(Rule::JoinUnmovedTags)], 10_000),
    rule("epoch-compared", "no epoch check", &[Engine(Rule::EpochCompared)], 4_000),
    rule("lease-before-refresh", "refresh by plain set", &[Engine(Rule::LeaseBeforeRefresh)], 4_000),
    rule(
        "lease-before-renewal",
        "refresh by plain set in the background",
        &[Engine(Rule::LeaseBeforeRenewal)],
        4_000,
    ),
    rule(
        "stale-is-own",
        "if a load fails, its waiters take its leader's stale value",
        &[Engine(Rule::StaleIsOwn)],
        20_000,
    ),
    rule(
        "leases-before-batch",
        "a batch's leases asked for after its load",
        &[Engine(Rule::LeasesBeforeBatch)],
        4_000,
    ),
    rule("tags-before-load", "tag generation read after the load", &[Engine(Rule::TagsBeforeLoad)], 4_000),
    rule(
        "within-hint",
        "stored although the value names a tag that was not asked about",
        &[Engine(Rule::WithinHint)],
        4_000,
    ),
    rule(
        "noticed-clear",
        "a clear of the namespace returns when the store has confirmed it",
        &[Engine(Rule::NoticedClear)],
        4_000,
    ),
    rule(
        "refresh-is-own",
        "a refresh takes a load that had begun before it",
        &[Engine(Rule::RefreshIsOwn)],
        20_000,
    ),
    rule(
        "memo-forgets-writes",
        "a memo keeps what its request has written",
        &[Engine(Rule::MemoForgetsWrites)],
        4_000,
    ),
    rule(
        "loaders-never-launder",
        "loaders are answered by their caller's memo",
        &[Engine(Rule::LoadersNeverLaunder)],
        4_000,
    ),
    rule(
        "invalidated-taints",
        "a value that an invalidated one went into is stored",
        &[Engine(Rule::InvalidatedTaints)],
        4_000,
    ),
    rule(
        "stamped-before-asked",
        "a value goes into the L1 as of when it arrives",
        &[Engine(Rule::StampedBeforeAsked)],
        20_000,
    ),
    rule("no-circles", "loads wait for loads that wait for them", &[Engine(Rule::NoCircles)], 4_000),
    rule("healers-asked", "fences are lifted by age", &[Engine(Rule::HealersAsked)], 10_000),
    rule("confirmed-clear", "success on an unconfirmed CLEAR", &[Engine(Rule::ConfirmedClear)], 4_000),
    rule("lost-fence-set-again", "a clear that ignores `intact`", &[Engine(Rule::LostFenceSetAgain)], 20_000),
    rule("fence-before-commit", "invalidate after commit", &[Engine(Rule::FenceBeforeCommit)], 4_000),
    rule("clear-after-commit", "clear before commit", &[Engine(Rule::ClearAfterCommit)], 4_000),
    rule("no-fence-no-commit", "commit of what could not be fenced", &[Engine(Rule::NoFenceNoCommit)], 4_000),
    rule(
        "unknown-stays-fenced",
        "an unknown COMMIT lifts its fence",
        &[Engine(Rule::UnknownStaysFenced)],
        20_000,
    ),
    rule(
        "rollback-keeps-subjects",
        "fence dropped by a savepoint's rollback",
        &[Engine(Rule::RollbackKeepsSubjects)],
        4_000,
    ),
];

/// The mutation of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Mutation> {
    MUTATIONS.iter().find(|mutation| mutation.name == name)
}
