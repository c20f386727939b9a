//! Keeps an instance out of service until its sets are warm. Refuses to close again, and to say "not ready" without saying why.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Progress;

/// A gate over named sets; see [`Cache::gate`](crate::Cache::gate). Cheap to clone; clones are one gate. Open as long as it has no set.
#[derive(Clone, Debug)]
pub struct Gate {
    sets: Arc<watch::Sender<BTreeMap<u64, Set>>>,
    /// With the cache off there is nothing to wait for.
    off: bool,
}

#[derive(Clone, Debug)]
struct Set {
    name: String,
    state: SetState,
}

/// How far a set of a gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetState {
    /// Nothing was done for it.
    Waiting,
    /// It is being warmed.
    Running(Progress),
    /// It was run to the end, and is not warm: too much failed or was not stored.
    Cold(Progress),
    /// What was to warm it was dropped.
    Dropped,
    /// It is warm.
    Warm,
}

impl Gate {
    pub(super) fn new(off: bool) -> Self {
        Self { sets: Arc::default(), off }
    }

    /// Adds a set that has to be warm before the gate opens. Add all of them before anybody asks.
    #[must_use = "a set that is dropped keeps the gate closed"]
    pub fn set(&self, name: &str) -> GateSet {
        let mut place = 0;
        self.sets.send_modify(|sets| {
            place = sets.last_key_value().map_or(0, |(last, _)| last + 1);
            let state = if self.off { SetState::Warm } else { SetState::Waiting };
            sets.insert(place, Set { name: name.into(), state });
        });
        GateSet { gate: self.clone(), place }
    }

    /// Whether all sets are warm, and if not, what is missing.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        readiness(&self.sets.borrow())
    }

    /// Waits until all sets are warm.
    pub async fn opened(&self) {
        let mut sets = self.sets.subscribe();
        // The gate itself holds the sender, so there is no other end than this.
        let _ = sets.wait_for(|sets| readiness(sets).is_ready()).await;
    }

    /// Waits until all sets are warm, but no longer than this.
    ///
    /// # Errors
    /// Which sets are not, and how far each is.
    pub async fn opened_within(&self, patience: Duration) -> Result<(), Cold> {
        tokio::time::timeout(patience, self.opened())
            .await
            .map_err(|_| Cold { after: patience, readiness: self.readiness() })
    }
}

fn readiness(sets: &BTreeMap<u64, Set>) -> Readiness {
    let missing = sets.values().filter(|set| set.state != SetState::Warm);
    Readiness { missing: missing.map(|set| (set.name.clone(), set.state)).collect() }
}

/// One set of a gate. Hand it to [`Warming::opens`](super::Warming::opens) or [`HotSetBuilder::opens`](super::HotSetBuilder::opens), or
/// open it when you have warmed it by other means.
#[derive(Debug)]
pub struct GateSet {
    gate: Gate,
    place: u64,
}

impl GateSet {
    /// It is warm.
    pub fn open(self) {
        self.turns(SetState::Warm);
    }

    pub(super) fn runs(&self, progress: Progress) {
        self.turns(SetState::Running(progress));
    }

    pub(super) fn ends(self, progress: Progress) {
        self.turns(if progress.is_warm() { SetState::Warm } else { SetState::Cold(progress) });
    }

    fn turns(&self, state: SetState) {
        self.gate.sets.send_if_modified(|sets| match sets.get_mut(&self.place) {
            Some(set) if set.state != SetState::Warm => {
                set.state = state;
                true
            }
            _ => false,
        });
    }
}

impl Drop for GateSet {
    fn drop(&mut self) {
        self.gate.sets.send_if_modified(|sets| match sets.get_mut(&self.place) {
            Some(set) if matches!(set.state, SetState::Waiting | SetState::Running(_)) => {
                set.state = SetState::Dropped;
                true
            }
            _ => false,
        });
    }
}

/// Whether a gate is open; as text, why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    missing: Vec<(String, SetState)>,
}

impl Readiness {
    /// Whether all sets are warm.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.missing.is_empty()
    }

    /// The sets that are not warm.
    pub fn missing(&self) -> impl Iterator<Item = (&str, SetState)> {
        self.missing.iter().map(|(name, state)| (name.as_str(), *state))
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ready() {
            return f.write_str("ready");
        }
        for (at, (name, state)) in self.missing().enumerate() {
            let glue = if at > 0 { "; " } else { "" };
            write!(f, "{glue}`{name}` ")?;
            match state {
                SetState::Waiting => f.write_str("not begun")?,
                SetState::Running(progress) => write!(f, "{progress}")?,
                SetState::Cold(progress) => write!(f, "ended cold, {progress}")?,
                SetState::Dropped => f.write_str("dropped before it was warm")?,
                SetState::Warm => f.write_str("warm")?,
            }
        }
        Ok(())
    }
}

/// A gate that did not open in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cold {
    after: Duration,
    readiness: Readiness,
}

impl Cold {
    /// What was missing.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }
}

impl fmt::Display for Cold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "still cold after {:?}: {}", self.after, self.readiness)
    }
}

impl Error for Cold {}
