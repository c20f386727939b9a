//! Counters per key template. Refuses locks and clocks on the hit path: one relaxed addition an event.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The counters of one key template, or of a whole cache, since it was built.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        /// Counters that many tasks add to.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        impl Counters {
            /// The counters as they stand; each is exact, all together are not one instant.
            pub(crate) fn snapshot(&self) -> Counts {
                Counts { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }

        impl std::ops::AddAssign for Counts {
            fn add_assign(&mut self, other: Self) { $(self.$name += other.$name;)* }
        }

        impl Counts {
            /// Name and value of every counter, in declaration order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Reads answered by an entry that holds a value.
    hits,
    /// Reads answered by an entry that says there is none.
    negative_hits,
    /// Reads that found no usable entry.
    misses,
    /// Runs of a loader, for whatever reason.
    loads,
    /// Runs of a loader that ended in its own error.
    load_errors,
    /// Reads that took the result of another caller's load.
    joined,
    /// Early loads of an entry that was still alive.
    refreshes,
    /// Entries stored.
    fills,
    /// Fills refused because a write came in between.
    fills_refused,
    /// Reads that met a write in flight: loaded, not filled.
    fence_bypasses,
    /// Fences of finished writers lifted by a reader.
    fences_healed,
    /// Reads that waited for another process's load in vain.
    lease_waits_exceeded,
    /// Reads served by the loader because the store failed or its breaker is open.
    degraded,
    /// Entries that did not decode (foreign bytes, another format) and were replaced.
    undecodable,
    /// Values over the size limit, returned but not stored.
    oversized,
    /// Reads inside a transaction or under `bypass`: neither served from nor put into the cache.
    bypasses,
}

/// One relaxed atomic count.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
