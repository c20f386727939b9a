//! One file of a journal: a header, then records, each with a checksum. Refuses to take bytes for a record that were not written
//! whole.
//!
//! ```text
//! header   magic "CACHEJ01" | journal id 16 | first sequence 8 | xxh3 of these 8
//! record   length of the body 4 | xxh3 of the body, seeded with the journal id 8 | body
//! body     sequence 8 | time 8 | length of the key 4 | key | payload             all numbers little-endian
//! ```

use std::io::{self, Read};

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::journal::{JournalId, Position, Record};
use crate::time::StoreTime;

const MAGIC: &[u8; 8] = b"CACHEJ01";
/// Bytes before the first record.
pub(super) const HEADER: u64 = 40;
/// Bytes of a record before its body.
const FRAME: usize = 12;
/// Bytes of a body before its key.
const PREFIX: usize = 20;
/// The longest body: a length beyond it was never written.
pub(super) const LONGEST: usize = 16 << 20;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: JournalId,
    /// Sequence of the first record.
    pub(super) first: u64,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.id.0.to_le_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    /// `None` where no whole header stands.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEADER as usize];
        if read_whole(from, &mut bytes)? < bytes.len() {
            return Ok(None);
        }
        let [magic, id, id_too, first, sum] = parts(&bytes);
        let is_whole = magic == *MAGIC && u64::from_le_bytes(sum) == xxh3_64(&bytes[..32]);
        let mut whole_id = [0; 16];
        whole_id[..8].copy_from_slice(&id);
        whole_id[8..].copy_from_slice(&id_too);
        let header = Self { id: JournalId(u128::from_le_bytes(whole_id)), first: u64::from_le_bytes(first) };
        Ok(is_whole.then_some(header))
    }
}

fn parts(bytes: &[u8; 40]) -> [[u8; 8]; 5] {
    let mut parts = [[0; 8]; 5];
    for (part, bytes) in parts.iter_mut().zip(bytes.chunks_exact(8)) {
        part.copy_from_slice(bytes);
    }
    parts
}

/// The bytes of a body that a record of this key and payload has.
pub(super) fn body_length(key: &str, payload: &[u8]) -> usize {
    PREFIX + key.len() + payload.len()
}

/// Writes a record behind what is there. The caller has seen to it that its body is not too long.
pub(super) fn encode(
    out: &mut Vec<u8>,
    id: JournalId,
    sequence: u64,
    at: StoreTime,
    key: &str,
    payload: &[u8],
) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&at.0.to_le_bytes());
    out.extend_from_slice(&number(key.len()).to_le_bytes());
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(payload);
    let body = &out[start + FRAME..];
    let (length, sum) = (number(body.len()), sum(id, body));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + FRAME].copy_from_slice(&sum.to_le_bytes());
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[allow(clippy::cast_possible_truncation, reason = "a seed is as good by its half")]
fn sum(id: JournalId, body: &[u8]) -> u64 {
    xxh3_64_with_seed(body, id.0 as u64)
}

/// What stands at a place in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A record, and how many bytes it takes.
    Record(Record, u64),
    /// The end of the file.
    End,
    /// Bytes that are no record of this sequence.
    Flaw,
}

/// Reads the record of this sequence.
pub(super) fn next(from: &mut impl Read, id: JournalId, sequence: u64) -> io::Result<Next> {
    let mut frame = [0; FRAME];
    match read_whole(from, &mut frame)? {
        0 => return Ok(Next::End),
        FRAME => {}
        _ => return Ok(Next::Flaw),
    }
    let [a, b, c, d, wanted @ ..] = frame;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if !(PREFIX..=LONGEST).contains(&length) {
        return Ok(Next::Flaw);
    }
    let mut body = vec![0; length];
    if read_whole(from, &mut body)? < length || sum(id, &body) != u64::from_le_bytes(wanted) {
        return Ok(Next::Flaw);
    }
    Ok(match decode(body) {
        Some(record) if record.position == Position(sequence.into()) => {
            Next::Record(record, (FRAME + length) as u64)
        }
        _ => Next::Flaw,
    })
}

fn decode(body: Vec<u8>) -> Option<Record> {
    let body = Bytes::from(body);
    let sequence = u64::from_le_bytes(body.get(..8)?.try_into().ok()?);
    let at = u64::from_le_bytes(body.get(8..16)?.try_into().ok()?);
    let length = u32::from_le_bytes(body.get(16..PREFIX)?.try_into().ok()?) as usize;
    let key = std::str::from_utf8(body.get(PREFIX..PREFIX + length)?).ok()?.to_owned();
    let payload = body.slice(PREFIX + length..);
    Some(Record { position: Position(sequence.into()), at: StoreTime(at), key, payload })
}

/// Whether any whole record of a later sequence stands somewhere in these bytes: then what comes before it is damaged, and no
/// append that was cut short.
pub(super) fn holds_later(bytes: &[u8], id: JournalId, sequence: u64) -> bool {
    (0..bytes.len().saturating_sub(FRAME + PREFIX)).any(|at| {
        let rest = &bytes[at..];
        let Some(told) = rest.get(FRAME..FRAME + 8).and_then(|bytes| bytes.try_into().ok()) else {
            return false;
        };
        let told = u64::from_le_bytes(told);
        // The checksum is dear, the sequence is not.
        told > sequence
            && told - sequence < bytes.len() as u64
            && matches!(next(&mut &*rest, id, told), Ok(Next::Record(..)))
    })
}

/// Reads until the buffer is full or the file ends; how many bytes that were.
fn read_whole(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: JournalId = JournalId(7);

    fn one(sequence: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, ID, sequence, StoreTime(5), "user:1", b"value");
        bytes
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let bytes = one(3);
        let Next::Record(record, length) = next(&mut &*bytes, ID, 3).unwrap() else { panic!("no record") };
        assert_eq!(length, bytes.len() as u64);
        assert_eq!((record.position, record.at), (Position(3), StoreTime(5)));
        assert_eq!((record.key.as_str(), &record.payload[..]), ("user:1", &b"value"[..]));
        assert_eq!(next(&mut &*bytes, ID, 4).unwrap(), Next::Flaw, "another place's record");
        assert_eq!(next(&mut &*bytes, JournalId(8), 3).unwrap(), Next::Flaw, "another journal's record");
        assert_eq!(next(&mut &b""[..], ID, 3).unwrap(), Next::End);
    }

    #[test]
    fn a_record_with_any_byte_changed_or_missing_is_none() {
        let whole = one(3);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            assert_eq!(next(&mut &*changed, ID, 3).unwrap(), Next::Flaw, "byte {at}");
            if at > 0 {
                assert_eq!(next(&mut &whole[..at], ID, 3).unwrap(), Next::Flaw, "cut at {at}");
            }
        }
    }

    #[test]
    fn a_header_comes_back_and_with_any_byte_changed_does_not() {
        let header = Header { id: ID, first: 9 };
        let bytes = header.encode();
        assert_eq!(bytes.len() as u64, HEADER);
        assert_eq!(Header::read(&mut &*bytes).unwrap(), Some(header));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Header::read(&mut &*changed).unwrap(), None, "byte {at}");
        }
        assert_eq!(Header::read(&mut &bytes[..39]).unwrap(), None);
    }

    #[test]
    fn a_later_record_behind_damage_is_found_and_rubbish_is_not_taken_for_one() {
        let torn = one(4)[..20].to_vec();
        assert!(!holds_later(&torn, ID, 3));
        assert!(!holds_later(&vec![0; 5000], ID, 3));
        let damaged = [&[0; 33][..], &one(5)].concat();
        assert!(holds_later(&damaged, ID, 3));
        assert!(!holds_later(&damaged, ID, 5), "nothing later");
    }
}
