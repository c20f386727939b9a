//! A call's arguments as bytes, for tables inside one process. Refuses to be stored or sent: other releases may write other bytes.
//!
//! Equal bytes mean equal texts; equal texts may have different bytes (`7_i64` and `7_u8`). So what is kept by bytes is never
//! another call's, and may be kept twice.

use super::{KeyPart, Text};

/// Words that need no allocation.
const SHORT: usize = 12;

/// What the next bytes are: two values of different types never write the same bytes and mean another thing.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A text that a type has written for itself.
    Text = 1,
    Str,
    Char,
    Bool,
    Signed,
    Unsigned,
    #[allow(dead_code, reason = "written with the feature `uuid`")]
    Uuid,
    Nothing,
    Something,
    List,
    Tuple,
    Named,
}

/// Bytes in the making, in words, on the stack unless they are many. Each argument begins with a word that says what it is and how
/// long, so what follows it is never taken for its end; what is left of its last word is zero.
#[derive(Debug)]
pub struct KeyBytes {
    len: usize,
    short: [u64; SHORT],
    /// All of them, once they are too many.
    long: Vec<u64>,
}

impl KeyBytes {
    pub(crate) fn new() -> Self {
        Self { len: 0, short: [0; SHORT], long: Vec::new() }
    }

    /// What was written.
    #[inline]
    pub(crate) fn as_words(&self) -> &[u64] {
        if self.long.is_empty() { self.short.get(..self.len).unwrap_or_default() } else { &self.long }
    }

    /// An argument.
    #[inline]
    pub fn part<P: KeyPart + ?Sized>(&mut self, part: &P) {
        part.bytes_into(self);
    }

    #[inline]
    fn push(&mut self, word: u64) {
        match self.short.get_mut(self.len) {
            Some(place) if self.long.is_empty() => {
                *place = word;
                self.len += 1;
            }
            _ => self.spill(word),
        }
    }

    #[cold]
    fn spill(&mut self, word: u64) {
        if self.long.is_empty() {
            self.long.extend_from_slice(&self.short);
        }
        self.long.push(word);
    }

    /// What comes next, and how much of it.
    #[inline]
    pub(super) fn head(&mut self, form: Form, many: usize) {
        self.push((form as u64) << 56 ^ many as u64);
    }

    /// A number of this many bytes that fits one word.
    #[inline]
    pub(super) fn word(&mut self, form: Form, bytes: usize, word: u64) {
        self.head(form, bytes);
        self.push(word);
    }

    /// A value of two words.
    #[inline]
    pub(super) fn two(&mut self, form: Form, value: u128) {
        self.head(form, 16);
        #[allow(clippy::cast_possible_truncation, reason = "its halves")]
        for half in [value as u64, (value >> 64) as u64] {
            self.push(half);
        }
    }

    /// A value of any length.
    pub(super) fn sized(&mut self, form: Form, bytes: &[u8]) {
        self.head(form, bytes.len());
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.push(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            self.push(rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    /// What a type writes that knows no better than its text.
    pub(super) fn text_of<P: KeyPart + ?Sized>(&mut self, part: &P) {
        self.sized(Form::Text, Text::written(|text| part.text(text)).as_bytes());
    }

    /// One of the names that stand for the values of an enum without data.
    #[doc(hidden)]
    pub fn named(&mut self, name: &str) {
        self.sized(Form::Named, name.as_bytes());
    }

    /// So many parts follow.
    #[doc(hidden)]
    pub fn tuple(&mut self, parts: usize) {
        self.head(Form::Tuple, parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(part: impl KeyPart) -> Vec<u64> {
        let mut bytes = KeyBytes::new();
        bytes.part(&part);
        bytes.as_words().to_vec()
    }

    /// Values of many types, with their texts.
    fn samples() -> Vec<(String, Vec<u64>)> {
        let mut all = Vec::new();
        macro_rules! add {
            ($($value:expr),* $(,)?) => {$(
                all.push((Text::written(|text| text.part(&$value)), bytes($value)));
            )*};
        }
        add!(7_i64, -7_i64, 7_u8, 7_u64, 0x0107_u16, 1_u8, true, false, '7', 't', "", "7", "true", "[7,]");
        add!(
            "\u{1}",
            "\0",
            "\0\0",
            "12345678",
            "12345678\0",
            "123456789",
            String::from("x"),
            None::<u8>,
            Some(7_u8),
            Some(None::<u8>),
            Some(Some(7_u8))
        );
        add!(vec![7_u8], vec![7_u8, 7], Vec::<u8>::new(), [7_u8, 7], (7_u8, 7_u8), (7_u16, 7_u8), (7_u8,));
        add!(vec![""], vec!["", ""], ("a", "b"), ("ab", ""), ("", "ab"), Some(""), Some("%-"), "%-");
        add!(std::num::NonZeroI64::new(7).unwrap(), i128::MAX, u128::MAX, isize::MIN, usize::MAX);
        all
    }

    #[test]
    fn equal_bytes_mean_equal_texts() {
        let samples = samples();
        for (text, bytes) in &samples {
            for (other_text, other) in &samples {
                assert!(bytes != other || text == other_text, "{text:?} and {other_text:?}: {bytes:?}");
            }
        }
    }

    #[test]
    fn no_bytes_of_one_argument_list_begin_another() {
        // So that arguments that follow one another are told apart.
        let samples = samples();
        for (text, bytes) in &samples {
            for (other_text, other) in &samples {
                let is_same = bytes == other;
                assert!(is_same || !other.starts_with(bytes), "{text:?} begins {other_text:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_goes_on_elsewhere() {
        let long = "x".repeat(SHORT * 20);
        let mut written = KeyBytes::new();
        written.part(&7_i64);
        written.part(&long);
        written.part(&8_i64);
        let apart = [bytes(7_i64), bytes(&long), bytes(8_i64)].concat();
        assert_eq!(written.as_words(), apart);
    }

    #[test]
    fn a_type_that_knows_only_its_text_is_that_text() {
        struct Own(&'static str);
        impl KeyPart for Own {
            fn text(&self, out: &mut Text) {
                out.escaped(self.0);
            }
        }
        assert_eq!(bytes(Own("a")), bytes(Own("a")));
        assert_ne!(bytes(Own("a")), bytes(Own("b")));
        assert_ne!(bytes(Own("a:b")), bytes("a:b"));
    }
}
