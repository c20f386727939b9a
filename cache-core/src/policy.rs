//! What a read is to do: how long an entry lives, who loads it again and when, who waits for whom, and what happens when a load
//! fails or hangs. Values only; the decisions are in `stampede` and `freshness`.

mod overrides;
mod profiles;
mod unfenced;

use std::time::Duration;

pub use overrides::Overrides;
pub use profiles::Profiles;
pub use unfenced::{OnUnfenced, Outbox};

/// The policy of one cached function: its attribute's options, above its profile's, above the defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// How long entries live.
    pub lifetime: Lifetime,
    /// Who loads, and whether before expiry.
    pub stampede: Stampede,
    /// What a caller does while somebody else loads.
    pub on_wait: OnWait,
    /// What a caller gets when the load fails.
    pub on_error: OnError,
    /// How long a load may take.
    pub timeouts: Timeouts,
}

/// How long an entry lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lifetime {
    /// How long a value is current.
    pub ttl: Duration,
    /// How long "there is none" is current.
    pub negative_ttl: Duration,
    /// Each entry's lifetime is stretched or shrunk by up to this share of it, so that entries filled together do not
    /// expire together; 0 to 1.
    pub jitter: f64,
    /// For so long after its lifetime a value is served while one caller loads it anew (RFC 5861, section 3). A write that
    /// covers it ends that at once.
    pub stale_while_revalidate: Duration,
    /// For so long after a write has invalidated it a value may answer calls that ask for that ([`bounded`](crate::bounded)).
    pub bounded: Duration,
}

/// What keeps many readers from loading one entry at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stampede {
    /// Who shares a load.
    pub sharing: Sharing,
    /// Whether a living entry is loaded anew.
    pub early: Early,
}

/// Who shares a load. Whoever loads without a lease does not fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody: every caller that misses loads.
    Nobody,
    /// The callers of one process.
    Flight,
    /// The callers of all processes: one load at a time, everywhere.
    Lease,
}

/// Whether an entry is loaded before it expires, by one caller while the others are served. The share is in (0, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Early {
    /// No.
    Never,
    /// By chance, more likely the nearer its expiry and the dearer the load (Vattani, Chierichetti, Lowenstein: "Optimal
    /// Probabilistic Cache Stampede Prevention", VLDB 2015).
    XFetch {
        /// Above 1 loads earlier, below 1 later. The paper's default is 1.
        beta: f64,
    },
    /// By the first caller after this share of its lifetime (refresh-ahead).
    Ahead {
        /// In (0, 1).
        share: f64,
    },
}

/// What a caller does that misses while somebody else loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnWait {
    /// Waits, and then loads for itself. `None`: four times a typical load of the function, or twice its longest lately,
    /// from 1 s to 30 s.
    Wait(Option<Duration>),
    /// Takes the value whose lifetime is over, if that still stands and is allowed; else waits.
    Stale,
    /// Loads for itself at once, without filling.
    Load,
}

/// What a caller gets when the load fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnError {
    /// For so long after its lifetime a value is served if the load fails (RFC 5861, section 4).
    pub stale_if_error: Duration,
    /// A load that failed while a value stood is not tried again for so long, in one process.
    pub pause: Duration,
}

/// How long a load may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// After this a caller that has a value whose lifetime is over takes it, and the load goes on in the background.
    pub soft: Option<Duration>,
    /// After this the load is dropped, and its caller gets an error.
    pub hard: Option<Duration>,
}

impl Policy {
    /// How long "there is none" lives unless somebody says otherwise: long enough to shield the database from a scan of absent
    /// ids, short because nobody thinks of it when a row is made outside the application.
    pub const NEGATIVE_TTL: Duration = Duration::from_secs(60);

    /// How long a failing loader rests while there is a value to serve.
    pub const PAUSE: Duration = Duration::from_secs(1);

    /// A policy with this lifetime and every default.
    #[must_use]
    pub const fn ttl(ttl: Duration) -> Self {
        Self {
            lifetime: Lifetime {
                ttl,
                negative_ttl: Self::NEGATIVE_TTL,
                jitter: 0.0,
                stale_while_revalidate: Duration::ZERO,
                bounded: Duration::ZERO,
            },
            stampede: Stampede { sharing: Sharing::Lease, early: Early::Never },
            on_wait: OnWait::Wait(None),
            on_error: OnError { stale_if_error: Duration::ZERO, pause: Self::PAUSE },
            timeouts: Timeouts { soft: None, hard: None },
        }
    }

    /// How long after its lifetime an entry may still be of use.
    #[must_use]
    pub fn stale(&self) -> Duration {
        self.lifetime.stale_while_revalidate.max(self.on_error.stale_if_error)
    }

    /// Whether somebody said for how long a call waits for others, all in all.
    pub(crate) fn is_bounded(&self) -> bool {
        matches!(self.on_wait, OnWait::Wait(Some(_)))
    }

    /// The longest that an entry stays in the store, without jitter.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.lifetime.ttl.max(self.lifetime.negative_ttl).saturating_add(self.stale())
    }
}
