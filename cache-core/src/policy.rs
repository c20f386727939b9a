//! How long an entry lives and when it is loaded again. Values only; the decisions are in `stampede` and `freshness`.

use std::time::Duration;

/// What keeps many readers from loading one entry at once.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Stampede {
    /// One load a process and one lease across processes; everybody else waits a bounded time. The default.
    Lease,
    /// The same, and the entry is loaded early by chance, more likely the nearer its expiry and the dearer the load
    /// (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015).
    XFetch {
        /// Above 1 loads earlier, below 1 later. The paper's default is 1.
        beta: f64,
    },
}

/// The options of one cached function, resolved when the attribute was expanded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// How long a value lives.
    pub ttl: Duration,
    /// How long "there is none" lives.
    pub negative_ttl: Duration,
    /// Each entry's lifetime is stretched or shrunk by up to this share of it, so that entries filled together do not
    /// expire together; 0 to 1.
    pub jitter: f64,
    /// How stampedes are avoided.
    pub stampede: Stampede,
}

impl Policy {
    /// How long "there is none" lives unless the attribute says otherwise: long enough to shield the database from a
    /// scan of absent ids, short because nobody thinks of it when a row is made outside the application.
    pub const NEGATIVE_TTL: Duration = Duration::from_secs(60);

    /// A policy with this lifetime and every default.
    #[must_use]
    pub const fn ttl(ttl: Duration) -> Self {
        Self { ttl, negative_ttl: Self::NEGATIVE_TTL, jitter: 0.0, stampede: Stampede::Lease }
    }
}
