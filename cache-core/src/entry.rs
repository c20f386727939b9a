//! The envelope around a stored value: format, codec, flags, epoch, schema, times, tags and a checksum. Refuses whatever it
//! does not recognise: bytes that are not exactly such an envelope are a miss, never an error and never a value.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | format, now 2 |
//! | 1 | codec of the payload |
//! | 2 | flags: 1 negative |
//! | 3 | 0 |
//! | 4-11 | epoch of the dataset when the lease was granted |
//! | 12-19 | fingerprint: value schema, key template, declared tags, and the subject's name |
//! | 20-27 | made at, milliseconds on the store's clock |
//! | 28-35 | current until, milliseconds on the store's clock |
//! | 36-43 | expires at, milliseconds on the store's clock |
//! | 44-51 | microseconds the load took |
//! | 52-59 | XXH3-64 of everything else |
//! | 60- | number of tags (2 bytes); per tag epoch and generation (8 + 8); number of tags that the value named (2), of each length (2) and name; length (2) and text of a shortened key; length (2) and text of a validator; payload |
//!
//! Numbers are little-endian.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::Xxh3;

use crate::subject::{Epoch, Generation, TagStamp};
use crate::time::StoreTime;

/// Where the epoch stands in an entry, for stores that compare it (8 bytes, little-endian).
pub const EPOCH: std::ops::Range<usize> = 4..12;

const FORMAT: u8 = 2;
const NEGATIVE: u8 = 1;
/// Where an entry's checksum stands, for stores that tell one from another.
pub const CHECKSUM: std::ops::Range<usize> = 52..60;
const FIXED: usize = 60;

/// The facts about a stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which codec wrote the payload.
    pub codec: u8,
    /// "There is none": the payload is empty.
    pub negative: bool,
    /// Epoch of the dataset when the lease was granted.
    pub epoch: Epoch,
    /// Fingerprint of value schema, key template, declared tags and the subject's name ([`EntryKey::fingerprint`]).
    ///
    /// [`EntryKey::fingerprint`]: crate::subject::EntryKey::fingerprint
    pub fingerprint: u64,
    /// When it was loaded, on the store's clock.
    pub made_at: StoreTime,
    /// When its lifetime is over, on the store's clock: from then on it is loaded anew, and served only where a policy says so.
    pub current_until: StoreTime,
    /// When it is useless, on the store's clock; not before its lifetime is over.
    pub expires_at: StoreTime,
    /// How long the load took, to the microsecond.
    pub load: Duration,
    /// One stamp a declared tag, in the order of declaration, then one a tag that the value named.
    pub tags: Vec<TagStamp>,
    /// Names of the tags that the value named.
    pub learned: Vec<Box<str>>,
    /// The whole key where the stored one ends in a digest.
    pub full_key: Option<Box<str>>,
    /// What the loader said identifies this state of its source, an HTTP ETag for example.
    pub validator: Option<Box<str>>,
}

/// What tells these bytes from others in the same place; nothing of what is too short for an entry.
#[must_use]
pub fn mark_of(blob: &[u8]) -> Option<[u8; 8]> {
    blob.get(CHECKSUM)?.try_into().ok()
}

/// Why bytes are no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Written by another format of this library, or by somebody else.
    Format,
    /// Cut off, or longer than it says.
    Length,
    /// Not the bytes that were written.
    Checksum,
}

fn checksum(blob: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&blob[..CHECKSUM.start]);
    hash.update(&blob[CHECKSUM.end..]);
    hash.digest()
}

fn put_text(out: &mut BytesMut, text: &str) {
    let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    out.put_u16_le(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text);
}

/// Writes header and payload into one blob.
#[must_use]
pub fn encode(header: &Header, payload: &[u8]) -> Bytes {
    let [key, validator] =
        [&header.full_key, &header.validator].map(|text| text.as_deref().unwrap_or_default());
    let names: usize = header.learned.iter().map(|name| 2 + name.len()).sum();
    let texts = names + key.len() + validator.len();
    let mut out = BytesMut::with_capacity(FIXED + 8 + 16 * header.tags.len() + texts + payload.len());
    out.put_slice(&[FORMAT, header.codec, if header.negative { NEGATIVE } else { 0 }, 0]);
    out.put_u64_le(header.epoch.0);
    out.put_u64_le(header.fingerprint);
    out.put_u64_le(header.made_at.0);
    out.put_u64_le(header.current_until.0);
    out.put_u64_le(header.expires_at.0);
    out.put_u64_le(u64::try_from(header.load.as_micros()).unwrap_or(u64::MAX));
    out.put_u64_le(0);
    out.put_u16_le(u16::try_from(header.tags.len()).unwrap_or(u16::MAX));
    for tag in header.tags.iter().take(usize::from(u16::MAX)) {
        out.put_u64_le(tag.epoch.0);
        out.put_u64_le(tag.generation.map_or(0, |g| g.0));
    }
    out.put_u16_le(u16::try_from(header.learned.len()).unwrap_or(u16::MAX));
    let names = header.learned.iter().take(usize::from(u16::MAX)).map(|name| &**name);
    names.chain([key, validator]).for_each(|text| put_text(&mut out, text));
    out.put_slice(payload);
    let sum = checksum(&out);
    out[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
    out.freeze()
}

/// Reads a blob back; the payload shares the blob's memory.
///
/// # Errors
/// [`Malformed`] for anything that [`encode`] did not write.
pub fn decode(blob: &Bytes) -> Result<(Header, Bytes), Malformed> {
    let mut rest = Reader { blob, at: 0 };
    let [format, codec, flags, zero] = rest.array()?;
    if format != FORMAT || zero != 0 || flags & !NEGATIVE != 0 {
        return Err(Malformed::Format);
    }
    let epoch = Epoch(rest.number()?);
    let fingerprint = rest.number()?;
    let made_at = StoreTime(rest.number()?);
    let current_until = StoreTime(rest.number()?);
    let expires_at = StoreTime(rest.number()?);
    let load = Duration::from_micros(rest.number()?);
    let sum = rest.number()?;
    if sum != checksum(blob) {
        return Err(Malformed::Checksum);
    }
    let count = u16::from_le_bytes(rest.array()?);
    let mut tags = Vec::with_capacity(usize::from(count).min(64));
    for _ in 0..count {
        let epoch = Epoch(rest.number()?);
        tags.push(TagStamp { epoch, generation: Some(Generation(rest.number()?)) });
    }
    let named = u16::from_le_bytes(rest.array()?);
    let learned = (0..named).map(|_| rest.text().map(Into::into)).collect::<Result<_, _>>()?;
    let [full_key, validator] =
        [rest.text()?, rest.text()?].map(|text| Some(text).filter(|text| !text.is_empty()).map(Into::into));
    let header = Header {
        codec,
        negative: flags & NEGATIVE != 0,
        epoch,
        fingerprint,
        made_at,
        current_until,
        expires_at,
        load,
        tags,
        learned,
        full_key,
        validator,
    };
    Ok((header, blob.slice(rest.at..)))
}

struct Reader<'a> {
    blob: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn slice(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed::Length)?;
        let slice = self.blob.get(self.at..end).ok_or(Malformed::Length)?;
        self.at = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.slice(N)?.try_into().map_err(|_| Malformed::Length)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        std::str::from_utf8(self.slice(length)?).map_err(|_| Malformed::Format)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            codec: 1,
            negative: false,
            epoch: Epoch(7),
            fingerprint: 9,
            made_at: StoreTime(1000),
            current_until: StoreTime(2000),
            expires_at: StoreTime(3000),
            load: Duration::from_micros(1500),
            tags: vec![TagStamp { epoch: Epoch(7), generation: Some(Generation(3)) }],
            learned: vec!["shop#author:7".into(), "shop#author:8".into()],
            full_key: Some("shop:x".into()),
            validator: Some("W/1".into()),
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        let blob = encode(&header(), b"payload");
        assert_eq!(decode(&blob), Ok((header(), Bytes::from_static(b"payload"))));
        assert_eq!(blob[EPOCH], 7_u64.to_le_bytes());
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_refused() {
        let blob = encode(&header(), b"payload");
        for bit in 0..blob.len() * 8 {
            let mut bytes = blob.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes.into()).is_err(), "bit {bit}");
        }
        for length in 0..blob.len() {
            assert!(decode(&blob.slice(..length)).is_err(), "length {length}");
        }
    }

    #[test]
    fn strange_bytes_are_malformed() {
        for bytes in [
            &b""[..],
            b"\x01",
            b"hello world, I am somebody else's value and quite long at that",
            &[0xff; 100],
        ] {
            assert!(decode(&Bytes::copy_from_slice(bytes)).is_err());
        }
    }
}
