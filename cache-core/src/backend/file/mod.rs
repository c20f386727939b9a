//! A journal in a folder of the local file system: append, checksum, sync, and files that are deleted once all that they hold is
//! applied. Refuses two processes in one folder.

mod folder;
mod segment;
mod state;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use self::segment::{HEADER, Next};
use self::state::{Cursor, Limits, Shared};
use self::writer::{Append, Writer};
use crate::error::{JournalError, JournalErrorKind};
use crate::journal::{Depth, Journal, JournalId, Position, Record, Survives};
use crate::rng::{Rng, SystemRng};
use crate::store::BoxFuture;
use crate::time::SystemClock;

/// What one read holds at most, unless its first record alone is longer.
const READ_BYTES: usize = 8 << 20;

/// When what was appended is synced to the disk (`fdatasync`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before it is acknowledged; writes that come together share one. Survives the sudden end of the host.
    Always,
    /// In the background, this long after it was acknowledged at most. Survives the end of the process, and of the host except for
    /// what was acknowledged since.
    Interval(Duration),
}

/// A write-behind journal in a folder, for one process.
///
/// Dropped, it ends once everything handed in is written; the folder is free after that ([`close`](Self::close) waits).
#[derive(Debug)]
pub struct FileJournal {
    shared: Arc<Shared>,
    fsync: Fsync,
    appends: Option<mpsc::Sender<Append>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How a journal in a folder is opened.
#[derive(Clone, Debug)]
pub struct FileJournalBuilder {
    folder: PathBuf,
    fsync: Fsync,
    limits: Limits,
}

impl FileJournal {
    /// Opens the journal in a folder, or begins one, with [`Fsync::Always`] and room for 1 GiB.
    ///
    /// # Errors
    /// [`FileJournalBuilder::open`].
    pub async fn open(folder: impl Into<PathBuf>) -> Result<Self, JournalError> {
        Self::builder(folder).open().await
    }

    /// Opens it otherwise.
    pub fn builder(folder: impl Into<PathBuf>) -> FileJournalBuilder {
        let limits = Limits { segment_bytes: 64 << 20, records: u64::MAX, bytes: 1 << 30 };
        FileJournalBuilder { folder: folder.into(), fsync: Fsync::Always, limits }
    }

    /// Waits until everything handed in is written and synced, and the folder is free.
    pub async fn close(mut self) {
        drop(self.appends.take());
        if let Some(thread) = self.thread.take() {
            // It panicked if it does not join, and then said so.
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
        }
    }
}

impl FileJournalBuilder {
    /// When appends are synced.
    #[must_use]
    pub fn fsync(self, fsync: Fsync) -> Self {
        Self { fsync, ..self }
    }

    /// A file is given up for the next at this size, 64 MiB unless told: the unit in which room is given back.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.limits.segment_bytes = bytes;
        self
    }

    /// What may wait for the database, in bytes on the disk: 1 GiB unless told. Beyond it writes are refused.
    #[must_use]
    pub fn limit_bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// What may wait for the database, in records: unlimited unless told.
    #[must_use]
    pub fn limit_records(mut self, records: u64) -> Self {
        self.limits.records = records;
        self
    }

    /// Locks the folder, reads the last file, and cuts off an append that was cut short.
    ///
    /// # Errors
    /// [`JournalErrorKind::Refused`] for a limit of 0, or a folder that cannot be made, read or written; [`JournalErrorKind::Locked`] for one
    /// that another process has; [`JournalErrorKind::Damaged`] where whole records stand behind bytes that are none.
    pub async fn open(self) -> Result<FileJournal, JournalError> {
        let refuse = |what: &str| Err(JournalError::new(JournalErrorKind::Refused, what));
        let Self { folder, fsync, mut limits } = self;
        if limits.segment_bytes == 0 || limits.bytes == 0 || limits.records == 0 {
            return refuse(
                "a journal that may hold 0 bytes or records takes no write: give it room, or leave the limit out",
            );
        }
        if fsync == Fsync::Interval(Duration::ZERO) {
            return refuse(
                "`Fsync::Interval` of zero: write `Fsync::Always` to sync before each acknowledgement",
            );
        }
        // What is applied is counted until its file is given up.
        limits.segment_bytes = limits.segment_bytes.min(limits.bytes / 4);
        blocking(move || FileJournal::open_here(folder, fsync, limits)).await?
    }
}

impl FileJournal {
    fn open_here(folder: PathBuf, fsync: Fsync, limits: Limits) -> Result<Self, JournalError> {
        let lock = folder::lock(&folder)?;
        let rng = SystemRng::default();
        let new = JournalId(u128::from(rng.bits()) << 64 | u128::from(rng.bits()));
        let folder::Contents { id, segments, next, tail, length } = folder::open(&folder, new)?;
        let shared = Arc::new(Shared::new(folder, id, limits, segments, next));
        let writer = Writer {
            create: writer::creates(&shared),
            shared: shared.clone(),
            clock: Box::new(SystemClock::default()),
            fsync,
            tail: Box::new(tail),
            length,
            is_dirty: false,
            broken: None,
        };
        let (appends, incoming) = mpsc::channel();
        let thread = std::thread::Builder::new().name("cache-journal".into()).spawn(move || {
            writer.run(&incoming);
            drop(lock);
        });
        let thread = thread.map_err(|error| {
            JournalError::new(JournalErrorKind::Refused, "no thread for a journal").because(error)
        })?;
        Ok(Self { shared, fsync, appends: Some(appends), thread: Some(thread) })
    }
}

impl FileJournal {
    /// Gives a record to the thread.
    fn hand_in(&self, key: &str, payload: Bytes) -> Result<Answered, JournalError> {
        let length = segment::body_length(key, &payload);
        if length > segment::LONGEST {
            let what = format!(
                "a write of {length} bytes is too long for a journal, which takes {}",
                segment::LONGEST
            );
            return Err(JournalError::new(JournalErrorKind::Failed, what));
        }
        let (answer, answered) = oneshot::channel();
        let append = Append { key: key.to_owned(), payload, answer };
        self.appends.as_ref().ok_or_else(gone)?.send(append).map_err(|_| gone())?;
        Ok(answered)
    }
}

/// Hears where a record stands.
type Answered = oneshot::Receiver<Result<Position, JournalError>>;

fn gone() -> JournalError {
    JournalError::new(JournalErrorKind::Unknown, "the thread of a journal ended; open it again")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JournalError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| gone())
}

impl Journal for FileJournal {
    fn append<'a>(&'a self, key: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Position, JournalError>> {
        let answered = self.hand_in(key, payload);
        Box::pin(async move { answered?.await.map_err(|_| gone())? })
    }

    fn append_many<'a>(
        &'a self,
        records: &'a [(String, Bytes)],
    ) -> BoxFuture<'a, Vec<Result<Position, JournalError>>> {
        // All are there before the thread has synced the first.
        let handed_in: Vec<_> =
            records.iter().map(|(key, payload)| self.hand_in(key, payload.clone())).collect();
        Box::pin(async move {
            let mut positions = Vec::with_capacity(handed_in.len());
            for answered in handed_in {
                positions.push(match answered {
                    Ok(answered) => answered.await.unwrap_or_else(|_| Err(gone())),
                    Err(error) => Err(error),
                });
            }
            positions
        })
    }

    fn read(&self, after: Position, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, JournalError>> {
        let (shared, after) = (self.shared.clone(), sequence(after));
        Box::pin(async move {
            match shared.tail(after.saturating_add(1), limit) {
                Some(records) => Ok(records),
                None => blocking(move || read(&shared, after, limit)).await?,
            }
        })
    }

    fn trim(&self, applied: Position) -> BoxFuture<'_, Result<(), JournalError>> {
        let over = self.shared.trim(sequence(applied));
        let shared = self.shared.clone();
        Box::pin(async move {
            if over.is_empty() {
                return Ok(());
            }
            let deleted = blocking(move || folder::delete(&shared.folder, &over)).await?;
            deleted.map_err(|error| {
                let what =
                    format!("applied records in {} could not be deleted", self.shared.folder.display());
                JournalError::new(JournalErrorKind::Failed, what).because(error)
            })
        })
    }

    fn grown(&self, beyond: Position) -> BoxFuture<'_, ()> {
        let mut last = self.shared.grown();
        // It ends when the journal does, and then whoever reads is told.
        Box::pin(async move { drop(last.wait_for(|last| *last > sequence(beyond)).await) })
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, JournalError>> {
        Box::pin(std::future::ready(Ok(self.shared.depth())))
    }

    fn id(&self) -> JournalId {
        self.shared.id
    }

    fn survives(&self) -> Survives {
        match self.fsync {
            Fsync::Always => Survives::Host,
            Fsync::Interval(interval) => Survives::HostUpTo(interval),
        }
    }

    fn describe(&self) -> String {
        format!("a journal in {}", self.shared.folder.display())
    }
}

/// The sequence at a position. Positions of this journal fit.
fn sequence(position: Position) -> u64 {
    u64::try_from(position.0).unwrap_or(u64::MAX)
}

fn read(shared: &Shared, after: u64, limit: usize) -> Result<Vec<Record>, JournalError> {
    let cannot = |error: io::Error| {
        let what = format!("the journal in {} cannot be read", shared.folder.display());
        JournalError::new(JournalErrorKind::Unknown, what).because(error)
    };
    let wanted = after.saturating_add(1);
    let (segments, last) = shared.from(wanted);
    let cursor = shared.cursor().filter(|cursor| cursor.next <= wanted);
    let (mut records, mut size) = (Vec::new(), 0);
    for (at, segment) in segments.iter().enumerate() {
        if records.len() >= limit || size >= READ_BYTES {
            break;
        }
        let path = folder::path(&shared.folder, segment.first);
        let mut reader = BufReader::new(File::open(&path).map_err(cannot)?);
        let place = cursor.filter(|cursor| cursor.segment == segment.first);
        let (mut next, mut offset) = place.map_or((segment.first, HEADER), |at| (at.next, at.offset));
        reader.seek(SeekFrom::Start(offset)).map_err(cannot)?;
        while next <= last && records.len() < limit && size < READ_BYTES {
            match segment::next(&mut reader, shared.id, next).map_err(cannot)? {
                Next::Record(record, bytes) => {
                    (next, offset) = (next + 1, offset + bytes);
                    if next > wanted {
                        size += record.payload.len();
                        records.push(record);
                    }
                }
                // The next file begins where this one ends.
                Next::End if segments.get(at + 1).is_some_and(|following| following.first == next) => break,
                Next::End | Next::Flaw => {
                    return Err(folder::damaged(&path, offset, "records that were acknowledged stood there"));
                }
            }
        }
        shared.set_cursor(Cursor { next, segment: segment.first, offset });
    }
    Ok(records)
}
