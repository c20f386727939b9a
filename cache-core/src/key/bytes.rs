//! A call's arguments as bytes, for tables inside one process. Refuses to be stored or sent: other releases may write other bytes.
//!
//! Equal bytes mean equal texts; equal texts may have different bytes (`7_i64` and `7_u8`). So what is kept by bytes is never
//! another call's, and may be kept twice.

use super::{KeyPart, Text};

/// Bytes that need no allocation.
const SHORT: usize = 96;

/// What the next bytes are: two values of different types never write the same bytes and mean another thing.
#[derive(Clone, Copy)]
#[repr(u8)]
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

/// Bytes in the making, on the stack unless they are many.
#[derive(Debug)]
pub struct KeyBytes {
    len: usize,
    short: [u8; SHORT],
    /// All of them, once they are too many.
    long: Vec<u8>,
}

impl KeyBytes {
    pub(crate) fn new() -> Self {
        Self { len: 0, short: [0; SHORT], long: Vec::new() }
    }

    /// What was written.
    pub(crate) fn as_slice(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.len] } else { &self.long }
    }

    /// An argument.
    #[inline]
    pub fn part<P: KeyPart + ?Sized>(&mut self, part: &P) {
        part.bytes_into(self);
    }

    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.long.is_empty()
            && let Some(place) = self.short.get_mut(self.len..self.len + bytes.len())
        {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        } else {
            self.spill(bytes);
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.long.is_empty() {
            self.long.extend_from_slice(&self.short[..self.len]);
        }
        self.long.extend_from_slice(bytes);
    }

    /// A value of fixed length.
    #[inline]
    pub(super) fn fixed<const N: usize>(&mut self, form: Form, bytes: [u8; N]) {
        // The width is part of the form.
        #[allow(clippy::cast_possible_truncation, reason = "at most 16")]
        self.push(&[form as u8, N as u8]);
        self.push(&bytes);
    }

    /// The head of a value that is made of others.
    #[inline]
    pub(super) fn head(&mut self, form: Form, parts: usize) {
        self.push(&[form as u8]);
        self.push(&parts.to_le_bytes());
    }

    /// A value of any length.
    #[inline]
    pub(super) fn sized(&mut self, form: Form, bytes: &[u8]) {
        self.head(form, bytes.len());
        self.push(bytes);
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

    fn bytes(part: impl KeyPart) -> Vec<u8> {
        let mut bytes = KeyBytes::new();
        bytes.part(&part);
        bytes.as_slice().to_vec()
    }

    /// Values of many types, with their texts.
    fn samples() -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        macro_rules! add {
            ($($value:expr),* $(,)?) => {$(
                all.push((Text::written(|text| text.part(&$value)), bytes($value)));
            )*};
        }
        add!(7_i64, -7_i64, 7_u8, 7_u64, 0x0107_u16, 1_u8, true, false, '7', 't', "", "7", "true", "[7,]");
        add!("\u{1}", String::from("x"), None::<u8>, Some(7_u8), Some(None::<u8>), Some(Some(7_u8)));
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
        let long = "x".repeat(SHORT * 2);
        let mut written = KeyBytes::new();
        written.part(&7_i64);
        written.part(&long);
        written.part(&8_i64);
        let apart = [bytes(7_i64), bytes(&long), bytes(8_i64)].concat();
        assert_eq!(written.as_slice(), apart);
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
