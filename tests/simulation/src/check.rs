//! Judges what happened in one run. Pure: no clock, no I/O. Refuses to excuse more than the fault table does: A never; B and C
//! where the write that a read missed had lost a fence, until that write's clear was confirmed; D where such a write's writer
//! also died before its clear; G where B would be, had the read begun its window earlier. A write that nobody told the cache of
//! counts only where something promises to show it.
//!
//! Everything that happened has a place in one order, and versions of a row grow in the order in which they became visible.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::database::Version;
use crate::world::OpId;

/// A place in the order of events.
pub type At = u64;

/// A version that became visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visible {
    pub row: usize,
    pub version: Version,
    /// The write that made it.
    pub op: OpId,
    pub at: At,
}

/// A read that returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub op: OpId,
    pub begin: At,
    pub end: At,
    /// The rows it looked at and their versions; a row may occur twice.
    pub seen: Vec<(usize, Version)>,
    /// Whether the system was quiet.
    pub at_rest: bool,
    /// Whether all of it was to be loaded after it began.
    pub is_loaded: bool,
    /// Where the window begins within which what a write has invalidated could answer it, if that did.
    pub since: Option<At>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Write {
    /// When it returned `Ok`.
    pub returned: Option<At>,
    /// When a fence of it was lost.
    pub lost: Option<At>,
    /// When a clear that found all its fences standing was confirmed to it.
    pub cleared: Option<At>,
    /// Its writer died, or gave it up with an unknown outcome, before that.
    pub forsaken: bool,
    /// Nobody told the cache of it.
    pub is_uncovered: bool,
}

/// A clear of the namespace that returned `Ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clear {
    pub begin: At,
    pub end: At,
}

/// Everything that a verdict rests on.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub visible: Vec<Visible>,
    pub reads: Vec<Read>,
    pub writes: BTreeMap<OpId, Write>,
    pub clears: Vec<Clear>,
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// No read that begins after a write returned is older.
    A,
    /// No read that begins after a version became visible is older.
    B,
    /// Reads are monotonic.
    C,
    /// Nothing stays stale once the system is quiet.
    D,
    /// No read that begins after a clear returned shows what was loaded before that began. No fault excuses it.
    E,
    /// What a call asks to be loaded is loaded after it began: it shows what was visible then. No fault excuses it.
    F,
    /// What is within a window was current at a moment within it: the read may be as old as if it had begun with the window.
    G,
    /// What a read returns was visible. No fault excuses it.
    Real,
    /// The system comes to rest. No fault excuses it.
    Rest,
    /// Where nothing goes wrong nobody waits for what does not come, such as a load that waits for him.
    Moves,
    /// Nothing panics. No fault excuses it.
    NoPanic,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promise, read, row, seen, wanted, by } = self;
        let (read, by) = (read.unwrap_or_default(), by.unwrap_or_default());
        let missed = format!("call {read} saw row {row} v{seen}, and v{wanted} of call {by}");
        match promise {
            Promise::A => write!(f, "A: {missed} had returned before it began"),
            Promise::B => write!(f, "B: {missed} was visible before it began"),
            Promise::C => write!(f, "C: {missed} had been read before it began"),
            Promise::D => write!(f, "D: {missed} is what the quiet database holds"),
            Promise::E => write!(f, "E: {missed} was visible before a clear that returned before it began"),
            Promise::F => write!(f, "F: {missed} was visible before it began, and it was to load"),
            Promise::G => write!(f, "G: {missed} had been there before its window began"),
            Promise::Real => write!(f, "Real: call {read} saw row {row} v{seen}, which was never visible"),
            Promise::Rest => f.write_str("Rest: the run does not come to its end"),
            Promise::Moves => f.write_str("Moves: calls wait although nothing is under way"),
            Promise::NoPanic => f.write_str("NoPanic: the run panicked"),
        }
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub promise: Promise,
    /// The read that shows it, if one does.
    pub read: Option<OpId>,
    pub row: usize,
    pub seen: Version,
    /// The version that it should have seen, or a newer one.
    pub wanted: Version,
    /// Whose version that was.
    pub by: Option<OpId>,
}

impl Violation {
    /// One that no single read shows.
    #[must_use]
    pub fn of_run(promise: Promise) -> Self {
        Self { promise, read: None, row: 0, seen: 0, wanted: 0, by: None }
    }
}

impl Write {
    /// Whether a read over this time may be older than the write.
    fn excuses(&self, begin: At, end: At) -> bool {
        self.lost.is_some_and(|at| at < end) && self.cleared.is_none_or(|at| at >= begin)
    }

    /// Whether what it wrote may stay hidden.
    fn is_lost_for_good(&self) -> bool {
        self.lost.is_some() && self.forsaken
    }
}

/// The first place that was taken no longer than a window before another one, by when each was taken, from the first.
#[must_use]
pub fn within(taken: &[Duration], window: Duration, at: At) -> At {
    let then = usize::try_from(at).ok().and_then(|place| taken.get(place.checked_sub(1)?));
    let begin = then.and_then(|then| then.checked_sub(window)).unwrap_or_default();
    taken.partition_point(|then| *then < begin) as At + 1
}

/// The promises that a run broke, at most one of each kind a read.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Violation> {
    let mut violations = Vec::new();
    for read in &facts.reads {
        let mut broken = BTreeMap::new();
        for &(row, seen) in &read.seen {
            judge_one(facts, read, row, seen, &mut broken);
        }
        violations.extend(broken.into_values());
    }
    violations
}

fn judge_one(
    facts: &Facts,
    read: &Read,
    row: usize,
    seen: Version,
    broken: &mut BTreeMap<Promise, Violation>,
) {
    let mut breaks = |promise, wanted: Version, by| {
        let violation = Violation { promise, read: Some(read.op), row, seen, wanted, by };
        broken.entry(promise).or_insert(violation);
    };
    let of_row = || facts.visible.iter().filter(move |visible| visible.row == row);
    if !of_row().any(|visible| visible.version == seen && visible.at < read.end) {
        breaks(Promise::Real, 0, None);
    }
    let write = |op| facts.writes.get(&op).copied().unwrap_or_default();
    for missed in of_row().filter(|visible| visible.version > seen && visible.at < read.begin) {
        let by = write(missed.op);
        if read.is_loaded {
            breaks(Promise::F, missed.version, Some(missed.op));
        }
        if facts.clears.iter().any(|clear| missed.at < clear.begin && clear.end < read.begin) {
            breaks(Promise::E, missed.version, Some(missed.op));
        }
        if by.is_uncovered {
            continue;
        }
        if let Some(since) = read.since {
            let is_due = by.returned.is_some_and(|at| at < since) || !by.excuses(since, read.end);
            if missed.at < since && is_due {
                breaks(Promise::G, missed.version, Some(missed.op));
            }
            continue;
        }
        if by.returned.is_some_and(|at| at < read.begin) {
            breaks(Promise::A, missed.version, Some(missed.op));
        }
        if by.excuses(read.begin, read.end) {
            if read.at_rest && !by.is_lost_for_good() {
                breaks(Promise::D, missed.version, Some(missed.op));
            }
            continue;
        }
        breaks(Promise::B, missed.version, Some(missed.op));
        if read.at_rest {
            breaks(Promise::D, missed.version, Some(missed.op));
        }
        let was_read =
            |earlier: &&Read| earlier.end < read.begin && earlier.seen.contains(&(row, missed.version));
        if facts.reads.iter().any(|earlier| was_read(&earlier)) {
            breaks(Promise::C, missed.version, Some(missed.op));
        }
    }
}
