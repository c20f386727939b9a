//! A write as bytes: the name of its type, what readers know it by, then the value. Refuses the bytes of a type of another name;
//! of a changed type, what serde cannot make of them.

use bytes::{BufMut, Bytes, BytesMut};
use cache_core::Cacheable;
use cache_core::codec::{self, CodecError};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes before what readers are shown: its codec and the value.
const HEAD: usize = 16;

/// The name of a type as a program writes it: without paths. A queue outlives releases, and with them changed fields; what serde can
/// make of the bytes of an earlier one is what that one meant.
pub(super) fn type_name<V>() -> String {
    let mut text = String::new();
    for part in
        std::any::type_name::<V>().split_inclusive(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':')))
    {
        text.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    text
}

/// `kind` is what its readers know it by; 0 where nobody is shown it.
pub(super) fn encode<V: Cacheable>(value: &V, kind: u64) -> Result<Bytes, CodecError> {
    let encoded = codec::encode(value)?;
    let mut bytes = BytesMut::with_capacity(HEAD + 1 + encoded.len());
    bytes.put_u64_le(xxh3_64(type_name::<V>().as_bytes()));
    bytes.put_u64_le(kind);
    bytes.put_u8(codec::NAMED_MESSAGEPACK);
    bytes.put_slice(&encoded);
    Ok(bytes.freeze())
}

/// What readers know it by, and what they are shown; nothing where nobody is shown it.
pub(super) fn shown(bytes: &Bytes) -> Option<(u64, Bytes)> {
    let kind = u64::from_le_bytes(bytes.get(8..HEAD)?.try_into().ok()?);
    (kind != 0 && bytes.len() > HEAD).then(|| (kind, bytes.slice(HEAD..)))
}

pub(super) fn decode<V: Cacheable>(bytes: &[u8]) -> Result<V, CodecError> {
    let Some((head, [codec, rest @ ..])) = bytes.split_first_chunk::<HEAD>() else {
        return Err("it is shorter than any write".into());
    };
    if head[..8] != xxh3_64(type_name::<V>().as_bytes()).to_le_bytes() {
        return Err(format!("it was queued as a type of another name than `{}`", type_name::<V>()).into());
    }
    codec::decode(*codec, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_named_without_its_paths() {
        assert_eq!(type_name::<(i64, Option<std::time::Duration>)>(), "(i64, Option<Duration>)");
    }

    #[test]
    fn a_write_comes_back_as_a_type_of_its_name_only() {
        let bytes = encode(&(7_i64, String::from("Ada")), 9).unwrap();
        assert_eq!(decode::<(i64, String)>(&bytes).unwrap(), (7, "Ada".to_owned()));
        assert!(decode::<(i64, i64)>(&bytes).unwrap_err().to_string().contains("`(i64, i64)`"));
        assert_eq!(shown(&bytes).unwrap().0, 9);
        for cut in 0..=HEAD {
            assert!(decode::<(i64, String)>(&bytes[..cut]).is_err() && shown(&bytes.slice(..cut)).is_none());
        }
        assert!(shown(&encode(&7_i64, 0).unwrap()).is_none());
    }
}
