//! How far a run is. Refuses to count what it did not see end.

use std::collections::BTreeSet;
use std::fmt;

use super::Warmed;

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Calls that ended in this run.
    pub done: u64,
    /// Those whose entry stood.
    pub present: u64,
    /// Those that were stored.
    pub filled: u64,
    /// Those that met a write.
    pub fenced: u64,
    /// Those that were not stored for another reason.
    pub unstored: u64,
    /// Those whose loader failed.
    pub failed: u64,
    /// Calls from the front of the stream that ended without a gap, in this run and before it: where to go on.
    pub position: u64,
    /// How many calls the stream holds, if that is known.
    pub total_hint: Option<u64>,
}

impl Progress {
    /// Whether nine calls in ten have their entry, or will have it by the next reader.
    #[must_use]
    pub fn is_warm(&self) -> bool {
        (self.unstored + self.failed) * 10 <= self.done
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.position)?;
        if let Some(total) = self.total_hint {
            write!(f, " of {total}")?;
        }
        let counts = [
            ("filled", self.filled),
            ("present", self.present),
            ("fenced", self.fenced),
            ("unstored", self.unstored),
            ("failed", self.failed),
        ];
        let mut glue = ": ";
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{glue}{count} {name}")?;
            glue = ", ";
        }
        Ok(())
    }
}

/// Counts calls as they end, in whatever order.
#[derive(Debug)]
pub(super) struct Tally {
    progress: Progress,
    /// Places that ended behind a gap.
    ahead: BTreeSet<u64>,
}

impl Tally {
    pub(super) fn new(position: u64, total_hint: Option<u64>) -> Self {
        Self { progress: Progress { position, total_hint, ..Progress::default() }, ahead: BTreeSet::new() }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// The call at this place of the stream ended.
    pub(super) fn add(&mut self, place: u64, warmed: Warmed) -> Progress {
        let progress = &mut self.progress;
        progress.done += 1;
        *match warmed {
            Warmed::Present => &mut progress.present,
            Warmed::Filled => &mut progress.filled,
            Warmed::Fenced => &mut progress.fenced,
            Warmed::Unstored => &mut progress.unstored,
            Warmed::Failed => &mut progress.failed,
        } += 1;
        self.ahead.insert(place);
        while self.ahead.remove(&progress.position) {
            progress.position += 1;
        }
        *progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_stops_at_the_first_call_that_has_not_ended() {
        let mut tally = Tally::new(10, Some(14));
        let positions = [11, 13, 10, 12].map(|place| tally.add(place, Warmed::Filled).position);
        assert_eq!(positions, [10, 10, 12, 14]);
        assert_eq!(tally.progress().to_string(), "14 of 14: 4 filled");
    }

    #[test]
    fn a_set_is_warm_when_nine_calls_in_ten_are() {
        let of =
            |done, unstored, failed| Progress { done, unstored, failed, ..Progress::default() }.is_warm();
        assert!(of(10, 0, 1) && of(20, 1, 1) && of(0, 0, 0));
        assert!(!of(10, 1, 1) && !of(9, 0, 1) && !of(1, 1, 0));
    }
}
