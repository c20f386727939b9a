//! Counters per key template. Refuses locks and clocks on the hit path: one relaxed addition an event.

mod striped;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use striped::Striped;

macro_rules! counters {
    ($(#[$about:meta])* $counts:ident, $counters:ident { $($(#[$doc:meta])* $name:ident),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $counts { $($(#[$doc])* pub $name: u64,)* }

        /// Counters that many tasks add to.
        #[derive(Debug, Default)]
        pub(crate) struct $counters { $(pub(crate) $name: Counter,)* }

        impl $counters {
            /// The counters as they stand; each is exact, all together are not one instant.
            pub(crate) fn snapshot(&self) -> $counts {
                $counts { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }

        impl std::ops::AddAssign for $counts {
            fn add_assign(&mut self, other: Self) { $(self.$name += other.$name;)* }
        }

        impl $counts {
            /// Name and value of every counter, in declaration order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// The counters of one key template, or of all of a cache's, since it was built.
    Counts, Counters {
        /// Reads answered by an entry that holds a value, in the store or in the L1.
        hits,
        /// Reads answered by an entry that says there is none, in the store or in the L1.
        negative_hits,
        /// Those of both that the L1 answered.
        l1_hits,
        /// Reads that found no usable entry.
        misses,
        /// Runs of a loader, for whatever reason.
        loads,
        /// Reads answered by a value whose lifetime was over; also counted as hits where no load was waited for.
        stale,
        /// Reads answered by a value that a write had invalidated, as they had asked for; also counted as hits.
        bounded,
        /// Runs of a loader that ended in its own error.
        load_errors,
        /// Runs of a loader that were dropped because they took longer than `hard_timeout`, or, in the background, five minutes.
        load_timeouts,
        /// Reads that took a value whose lifetime was over because the load took longer than `soft_timeout`.
        soft_timeouts,
        /// Loaded values that were not stored because the loader or an option said so, or because something stale went into them.
        unkept,
        /// Reads that missed and took the result of another caller's load.
        joined,
        /// Loads of an entry that was still alive: early ones, and those a caller asked for.
        refreshes,
        /// Reads answered by the memo of their request.
        memoized,
        /// Reads that loaded at once, since waiting for the load that runs would have been waiting for themselves.
        circles,
        /// Entries stored.
        fills,
        /// Fills refused because a write came in between.
        fills_refused,
        /// Reads that met a write in flight: loaded, not filled.
        fence_bypasses,
        /// Fences of finished writers lifted by a reader.
        fences_healed,
        /// Values that named tags nobody had asked about: returned, not stored; the next load is.
        tags_learned,
        /// Reads that waited for another process's load in vain.
        lease_waits_exceeded,
        /// Reads whose store failed, or rested behind its breaker, when they looked, asked for a lease or filled.
        degraded,
        /// Entries that did not decode (foreign bytes, another format) and were replaced.
        undecodable,
        /// Values over the size limit, returned but not stored.
        oversized,
        /// Reads inside a transaction or under `bypass`: neither served from nor put into the cache.
        bypasses,
    }
}

counters! {
    /// What became of a cache's covered writes since it was built.
    WriteCounts, WriteCounters {
        /// Writes that were fenced: made, or rolled back after all.
        fenced,
        /// Writes that were refused because they could not be fenced.
        refused,
        /// Fenced writes whose clear was not confirmed in time; a task went on trying.
        unconfirmed,
        /// Writes that had to wait for others who may hold in their own memory what they change.
        awaited,
        /// Of these, those for which a whole lease passed before all had answered.
        outwaited,
        /// Writes that could not be fenced, were made, and left what they changed in the outbox.
        outboxed,
        /// Writes that could not be fenced and were made all the same.
        proceeded,
    }
}

counters! {
    /// What became of a cache's L1 since it was built; zeros without one.
    L1Counts, L1Counters {
        /// Reads that it answered.
        hits,
        /// Reads that it was asked for and that went on to the store.
        misses,
        /// Values that went in.
        kept,
        /// Values that were on their way in when a write overtook them, or whose time was over by then.
        overtaken,
        /// Entries that are in it now, those included that a write has ended and that nobody has replaced yet.
        entries,
        /// Entries that had to make room.
        evictions,
        /// How often all of it was dropped: a clear of the namespace, or a doubt whether it had missed something.
        flushes,
    }
}

/// One relaxed atomic count.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
