//! Takes single rules out of the engine, so that a test can show what each of them is for.

use crate::cache::Builder;

/// A rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A flight is sealed before its fill goes out, and a value is handed only to callers for whom it was provably current.
    /// Without it: plain single-flight.
    SealedFlights,
    /// A flight is sealed before its fill goes out. Without it: when the answer is there.
    SealBeforeFill,
    /// Who came while a load ran takes its value only if it was stored. Without it: also if a write came in between.
    JoinStored,
    /// Who came while a load ran takes its value only if it was stored in the epoch of its lease.
    JoinOneEpoch,
    /// Who came while a load ran takes its value only if no tag has moved since the lease.
    JoinUnmovedTags,
    /// An entry of another epoch is no entry.
    EpochCompared,
    /// A batch has its leases before it loads. Without it: it asks for them after the load.
    LeasesBeforeBatch,
    /// An early refresh, by its caller or in the background, has its lease before it loads. Without it: a plain set after the load.
    LeaseBeforeRefresh,
    /// A load in the background has its lease before it loads. Without it: a plain set after the load.
    LeaseBeforeRenewal,
    /// A value whose lifetime is over is for the caller whose own look found it. Without it: also for those who wait for that
    /// caller's load.
    StaleIsOwn,
    /// A refresh takes no load that had begun before it. Without it: one that a plain call would take.
    RefreshIsOwn,
    /// An entry carries the generations that its tags had before the load.
    TagsBeforeLoad,
    /// A value is stored only if all tags that it names were asked about before the load. Without it: under those that were.
    WithinHint,
    /// A namespace is cleared when nobody is answered with what was there any more. Without it: when the store has confirmed it.
    NoticedClear,
    /// A fence with an origin is lifted only on the word of its database. Without it: when it is old enough to be asked about.
    HealersAsked,
    /// A write returns only when the store confirmed its clear.
    ConfirmedClear,
    /// A write returns only when nobody serves from his own memory what it has changed. Without it: they hear of it, and nobody waits.
    HeardByAll,
    /// A write whose fence was lost fences and clears everything once more.
    LostFenceSetAgain,
    /// Nothing becomes visible before it is fenced. Without it: invalidated after COMMIT.
    FenceBeforeCommit,
    /// The fence is lifted after COMMIT. Without it: before.
    ClearAfterCommit,
    /// What cannot be fenced is rolled back. Without it: committed.
    NoFenceNoCommit,
    /// The fence of a COMMIT whose outcome is unknown stays.
    UnknownStaysFenced,
    /// A savepoint that is rolled back leaves its subjects with the transaction.
    RollbackKeepsSubjects,
    /// The memo of a request forgets what the request writes.
    MemoForgetsWrites,
    /// Loaders run outside of their caller's memo.
    LoadersNeverLaunder,
    /// What is made of a value that a write had invalidated is not stored.
    InvalidatedTaints,
    /// No load waits for a load that waits for it. Without it: until somebody loses patience.
    NoCircles,
    /// A value goes into the L1 as of when it was asked for. Without it: as of when it arrives.
    StampedBeforeAsked,
    /// A write tells the L1 of its own cache. Without it: the store's word alone.
    WritesTellTheL1,
    /// A store that may have missed writes answers no read. Without it: as soon as it is reached.
    TrustAfterOutbox,
    /// What the outbox says counts only if it was asked after the last commit that left a row, however that ended. Without it:
    /// whenever it was asked.
    AskedAfterCommit,
}

impl Builder {
    /// Builds a cache that breaks a rule. For controls: a scripted interleaving must fail with it.
    pub fn without(mut self, rule: Rule) -> Self {
        let faults = &mut self.settings.faults;
        let fault = match rule {
            Rule::SealedFlights => &mut faults.joins_anytime,
            Rule::SealBeforeFill => &mut faults.seals_late,
            Rule::JoinStored => &mut faults.joins_refused,
            Rule::JoinOneEpoch => &mut faults.joins_other_epochs,
            Rule::JoinUnmovedTags => &mut faults.joins_moved_tags,
            Rule::EpochCompared => &mut faults.serves_any_epoch,
            Rule::LeasesBeforeBatch => &mut faults.leases_late,
            Rule::LeaseBeforeRefresh => &mut faults.refreshes_by_set,
            Rule::WithinHint => &mut faults.fills_beyond_hint,
            Rule::LeaseBeforeRenewal => &mut faults.renews_by_set,
            Rule::StaleIsOwn => &mut faults.shares_stale,
            Rule::RefreshIsOwn => &mut faults.refreshes_join,
            Rule::NoticedClear => &mut faults.clears_unnoticed,
            Rule::TagsBeforeLoad => &mut faults.reads_tags_late,
            Rule::HealersAsked => &mut faults.heals_by_age,
            Rule::ConfirmedClear => &mut faults.clears_unconfirmed,
            Rule::HeardByAll => &mut faults.returns_unheard,
            Rule::LostFenceSetAgain => &mut faults.ignores_lost_fences,
            Rule::FenceBeforeCommit => &mut faults.fences_late,
            Rule::ClearAfterCommit => &mut faults.clears_early,
            Rule::NoFenceNoCommit => &mut faults.commits_unfenced,
            Rule::UnknownStaysFenced => &mut faults.lifts_unknown,
            Rule::RollbackKeepsSubjects => &mut faults.forgets_subjects,
            Rule::MemoForgetsWrites => &mut faults.remembers_written,
            Rule::LoadersNeverLaunder => &mut faults.launders,
            Rule::InvalidatedTaints => &mut faults.launders_invalidated,
            Rule::NoCircles => &mut faults.waits_in_circles,
            Rule::StampedBeforeAsked => &mut faults.stamps_late,
            Rule::WritesTellTheL1 => &mut faults.tells_nobody,
            Rule::TrustAfterOutbox => &mut faults.trusts_anyway,
            Rule::AskedAfterCommit => &mut faults.trusts_early,
        };
        *fault = true;
        self
    }
}
