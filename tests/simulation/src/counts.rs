//! What happened in a run or in many, counted, so that a simulation that does nothing shows. Refuses to judge.

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counts {
            /// Name and count, in the order of declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }

        impl std::ops::AddAssign for Counts {
            fn add_assign(&mut self, other: Self) { $(self.$name += other.$name;)* }
        }
    };
}

counts! {
    /// Reads that ended and were judged.
    reads,
    /// Reads of the quiet system.
    rest_reads,
    /// Reads of many keys in one call.
    batch_reads,
    /// Writes that returned `Ok`.
    writes,
    /// Clears of the namespace that returned `Ok`.
    clears,
    /// Writes that returned an error, for whatever reason.
    failed_writes,
    /// Reads answered by an entry.
    hits,
    /// Reads answered by an entry that says there is none.
    negative_hits,
    /// Those of both that an L1 answered.
    l1_hits,
    /// Values that a write had overtaken on their way into an L1.
    overtaken,
    /// Runs of a loader.
    loads,
    /// Reads that took another caller's load.
    joins,
    /// Early loads.
    refreshes,
    /// Early loads, and loads of values whose lifetime was over, in a task of their own.
    background_loads,
    /// Reads answered by a value whose lifetime was over.
    stale_reads,
    /// Reads that took one because the load took longer than the soft timeout.
    soft_timeouts,
    /// Loads that were dropped because they took longer than the hard timeout.
    hard_timeouts,
    /// Loads that failed.
    failed_loads,
    /// Loaded values that were not stored because a stale one went into them.
    unkept,
    /// Loaded values that were not stored because their tags were news.
    learned_tags,
    /// Reads whose waiting would have closed a circle.
    circles,
    /// Reads that asked for a load.
    refreshing_reads,
    /// Looks that saw something.
    peeks,
    /// Reads past the cache.
    bypasses,
    /// Reads answered by what a write had invalidated.
    bounded_reads,
    /// Reads answered by their request's memory.
    memoized,
    /// Times that all policies were changed while calls ran.
    changed_policies,
    /// Entries stored by a fill.
    fills,
    /// Fills that were refused because of a write.
    refused_fills,
    /// Written values installed by a clear.
    installed_puts,
    /// Reads that met a fence and did not fill.
    fence_bypasses,
    /// Fences lifted by a reader.
    healed_fences,
    /// Reads that went on without the store.
    degraded_reads,
    /// Reads that waited in vain for another process's load.
    waits_in_vain,
    /// Writes that could not be fenced.
    unfenced,
    /// Clears that were not confirmed in time.
    unclear,
    /// Clears that found their fence gone.
    fences_set_again,
    /// COMMITs whose outcome the client did not learn.
    unknown_commits,
    /// Statements that the database turned away.
    busy_reads,
    /// COMMITs that the database refused.
    refused_commits,
    /// COMMITs that were durable long before they were visible.
    stuck_commits,
    /// Savepoints rolled back.
    rolled_back_savepoints,
    /// Callers that went away.
    cancelled,
    /// Instances that died.
    crashes,
    /// Answers and connections of the store that were lost.
    lost_replies,
    /// Connections to the store that were cut with everything on them.
    cuts,
    /// Connections to the database that were lost.
    lost_sessions,
    /// Commands that were carried out twice.
    repeated_commands,
    /// Messages that were delayed beyond a deadline.
    delays,
    /// Evictions of entries, leases and generations.
    evictions,
    /// Evictions of fences.
    evicted_fences,
    /// FLUSHALL.
    flushes,
    /// Restarts of the store, with and without its data.
    restarts,
    /// Failovers to a replica that lagged.
    failovers,
    /// Writes that lost a fence.
    lost_fences,
    /// Writes that lost a fence and whose writer died before it cleared.
    forsaken_writes,
    /// Steps of the scheduler.
    steps,
}
