//! What is logged, told apart by the server it is about. One subscriber for all tests: `tracing` remembers for the whole process
//! whether a line interests anybody, so a subscriber of one thread may miss what another thread's test has switched off.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, Once};

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The lines about one server.
pub(crate) struct Log(String);

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens from now on.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(|| Writer)
            .with_ansi(false)
            .init();
    });
}

impl Log {
    pub(crate) fn of(address: SocketAddr) -> Self {
        listen();
        Self(format!("{address},"))
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned();
        text.lines().filter(|line| line.contains(&self.0)).map(str::to_owned).collect()
    }

    /// How many lines contain this.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(part)).count()
    }

    /// Whether every outage was told by one warning and its end by one line, in turn.
    pub(crate) fn tells_each_outage_once(&self) -> bool {
        let told = |line: &String| match line.as_str() {
            line if line.contains("the store is unavailable") => Some(true),
            line if line.contains("the store is available again") => Some(false),
            _ => None,
        };
        let told: Vec<bool> = self.lines().iter().filter_map(told).collect();
        !told.is_empty() && told.iter().enumerate().all(|(at, is_outage)| *is_outage == at.is_multiple_of(2))
    }
}
