//! The folder of a journal: its lock, its files, and what is found in them at start. Refuses to give up a record that was written
//! whole.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::segment::{self, HEADER, Header, Next};
use super::state::Segment;
use crate::error::{JournalError, JournalErrorKind};
use crate::journal::JournalId;

const LOCK: &str = "lock";
const SUFFIX: &str = "journal";

/// What stands in a folder.
pub(super) struct Contents {
    pub(super) id: JournalId,
    pub(super) segments: VecDeque<Segment>,
    /// Sequence of the next record.
    pub(super) next: u64,
    /// The file that is appended to, at its end.
    pub(super) tail: File,
    pub(super) length: u64,
}

pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.{SUFFIX}"))
}

/// Takes the folder for this process; held until the file is dropped.
pub(super) fn lock(folder: &Path) -> Result<File, JournalError> {
    let cannot = |what: &str, error: io::Error| {
        let what = format!("{} cannot hold a journal: {what}", folder.display());
        JournalError::new(JournalErrorKind::Refused, what).because(error)
    };
    fs::create_dir_all(folder).map_err(|error| cannot("it cannot be made", error))?;
    let file = OpenOptions::new().create(true).write(true).truncate(false).open(folder.join(LOCK));
    let file = file.map_err(|error| cannot("it cannot be written", error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let what = format!(
                "the journal in {} belongs to another process that runs: give each process a folder of its own",
                folder.display()
            );
            Err(JournalError::new(JournalErrorKind::Locked, what))
        }
        Err(TryLockError::Error(error)) => Err(cannot("it cannot be locked", error)),
    }
}

/// Begins a file, durably.
pub(super) fn create(folder: &Path, id: JournalId, first: u64) -> io::Result<File> {
    let mut file =
        OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path(folder, first))?;
    io::Write::write_all(&mut file, &Header { id, first }.encode())?;
    file.sync_all()?;
    sync(folder)?;
    Ok(file)
}

/// Makes what was created or deleted in a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and the file system does it by itself.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// A process goes on in the last file while that is no longer than this. A longer one would be read by every process that is begun
/// anew, since a file is given up only once all that it holds is applied.
const ANEW: u64 = 64 << 10;

/// Finds out what stands in a folder; the end of an append that was cut short is cut off. A journal that begins takes the new id.
pub(super) fn open(folder: &Path, new: JournalId) -> Result<Contents, JournalError> {
    let cannot = |error: io::Error| {
        let what = format!("the journal in {} cannot be read", folder.display());
        JournalError::new(JournalErrorKind::Refused, what).because(error)
    };
    let mut firsts = firsts(folder).map_err(cannot)?;
    // A file whose header was never written whole was just begun when its process ended: nothing stands in it.
    if let Some(&last) = firsts.last()
        && fs::metadata(path(folder, last)).map_err(cannot)?.len() < HEADER
    {
        fs::remove_file(path(folder, last)).map_err(cannot)?;
        firsts.pop();
    }
    let Some(&last) = firsts.last() else {
        let tail = create(folder, new, 1).map_err(cannot)?;
        let segments = VecDeque::from([Segment { first: 1, bytes: HEADER }]);
        return Ok(Contents { id: new, segments, next: 1, tail, length: HEADER });
    };
    let mut id = None;
    let mut segments = VecDeque::new();
    for first in firsts {
        let file = path(folder, first);
        let header = Header::read(&mut File::open(&file).map_err(cannot)?).map_err(cannot)?;
        let of_this = header.filter(|header| header.first == first && id.is_none_or(|id| id == header.id));
        let Some(header) = of_this else {
            return Err(damaged(&file, 0, "its header is none of this journal"));
        };
        id = Some(header.id);
        let bytes = fs::metadata(&file).map_err(cannot)?.len();
        segments.push_back(Segment { first, bytes });
    }
    let id = id.unwrap_or(new);
    let (tail, next, length) = end(&path(folder, last), id, last)?;
    if let Some(segment) = segments.back_mut() {
        segment.bytes = length;
    }
    if length > ANEW {
        let tail = create(folder, id, next).map_err(cannot)?;
        segments.push_back(Segment { first: next, bytes: HEADER });
        return Ok(Contents { id, segments, next, tail, length: HEADER });
    }
    Ok(Contents { id, segments, next, tail, length })
}

fn firsts(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = PathBuf::from(file?.file_name());
        let is_ours = file.extension().is_some_and(|suffix| suffix == SUFFIX);
        let first = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        firsts.extend(first.filter(|_| is_ours));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Reads the last file to its end: the file at that place, the next sequence, and how long it is.
fn end(file: &Path, id: JournalId, first: u64) -> Result<(File, u64, u64), JournalError> {
    let cannot = |error: io::Error| {
        let what = format!("{} cannot be read", file.display());
        JournalError::new(JournalErrorKind::Refused, what).because(error)
    };
    let opened = OpenOptions::new().read(true).write(true).open(file).map_err(cannot)?;
    let mut reader = BufReader::new(&opened);
    reader.seek(SeekFrom::Start(HEADER)).map_err(cannot)?;
    let (mut next, mut length) = (first, HEADER);
    loop {
        match segment::next(&mut reader, id, next).map_err(cannot)? {
            Next::Record(_, bytes) => (next, length) = (next + 1, length + bytes),
            Next::End => break,
            Next::Flaw => {
                let mut rest = Vec::new();
                reader.seek(SeekFrom::Start(length)).map_err(cannot)?;
                reader.read_to_end(&mut rest).map_err(cannot)?;
                if segment::holds_later(&rest, id, next) {
                    return Err(damaged(file, length, "whole records stand behind it"));
                }
                let file = file.display();
                tracing::warn!(%file, at = length, bytes = rest.len(), "an append that was cut short is cut off; nobody was told that it was made");
                opened.set_len(length).map_err(cannot)?;
                opened.sync_all().map_err(cannot)?;
                break;
            }
        }
    }
    // What a process had written that died before it synced it counts from here on, and what comes behind it may stand in another file:
    // the end of the host must not leave a gap between the two, nor take what the database was told of.
    opened.sync_data().map_err(cannot)?;
    let mut tail = opened;
    tail.seek(SeekFrom::Start(length)).map_err(cannot)?;
    Ok((tail, next, length))
}

pub(super) fn damaged(file: &Path, at: u64, why: &str) -> JournalError {
    let what = format!(
        "{} is damaged at byte {at}, and {why}: restore it, or move it away and with it the writes that it holds",
        file.display()
    );
    JournalError::new(JournalErrorKind::Damaged, what)
}

/// Deletes files that hold nothing more. Those that stay are deleted with the next.
pub(super) fn delete(folder: &Path, over: &[Segment]) -> io::Result<()> {
    for segment in over {
        fs::remove_file(path(folder, segment.first))?;
    }
    if over.is_empty() { Ok(()) } else { sync(folder) }
}
