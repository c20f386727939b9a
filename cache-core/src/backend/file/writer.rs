//! The thread that appends: takes what callers handed in meanwhile, writes it in one go, syncs once, and answers all. Refuses to
//! go on after a sync that failed, because what it covered may be lost although a later one succeeds.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::segment::{self, HEADER};
use super::state::Shared;
use super::{Fsync, folder};
use crate::error::{JournalError, JournalErrorKind};
use crate::journal::{Position, Record};
use crate::time::Clock;

/// What goes into one write at most; more waits for the next.
const AT_ONCE: usize = 4 << 20;

/// A record that a caller waits for.
pub(super) struct Append {
    pub(super) key: String,
    pub(super) payload: Bytes,
    pub(super) answer: oneshot::Sender<Result<Position, JournalError>>,
}

/// The end of the file that is appended to.
pub(super) trait Tail: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    /// Gives up what stands behind a length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Tail for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

/// Opens the file of a segment that begins with this sequence.
pub(super) type Create = Box<dyn FnMut(u64) -> io::Result<Box<dyn Tail>> + Send>;

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Box<dyn Clock>,
    pub(super) fsync: Fsync,
    pub(super) tail: Box<dyn Tail>,
    pub(super) create: Create,
    /// Bytes of the file that hold.
    pub(super) length: u64,
    /// Bytes that were written and not synced.
    pub(super) is_dirty: bool,
    /// Why nothing more is taken.
    pub(super) broken: Option<String>,
}

impl Writer {
    /// Appends until nobody can hand anything in any more.
    pub(super) fn run(mut self, appends: &Receiver<Append>) {
        loop {
            let first = match self.fsync {
                Fsync::Interval(interval) if self.is_dirty => match appends.recv_timeout(interval) {
                    Err(RecvTimeoutError::Timeout) => {
                        self.sync_late();
                        continue;
                    }
                    first => first.ok(),
                },
                _ => appends.recv().ok(),
            };
            let Some(first) = first else { break };
            let mut size = first.payload.len();
            let mut batch = vec![first];
            while size < AT_ONCE
                && let Ok(append) = appends.try_recv()
            {
                size += append.payload.len();
                batch.push(append);
            }
            self.write(batch);
            if self.is_due() {
                self.sync_late();
            }
        }
        if self.is_dirty {
            self.sync_late();
        }
    }

    /// Under a steady stream nobody is quiet for an interval.
    fn is_due(&self) -> bool {
        match self.fsync {
            Fsync::Always => false,
            Fsync::Interval(interval) => {
                self.is_dirty && self.clock.monotonic().saturating_sub(self.shared.synced_at()) >= interval
            }
        }
    }

    fn sync_late(&mut self) {
        match self.tail.sync() {
            Ok(()) => {
                self.is_dirty = false;
                self.shared.synced(self.clock.monotonic());
            }
            Err(error) => {
                self.breaks("what was acknowledged since the last sync may be lost if the host dies", &error)
            }
        }
    }

    /// Writes what fits, and answers everybody.
    pub(super) fn write(&mut self, batch: Vec<Append>) {
        if let Some(why) = &self.broken {
            let error = || JournalError::new(JournalErrorKind::Failed, why.clone());
            batch.into_iter().for_each(|append| drop(append.answer.send(Err(error()))));
            return;
        }
        let at = self.clock.wall();
        let (id, first) = (self.shared.id, self.shared.next());
        let mut bytes = Vec::new();
        let (mut taken, mut records) = (Vec::new(), Vec::new());
        for append in batch {
            let length = segment::body_length(&append.key, &append.payload) as u64;
            match self.shared.room(taken.len() as u64, bytes.len() as u64 + length) {
                Ok(()) => {
                    let sequence = first + taken.len() as u64;
                    segment::encode(&mut bytes, id, sequence, at, &append.key, &append.payload);
                    taken.push(append.answer);
                    let position = Position(sequence.into());
                    records.push(Record { position, at, key: append.key, payload: append.payload });
                }
                Err(full) => drop(append.answer.send(Err(full))),
            }
        }
        if taken.is_empty() {
            return;
        }
        let written = self.begin_segment(first, bytes.len() as u64).and_then(|()| self.tail.append(&bytes));
        if let Err(error) = written {
            let cut = self.tail.cut(self.length);
            let kind = if cut.is_ok() { JournalErrorKind::Failed } else { JournalErrorKind::Unknown };
            let told = format!("{error}");
            if let Err(cut) = cut {
                self.breaks("what was written in part could not be taken back", &cut);
            }
            let error = || {
                JournalError::new(
                    kind,
                    format!("a journal in {} could not be written", self.shared.folder.display()),
                )
                .because(told.clone())
            };
            taken.into_iter().for_each(|answer| drop(answer.send(Err(error()))));
            return;
        }
        self.length += bytes.len() as u64;
        self.is_dirty = true;
        if self.fsync == Fsync::Always {
            if let Err(error) = self.tail.sync() {
                self.breaks("what was written last may be there or not", &error);
                let unknown = || {
                    let what = format!("a journal in {} could not be synced", self.shared.folder.display());
                    JournalError::new(JournalErrorKind::Unknown, what)
                };
                taken.into_iter().for_each(|answer| drop(answer.send(Err(unknown()))));
                return;
            }
            self.is_dirty = false;
        }
        self.shared.grew(records, bytes.len() as u64);
        if !self.is_dirty {
            self.shared.synced(self.clock.monotonic());
        }
        for (at, answer) in taken.into_iter().enumerate() {
            drop(answer.send(Ok(Position((first + at as u64).into()))));
        }
    }

    /// Goes on in a new file where the old one is full.
    fn begin_segment(&mut self, first: u64, more: u64) -> io::Result<()> {
        if self.length <= HEADER || self.length + more <= self.shared.limits.segment_bytes {
            return Ok(());
        }
        self.tail.sync()?;
        self.tail = (self.create)(first)?;
        self.length = HEADER;
        self.shared.began(first);
        Ok(())
    }

    fn breaks(&mut self, what: &str, error: &io::Error) {
        let folder = self.shared.folder.display();
        tracing::error!(%error, %folder, "a journal takes no more writes: {what}");
        self.broken = Some(format!(
            "the journal in {folder} takes no more writes until it is opened again: {what} ({error})"
        ));
    }
}

/// Makes the files of segments in a folder.
pub(super) fn creates(shared: &Arc<Shared>) -> Create {
    let shared = shared.clone();
    Box::new(move |first| Ok(Box::new(folder::create(&shared.folder, shared.id, first)?) as Box<dyn Tail>))
}
