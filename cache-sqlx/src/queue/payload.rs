//! A write as bytes: the fingerprint of its type, then the value. Refuses the bytes of another type.

use bytes::{BufMut, Bytes, BytesMut};
use cache_core::codec::{self, CodecError};
use cache_core::{Cacheable, schema};

pub(super) fn encode<V: Cacheable>(value: &V) -> Result<Bytes, CodecError> {
    let encoded = codec::encode(value)?;
    let mut bytes = BytesMut::with_capacity(9 + encoded.len());
    bytes.put_u64_le(schema::fingerprint::<V>());
    bytes.put_u8(codec::NAMED_MESSAGEPACK);
    bytes.put_slice(&encoded);
    Ok(bytes.freeze())
}

pub(super) fn decode<V: Cacheable>(bytes: &[u8]) -> Result<V, CodecError> {
    let Some((head, rest)) = bytes.split_first_chunk::<9>() else {
        return Err("it is shorter than any write".into());
    };
    let [print @ .., codec] = head;
    if *print != schema::fingerprint::<V>().to_le_bytes() {
        return Err(
            "it was queued as another type, by another release or under another queue of this name".into()
        );
    }
    codec::decode(*codec, rest)
}
