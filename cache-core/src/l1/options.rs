//! How large an L1 is and what it takes. Refuses sizes of nothing when the cache is built.

use std::time::Duration;

/// What a process keeps for itself in front of the store: [`Builder::l1`](crate::Builder::l1). A number stands for
/// [`L1::entries`].
///
/// ```
/// use std::time::Duration;
/// use cache_core::{Cache, L1, MemoryStore};
///
/// let small = L1::bytes(64 << 20).ttl(Duration::from_secs(30)).admit_after(2);
/// let cache = Cache::builder("shop").store(MemoryStore::default()).l1(small).build()?;
/// # Ok::<(), cache_core::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "hand it to `Builder::l1`"]
pub struct L1 {
    pub(super) room: Room,
    pub(super) ttl: Option<Duration>,
    pub(super) admit_after: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Entries(u64),
    Bytes(u64),
}

impl L1 {
    /// At most so many entries, whatever their size.
    pub const fn entries(entries: usize) -> Self {
        Self { room: Room::Entries(entries as u64), ttl: None, admit_after: 1 }
    }

    /// At most so many bytes: of each value as it is encoded for the store, plus some 200 of its own. What a value takes in
    /// memory is about that, and is not measured.
    pub const fn bytes(bytes: usize) -> Self {
        Self { room: Room::Bytes(bytes as u64), ..Self::entries(0) }
    }

    /// Nothing is kept for longer than this, nor ever for longer than it lives in the store. Unless this is said, as long as it lives
    /// there. It bounds how old a value may be that was changed behind the cache's back, and nothing else: covered writes need it not.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// A key goes in only when it was missed so many times lately; 1 by default, 2 or 3 keep what is read once out. Over Redis, what
    /// is kept is also what writers elsewhere wait for: then it is worth it where much is written that few read.
    pub const fn admit_after(mut self, misses: u8) -> Self {
        self.admit_after = misses;
        self
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        match self.room {
            Room::Entries(0) | Room::Bytes(0) => mistakes.push(
                "the L1 has room for nothing: write for example `.l1(100_000)`, or leave it out".into(),
            ),
            Room::Bytes(bytes) if bytes < SMALLEST => mistakes.push(format!(
                "the L1 has room for {bytes} bytes, less than some entries need: write for example `.l1(L1::bytes(64 << 20))`, or `.l1({bytes})` if entries are meant"
            )),
            _ => {}
        }
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            mistakes.push(
                "the `ttl` of the L1 is zero: nothing would be kept; leave it out for that of the entries"
                    .into(),
            );
        }
        if self.admit_after == 0 {
            mistakes.push(
                "`admit_after(0)` of the L1 admits nothing: write 1, the default, to admit everything".into(),
            );
        }
        mistakes
    }
}

/// A budget of bytes below this is a number of entries by mistake.
const SMALLEST: u64 = 64 << 10;

impl From<usize> for L1 {
    fn from(entries: usize) -> Self {
        Self::entries(entries)
    }
}
