//! What the thread that appends and those who read and trim know in common. Refuses to show a record that is not durable yet.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::segment::HEADER;
use crate::error::{JournalError, JournalErrorKind};
use crate::journal::{Depth, JournalId, Record};

/// How much a journal takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) segment_bytes: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// A file of the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Sequence of its first record.
    pub(super) first: u64,
    pub(super) bytes: u64,
}

/// Where the last read ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// The next record's sequence.
    pub(super) next: u64,
    pub(super) segment: u64,
    pub(super) offset: u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) id: JournalId,
    pub(super) limits: Limits,
    state: Mutex<State>,
    /// Sequence of the last record that may be read.
    last: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// In order; the last one is appended to.
    segments: VecDeque<Segment>,
    next: u64,
    /// Sequence of the last record that is synced. Nobody reads beyond: the database would be told of what the host's end may take.
    synced: u64,
    /// Sequence of the last record that need not be kept.
    trimmed: u64,
    synced_at: Duration,
    cursor: Option<Cursor>,
    /// The last records without a gap: who follows closely need not read them from the disk.
    tail: VecDeque<Record>,
    /// Bytes of these.
    tail_bytes: usize,
}

/// The last records are kept in memory up to this, however many wait.
const TAIL_BYTES: usize = 1 << 20;

fn size(record: &Record) -> usize {
    size_of::<Record>() + record.key.len() + record.payload.len()
}

impl Shared {
    /// `next` is the sequence of the next record.
    pub(super) fn new(
        folder: PathBuf,
        id: JournalId,
        limits: Limits,
        segments: VecDeque<Segment>,
        next: u64,
    ) -> Self {
        let trimmed = segments.front().map_or(0, |segment| segment.first - 1);
        let synced = next - 1;
        let state = State {
            segments,
            next,
            synced,
            trimmed,
            synced_at: Duration::ZERO,
            cursor: None,
            tail: VecDeque::new(),
            tail_bytes: 0,
        };
        Self { folder, id, limits, state: Mutex::new(state), last: watch::Sender::new(next - 1) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next(&self) -> u64 {
        self.state().next
    }

    /// Whether one more record may be taken beside so many that are not counted yet.
    pub(super) fn room(&self, records: u64, bytes: u64) -> Result<(), JournalError> {
        let depth = self.depth();
        let full = |limit: String| {
            let what = format!(
                "the journal in {} is full: it holds {limit} that wait for the database",
                self.folder.display()
            );
            Err(JournalError::new(JournalErrorKind::Full, what))
        };
        if depth.records + records >= self.limits.records {
            return full(format!("{} records", depth.records + records));
        }
        if depth.bytes + bytes > self.limits.bytes {
            return full(format!("{} bytes", depth.bytes));
        }
        Ok(())
    }

    /// Records were appended.
    pub(super) fn grew(&self, records: Vec<Record>, bytes: u64) {
        let mut state = self.state();
        state.next += records.len() as u64;
        if let Some(segment) = state.segments.back_mut() {
            segment.bytes += bytes;
        }
        state.tail_bytes += records.iter().map(size).sum::<usize>();
        state.tail.extend(records);
        while state.tail_bytes > TAIL_BYTES
            && let Some(record) = state.tail.pop_front()
        {
            state.tail_bytes -= size(&record);
        }
    }

    /// Up to `limit` records from this one on that may be read, where the first of them is still in memory, or none is there.
    pub(super) fn tail(&self, wanted: u64, limit: usize) -> Option<Vec<Record>> {
        let state = self.state();
        if wanted > state.synced {
            return Some(Vec::new());
        }
        let first = state.next - state.tail.len() as u64;
        let skipped = usize::try_from(wanted.checked_sub(first)?).ok()?;
        let readable = usize::try_from(state.synced + 1 - wanted).unwrap_or(usize::MAX);
        Some(state.tail.iter().skip(skipped).take(limit.min(readable)).cloned().collect())
    }

    /// A file was begun.
    pub(super) fn began(&self, first: u64) {
        self.state().segments.push_back(Segment { first, bytes: HEADER });
    }

    /// All that was appended is on the disk, and may be read.
    pub(super) fn synced(&self, at: Duration) {
        let mut state = self.state();
        (state.synced, state.synced_at) = (state.next - 1, at);
        self.last.send_replace(state.synced);
    }

    pub(super) fn synced_at(&self) -> Duration {
        self.state().synced_at
    }

    pub(super) fn depth(&self) -> Depth {
        let state = self.state();
        let records = state.next - 1 - state.trimmed;
        let bytes = if records == 0 { 0 } else { state.segments.iter().map(|segment| segment.bytes).sum() };
        Depth { records, bytes }
    }

    /// The segments from the one that holds this record on, and the last sequence that may be read.
    pub(super) fn from(&self, sequence: u64) -> (Vec<Segment>, u64) {
        let state = self.state();
        let before = state.segments.iter().filter(|segment| segment.first <= sequence).count();
        (state.segments.iter().skip(before.saturating_sub(1)).copied().collect(), state.synced)
    }

    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.state().cursor
    }

    pub(super) fn set_cursor(&self, cursor: Cursor) {
        self.state().cursor = Some(cursor);
    }

    /// Forgets the files that hold nothing beyond this record; they are the caller's to delete.
    pub(super) fn trim(&self, applied: u64) -> Vec<Segment> {
        let mut state = self.state();
        state.trimmed = state.trimmed.max(applied.min(state.next - 1));
        let trimmed = state.trimmed;
        while state.next - state.tail.len() as u64 <= trimmed
            && let Some(record) = state.tail.pop_front()
        {
            state.tail_bytes -= size(&record);
        }
        let mut over = Vec::new();
        while state.segments.get(1).is_some_and(|following| following.first <= trimmed + 1) {
            over.extend(state.segments.pop_front());
        }
        over
    }

    pub(super) fn grown(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }
}
