//! A process's events on their way to a file. Refuses to lose what happened before a planned death: it is flushed first.

use std::{
    fs::{self, File},
    io::{self, Write},
    mem,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::event::Event;

/// Few, since a process that is killed from outside takes them with it.
const BUFFER: usize = 64 * Event::SIZE;

/// The log of one process.
#[derive(Debug)]
pub struct Log(Mutex<Open>);

#[derive(Debug)]
struct Open {
    file: File,
    buffer: Vec<u8>,
}

impl Log {
    /// Starts a log.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(Mutex::new(Open { file: File::create_new(path)?, buffer: Vec::with_capacity(BUFFER) })))
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event.
    ///
    /// # Panics
    /// When the file cannot be written: a run without its log proves nothing.
    pub fn add(&self, event: Event) {
        let mut open = self.open();
        open.buffer.extend(event.to_bytes());
        if open.buffer.len() >= BUFFER {
            open.flush();
        }
    }

    /// Writes what is buffered, and lets nobody add to the log while `then` runs.
    ///
    /// # Panics
    /// As [`Log::add`].
    pub fn flush_and<T>(&self, then: impl FnOnce() -> T) -> T {
        let mut open = self.open();
        open.flush();
        then()
    }
}

impl Open {
    fn flush(&mut self) {
        let full = mem::take(&mut self.buffer);
        self.file.write_all(&full).expect("the log can be written");
        self.buffer = full;
        self.buffer.clear();
    }
}

/// All events of a folder of logs. A record cut short by a death is left out: it can only excuse, not accuse.
///
/// # Errors
/// Those of the file system; bytes that are no record.
pub fn read_all(folder: &Path) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        let (records, _) = bytes.as_chunks::<{ Event::SIZE }>();
        events.reserve(records.len());
        for record in records {
            let event = Event::from_bytes(record).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is no log", path.display()))
            })?;
            events.push(event);
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::event::Kind;

    #[test]
    fn a_log_reads_back_but_for_what_was_cut_short() {
        let folder = std::env::temp_dir().join(cache_test_support::unique_name("cache_log"));
        fs::create_dir(&folder).unwrap();
        let event = |version| Event { begin: 1, end: 2, version, key: 3, instance: 4, kind: Kind::Hit };
        let log = Log::create(&folder.join("one")).unwrap();
        let versions = 0..10_000;
        versions.clone().for_each(|version| log.add(event(version)));
        log.flush_and(|| ());
        fs::write(folder.join("two"), &event(9).to_bytes()[..20]).unwrap();
        assert_eq!(read_all(&folder).unwrap(), versions.map(event).collect::<Vec<_>>());
        fs::write(folder.join("three"), [u8::MAX; Event::SIZE]).unwrap();
        assert!(read_all(&folder).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
