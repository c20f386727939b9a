//! Values to bytes and back. Refuses positional encodings as a default: MessagePack with field names, so every serde
//! attribute works and every schema change is safe.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Number of the default codec in an entry's envelope.
pub const NAMED_MESSAGEPACK: u8 = 1;

/// Why a value could not be encoded or decoded.
pub type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// Encodes a value with the default codec.
///
/// # Errors
/// What the value's own `Serialize` says.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    Ok(rmp_serde::to_vec_named(value)?)
}

/// Decodes a payload of this codec.
///
/// # Errors
/// An unknown codec, or bytes that are not a value of this type.
pub fn decode<T: DeserializeOwned>(codec: u8, payload: &[u8]) -> Result<T, CodecError> {
    if codec != NAMED_MESSAGEPACK {
        return Err(format!("codec {codec} is unknown to this release").into());
    }
    Ok(rmp_serde::from_slice(payload)?)
}
