//! Judges a history. Pure: no clock, no I/O. Refuses to accuse on doubt: one event came before another only if it had ended
//! before the other began, and times enclose the calls.
//!
//! Versions of a key are numbered by the database in the order of its commits, so "older" is "smaller". Then each promise
//! is one sentence: a read is at least as new as
//!
//! * **A** every write that returned `Ok` before the read began (`stale_after_return`),
//! * **B** every version that anybody had seen in the database before the read began (`stale_after_visible`),
//! * **C** every version that any read had returned before the read began (`non_monotonic`);
//!
//! and **D**: once the system is quiet, a read is what the database holds (`stale_at_rest`).
//!
//! For each key the reads are taken in the order they began, and everything that can accuse in the order it ended: the
//! largest version so far is all that has to be remembered. Time is that of sorting; memory is the events and four bytes each.

#[cfg(test)]
mod tests;

use super::event::{Event, Kind};

/// A promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// No read that begins after a write returned is older.
    A,
    /// No read that begins after a version became visible is older.
    B,
    /// Reads are monotonic.
    C,
    /// Nothing stays stale once the system is quiet.
    D,
}

/// A read that broke a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What it broke.
    pub promise: Promise,
    /// The read.
    pub read: Event,
    /// What had ended before it began and was newer; `None` for [`Promise::D`].
    pub after: Option<Event>,
}

/// How many violations are kept to be shown; all are counted.
pub const SHOWN: usize = 20;

/// What a history amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Reads through the cache while others wrote.
    pub reads: u64,
    /// Those of them that ran no loader of their own.
    pub hits: u64,
    /// The longest of them, in nanoseconds.
    pub slowest_read: u64,
    /// Writes that returned `Ok`.
    pub writes: u64,
    /// Statements of loaders.
    pub loads: u64,
    /// Reads of the quiet system.
    pub rest_reads: u64,
    /// Reads that broke promise A.
    pub stale_after_return: u64,
    /// Reads that broke promise B.
    pub stale_after_visible: u64,
    /// Reads that broke promise C.
    pub non_monotonic: u64,
    /// Reads that broke promise D.
    pub stale_at_rest: u64,
    /// The first violations.
    pub shown: Vec<Violation>,
}

impl Verdict {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.stale_after_return + self.stale_after_visible + self.non_monotonic + self.stale_at_rest == 0
    }

    fn broke(&mut self, promise: Promise, read: Event, after: Option<Event>) {
        *match promise {
            Promise::A => &mut self.stale_after_return,
            Promise::B => &mut self.stale_after_visible,
            Promise::C => &mut self.non_monotonic,
            Promise::D => &mut self.stale_at_rest,
        } += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(Violation { promise, read, after });
        }
    }
}

/// Judges the events of all processes; `truth` is the version of each key in the database once everything was quiet.
#[must_use]
pub fn judge(mut events: Vec<Event>, truth: &[u32]) -> Verdict {
    let mut verdict = Verdict::default();
    events.sort_unstable_by_key(|event| (event.key, event.begin));
    for of_key in events.chunk_by(|one, other| one.key == other.key) {
        judge_key(of_key, truth.get(usize::from(of_key[0].key)).copied(), &mut verdict);
    }
    verdict
}

/// The events of one key, in the order they began.
fn judge_key(events: &[Event], truth: Option<u32>, verdict: &mut Verdict) {
    let mut by_end: Vec<u32> =
        (0..).zip(events).filter(|(_, event)| event.kind != Kind::Rest).map(|(place, _)| place).collect();
    by_end.sort_unstable_by_key(|&place| events[place as usize].end);
    let mut ended = by_end.into_iter().map(|place| events[place as usize]).peekable();

    let mut newest = Newest::default();
    for event in events {
        match event.kind {
            Kind::Write => verdict.writes += 1,
            Kind::Seen => verdict.loads += u64::from(event.instance != super::event::COORDINATOR),
            Kind::Rest => {
                verdict.rest_reads += 1;
                if truth != Some(event.version) {
                    verdict.broke(Promise::D, *event, None);
                }
            }
            Kind::Hit | Kind::Miss | Kind::TagHit | Kind::TagMiss => {
                while let Some(earlier) = ended.next_if(|earlier| earlier.end < event.begin) {
                    newest.learn(earlier);
                }
                verdict.reads += 1;
                verdict.hits += u64::from(event.kind.is_hit());
                verdict.slowest_read = verdict.slowest_read.max(event.end.saturating_sub(event.begin));
                let known =
                    [(Promise::A, newest.returned), (Promise::B, newest.seen), (Promise::C, newest.read)];
                for (promise, after) in known {
                    if after.is_some_and(|after| after.version > event.version) {
                        verdict.broke(promise, *event, after);
                    }
                }
            }
        }
    }
}

/// The newest version of each kind of witness so far.
#[derive(Default)]
struct Newest {
    returned: Option<Event>,
    seen: Option<Event>,
    read: Option<Event>,
}

impl Newest {
    fn learn(&mut self, event: Event) {
        let known = match event.kind {
            Kind::Write => &mut self.returned,
            Kind::Seen => &mut self.seen,
            _ => &mut self.read,
        };
        if known.is_none_or(|known| known.version < event.version) {
            *known = Some(event);
        }
    }
}
