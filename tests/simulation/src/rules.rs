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
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const fn rule(name: &'static str, without: &'static str, broken: &'static [Broken]) -> Mutation {
    Mutation { name, without, broken }
}

use Broken::{Engine, Store};

/// Every rule that may be broken.
pub const MUTATIONS: &[Mutation] = &[
    rule("fill-checks-token", "fill without the token check", &[Store(StoreRule::FillChecksToken)]),
    rule("mark-voids-leases", "a mark leaves tokens", &[Store(StoreRule::MarkVoidsLeases)]),
    rule("mark-drops-entries", "a mark leaves entries", &[Store(StoreRule::MarkDropsEntries)]),
    rule("mark-rotates-tags", "a mark leaves a tag's generation", &[Store(StoreRule::MarkRotatesTags)]),
    rule("fence-refuses-leases", "leases are granted under a fence", &[Store(StoreRule::FenceRefusesLeases)]),
    rule(
        "clear-drops-again",
        "a clear drops nothing and does not rotate tags, and a lost fence is not set again",
        &[Store(StoreRule::ClearDropsAgain), Engine(Rule::LostFenceSetAgain)],
    ),
    rule(
        "generations-are-new",
        "a tag that was lost starts counting again",
        &[Store(StoreRule::GenerationsAreNew)],
    ),
    rule("puts-need-solo", "a written value is installed over another's", &[Store(StoreRule::PutsNeedSolo)]),
    rule("sealed-flights", "plain single-flight", &[Engine(Rule::SealedFlights)]),
    rule("seal-before-fill", "seal after the FILL instead of before", &[Engine(Rule::SealBeforeFill)]),
    rule("join-stored", "join after an invalidation", &[Engine(Rule::JoinStored)]),
    rule("join-one-epoch", "join of a fill accepted in another epoch", &[Engine(Rule::JoinOneEpoch)]),
    rule("join-unmoved-tags", "join although a tag has moved", &[Engine(Rule::JoinUnmovedTags)]),
    rule("epoch-compared", "no epoch check", &[Engine(Rule::EpochCompared)]),
    rule("lease-before-refresh", "refresh by plain set", &[Engine(Rule::LeaseBeforeRefresh)]),
    rule("tags-before-load", "tag generation read after the load", &[Engine(Rule::TagsBeforeLoad)]),
    rule("healers-asked", "fences are lifted by age", &[Engine(Rule::HealersAsked)]),
    rule("confirmed-clear", "success on an unconfirmed CLEAR", &[Engine(Rule::ConfirmedClear)]),
    rule("lost-fence-set-again", "a clear that ignores `intact`", &[Engine(Rule::LostFenceSetAgain)]),
    rule("fence-before-commit", "invalidate after commit", &[Engine(Rule::FenceBeforeCommit)]),
    rule("clear-after-commit", "clear before commit", &[Engine(Rule::ClearAfterCommit)]),
    rule("no-fence-no-commit", "commit of what could not be fenced", &[Engine(Rule::NoFenceNoCommit)]),
    rule("unknown-stays-fenced", "an unknown COMMIT lifts its fence", &[Engine(Rule::UnknownStaysFenced)]),
    rule(
        "rollback-keeps-subjects",
        "fence dropped by a savepoint's rollback",
        &[Engine(Rule::RollbackKeepsSubjects)],
    ),
];

/// The mutation of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Mutation> {
    MUTATIONS.iter().find(|mutation| mutation.name == name)
}
