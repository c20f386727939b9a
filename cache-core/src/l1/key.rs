//! Whose value is kept: the call's site, what it returns, and its arguments. Compared in full; refuses to be only a hash.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;

/// Longer ones have a place of their own.
const SHORT: usize = 22;

/// A call as it is looked up, on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seek<'a> {
    /// Where the call's site lies. Inside generic code that is one for all its types.
    pub(crate) site: usize,
    /// The name of what it returns, which tells those apart. Two types may share one: whoever takes a value out looks at its type.
    pub(crate) returns: &'static str,
    /// Its arguments.
    pub(crate) bytes: &'a [u8],
}

/// A call as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) site: usize,
    returns: &'static str,
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    Short { len: u8, at: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl Bytes {
    fn new(bytes: &[u8]) -> Self {
        let mut at = [0; SHORT];
        match (at.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(bytes);
                Self::Short { len, at }
            }
            _ => Self::Long(bytes.into()),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short { len, at } => at.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl Seek<'_> {
    pub(crate) fn to_key(self) -> Key {
        Key { site: self.site, returns: self.returns, bytes: Bytes::new(self.bytes) }
    }
}

impl Key {
    pub(crate) fn seek(&self) -> Seek<'_> {
        Seek { site: self.site, returns: self.returns, bytes: self.bytes.as_slice() }
    }

    /// Bytes beside the entry itself.
    pub(super) fn extra(&self) -> usize {
        match &self.bytes {
            Bytes::Short { .. } => 0,
            Bytes::Long(bytes) => bytes.len(),
        }
    }
}

impl PartialEq for Seek<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // One name mostly lies in one place.
        self.site == other.site
            && self.bytes == other.bytes
            && (std::ptr::eq(self.returns, other.returns) || self.returns == other.returns)
    }
}

impl Hash for Seek<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.site);
        state.write(self.bytes);
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.seek() == other.seek()
    }
}

impl Eq for Key {}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.seek().hash(state);
    }
}

impl Equivalent<Key> for Seek<'_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.seek()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_by_what_is_sought_and_by_nothing_else() {
        let long = [7; SHORT + 1];
        for bytes in [&b""[..], b"1", &long[..SHORT], &long] {
            let seek = Seek { site: 1, returns: "u64", bytes };
            let key = seek.to_key();
            assert!(seek.equivalent(&key) && key.seek() == seek);
            assert!(!Seek { site: 2, ..seek }.equivalent(&key));
            assert!(!Seek { returns: "u32", ..seek }.equivalent(&key));
            assert!(!Seek { bytes: b"other", ..seek }.equivalent(&key));
        }
    }

    #[test]
    fn one_name_in_two_places_is_one_name() {
        let elsewhere: &'static str = Box::leak(String::from("u64").into_boxed_str());
        let seek = Seek { site: 1, returns: "u64", bytes: b"1" };
        assert!(Seek { returns: elsewhere, ..seek }.equivalent(&seek.to_key()));
    }
}
