//! Whose value is kept: the call's site, what it returns, and its arguments. Compared in full; refuses to be only a hash.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;

/// Words of arguments that lie in the map itself: one number, or a short text. Others have a place of their own.
const SHORT: usize = 2;

/// A call as it is looked up, on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seek<'a> {
    /// Where the call's site lies. Inside generic code that is one for all its types.
    pub(crate) site: usize,
    /// The name of what it returns, which tells those apart. Two types may share one: whoever takes a value out looks at its type.
    pub(crate) returns: &'static str,
    /// Its arguments.
    pub(crate) words: &'a [u64],
}

/// A call as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) site: usize,
    returns: &'static str,
    words: Words,
}

#[derive(Clone, Debug)]
enum Words {
    Two([u64; SHORT]),
    Any(Box<[u64]>),
}

impl Words {
    fn new(words: &[u64]) -> Self {
        <[u64; SHORT]>::try_from(words).map_or_else(|_| Self::Any(words.into()), Self::Two)
    }

    #[inline]
    fn as_slice(&self) -> &[u64] {
        match self {
            Self::Two(words) => words,
            Self::Any(words) => words,
        }
    }
}

impl Seek<'_> {
    pub(crate) fn to_key(self) -> Key {
        Key { site: self.site, returns: self.returns, words: Words::new(self.words) }
    }

    /// The arguments, where there are as many words as most calls have.
    #[inline]
    fn two(&self) -> Option<[u64; SHORT]> {
        self.words.try_into().ok()
    }
}

impl Key {
    pub(crate) fn seek(&self) -> Seek<'_> {
        Seek { site: self.site, returns: self.returns, words: self.words.as_slice() }
    }

    /// Bytes beside the entry itself.
    pub(super) fn extra(&self) -> usize {
        match &self.words {
            Words::Two(_) => 0,
            Words::Any(words) => size_of_val(&**words),
        }
    }
}

/// Whether two names are one, which mostly lies in one place.
#[inline]
fn is_one(name: &'static str, other: &'static str) -> bool {
    std::ptr::eq(name, other) || name == other
}

impl PartialEq for Seek<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.site == other.site && is_one(self.returns, other.returns) && self.words == other.words
    }
}

impl Hash for Seek<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.site);
        match self.two() {
            // The first one only says what the second is: few calls differ in that alone.
            Some([_, word]) => state.write_u64(word),
            None => self.words.iter().for_each(|word| state.write_u64(*word)),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.seek() == other.seek()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.seek().hash(state);
    }
}

impl Equivalent<Key> for Seek<'_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        let has_words = match (&key.words, self.two()) {
            (Words::Two(kept), Some(words)) => *kept == words,
            (Words::Any(kept), None) => **kept == *self.words,
            _ => false,
        };
        has_words && self.site == key.site && is_one(self.returns, key.returns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_by_what_is_sought_and_by_nothing_else() {
        for words in [&[][..], &[1], &[1, 2], &[1, 2, 3]] {
            let seek = Seek { site: 1, returns: "u64", words };
            let key = seek.to_key();
            assert!(seek.equivalent(&key) && key.seek() == seek);
            assert!(!Seek { site: 2, ..seek }.equivalent(&key));
            assert!(!Seek { returns: "u32", ..seek }.equivalent(&key));
            let elsewhere: &'static str = Box::leak(String::from("u64").into_boxed_str());
            assert!(Seek { returns: elsewhere, ..seek }.equivalent(&key), "one name in two places");
            for other in [&[][..], &[2], &[2, 1], &[1, 2, 4], &[1, 2, 3, 4]] {
                assert!(!Seek { words: other, ..seek }.equivalent(&key) || other == words);
            }
        }
    }
}
