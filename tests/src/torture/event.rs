//! What a run leaves behind: one record of 24 bytes for each read, load, write and look at the database. Refuses to judge.

/// The instance number of the coordinator, which only looks at the database.
pub const COORDINATOR: u8 = u8::MAX;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A read that ran no loader of its own.
    Hit,
    /// A read that ran its loader.
    Miss,
    /// The same of an entry that a write reaches only through a tag.
    TagHit,
    /// The same, with its loader.
    TagMiss,
    /// A write that returned `Ok`.
    Write,
    /// A look at the database, past every cache: an observer's, or a loader's statement.
    Seen,
    /// A read of the quiet system after all writes.
    Rest,
}

const KINDS: [Kind; 7] =
    [Kind::Hit, Kind::Miss, Kind::TagHit, Kind::TagMiss, Kind::Write, Kind::Seen, Kind::Rest];

impl Kind {
    /// Whether it is a read through the cache while others write.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, Self::Hit | Self::Miss | Self::TagHit | Self::TagMiss)
    }

    /// Whether it is a read that ran no loader of its own.
    #[must_use]
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Hit | Self::TagHit)
    }
}

/// One event. Its times enclose the call: `begin` was taken before it, `end` after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds, see [`crate::time::now`].
    pub begin: u64,
    /// Nanoseconds.
    pub end: u64,
    /// The row's version that was read or written.
    pub version: u32,
    /// The hot key.
    pub key: u16,
    /// Which instance.
    pub instance: u8,
    /// What happened.
    pub kind: Kind,
}

impl Event {
    /// Bytes of a record.
    pub const SIZE: usize = 24;

    /// The record as logs keep it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.begin.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.end.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.version.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.key.to_le_bytes());
        bytes[22] = self.instance;
        bytes[23] = self.kind as u8;
        bytes
    }

    /// A record read back; `None` for bytes that are none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        let (begin, rest) = bytes.split_first_chunk()?;
        let (end, rest) = rest.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let [instance, kind] = *rest else { return None };
        Some(Self {
            begin: u64::from_le_bytes(*begin),
            end: u64::from_le_bytes(*end),
            version: u32::from_le_bytes(*version),
            key: u16::from_le_bytes(*key),
            instance,
            kind: *KINDS.get(usize::from(kind))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_is_as_small_in_memory() {
        for (place, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            let event = Event { begin: 1 << 60, end: u64::MAX, version: 70_000, key: 300, instance: 7, kind };
            assert_eq!(Event::from_bytes(&event.to_bytes()), Some(event));
        }
        assert_eq!(size_of::<Event>(), Event::SIZE);
        assert_eq!(Event::from_bytes(&[u8::MAX; Event::SIZE]), None);
    }
}
