//! Types that may stand in a key. Refuses unstable ones: a float or a time of day has several texts for what a user means
//! by one value, so two callers would miss each other's entries.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::bytes::Form;
use super::{KeyBytes, Text};

/// A value that names the same thing in the same way in every process and release.
///
/// Derive it for your own ids (`#[derive(KeyPart)] struct UserId(i64);`); do not write it by hand, since an ambiguous text
/// would let two values share an entry.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a cache key",
    label = "not stable enough to name an entry",
    note = "integers, `bool`, `char`, strings, `Uuid`, options, tuples and slices of them can; derive `KeyPart` for your own id types",
    note = "floats and times have several texts for one meaning: round them to an integer or a string in an argument of their own, or list the parameter in `ignores`"
)]
pub trait KeyPart {
    /// Whether it is, or holds, a list. A write's name refuses one: see [`Text::one`].
    #[doc(hidden)]
    const LIST: bool = false;

    /// Writes the value, escaped, so that no other value of any type in its place writes the same text and means another thing.
    fn text(&self, out: &mut Text);

    /// Writes the value as bytes, for tables inside this process: values that write the same bytes write the same text.
    #[doc(hidden)]
    fn bytes_into(&self, out: &mut KeyBytes) {
        out.text_of(self);
    }
}

macro_rules! display {
    ($($type:ty: $form:ident $method:ident $by:expr;)*) => {$(
        impl KeyPart for $type {
            fn text(&self, out: &mut Text) { out.plain(self); }

            #[inline]
            fn bytes_into(&self, out: &mut KeyBytes) {
                display!(@ $method out $form $type, $by(*self));
            }
        }
    )*};
    (@ word $out:ident $form:ident $type:ty, $value:expr) => {
        $out.word(Form::$form, size_of::<$type>(), $value)
    };
    (@ two $out:ident $form:ident $type:ty, $value:expr) => {
        $out.two(Form::$form, $value)
    };
}

/// The bits of a number; those of a signed one with its sign before them.
macro_rules! bits {
    ($($type:ident as $wide:ident),*) => {$(
        #[allow(clippy::cast_sign_loss, clippy::cast_lossless, reason = "the same bits")]
        fn $type(number: $type) -> $wide { number as $wide }
    )*};
}

bits!(i8 as u64, i16 as u64, i32 as u64, i64 as u64, isize as u64, i128 as u128);
bits!(u8 as u64, u16 as u64, u32 as u64, u64 as u64, usize as u64, u128 as u128, bool as u64);

display! {
    i8: Signed word i8;
    i16: Signed word i16;
    i32: Signed word i32;
    i64: Signed word i64;
    i128: Signed two i128;
    isize: Signed word isize;
    u8: Unsigned word u8;
    u16: Unsigned word u16;
    u32: Unsigned word u32;
    u64: Unsigned word u64;
    u128: Unsigned two u128;
    usize: Unsigned word usize;
    bool: Bool word bool;
    std::num::NonZeroI32: Signed word |number: std::num::NonZeroI32| i32(number.get());
    std::num::NonZeroI64: Signed word |number: std::num::NonZeroI64| i64(number.get());
    std::num::NonZeroU32: Unsigned word |number: std::num::NonZeroU32| u32(number.get());
    std::num::NonZeroU64: Unsigned word |number: std::num::NonZeroU64| u64(number.get());
}

#[cfg(feature = "uuid")]
display! {
    uuid::Uuid: Uuid two |id: uuid::Uuid| id.as_u128();
}

impl KeyPart for char {
    fn text(&self, out: &mut Text) {
        out.escaped(self.encode_utf8(&mut [0; 4]));
    }

    fn bytes_into(&self, out: &mut KeyBytes) {
        out.word(Form::Char, 4, u64::from(u32::from(*self)));
    }
}

impl KeyPart for str {
    fn text(&self, out: &mut Text) {
        out.escaped(self);
    }

    #[inline]
    fn bytes_into(&self, out: &mut KeyBytes) {
        out.sized(Form::Str, self.as_bytes());
    }
}

impl KeyPart for String {
    fn text(&self, out: &mut Text) {
        out.escaped(self);
    }

    #[inline]
    fn bytes_into(&self, out: &mut KeyBytes) {
        self.as_str().bytes_into(out);
    }
}

macro_rules! pointers {
    ($($type:ty),*) => {$(
        impl<T: KeyPart + ?Sized> KeyPart for $type {
            const LIST: bool = T::LIST;

            fn text(&self, out: &mut Text) { (**self).text(out); }

            #[inline]
            fn bytes_into(&self, out: &mut KeyBytes) { (**self).bytes_into(out); }
        }
    )*};
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

impl<T: KeyPart + ToOwned + ?Sized> KeyPart for Cow<'_, T> {
    const LIST: bool = T::LIST;

    fn text(&self, out: &mut Text) {
        (**self).text(out);
    }

    fn bytes_into(&self, out: &mut KeyBytes) {
        (**self).bytes_into(out);
    }
}

/// `None` is `%-`, which no other value writes; a value that begins like an option is led in by `%+`.
impl<T: KeyPart> KeyPart for Option<T> {
    const LIST: bool = T::LIST;

    fn text(&self, out: &mut Text) {
        let Some(value) = self else { return out.literal("%-") };
        let start = out.0.len();
        value.text(out);
        if out.0[start..].starts_with("%-") || out.0[start..].starts_with("%+") {
            out.0.insert_str(start, "%+");
        }
    }

    fn bytes_into(&self, out: &mut KeyBytes) {
        match self {
            None => out.head(Form::Nothing, 0),
            Some(value) => {
                out.head(Form::Something, 1);
                value.bytes_into(out);
            }
        }
    }
}

impl<T: KeyPart> KeyPart for [T] {
    const LIST: bool = true;

    fn text(&self, out: &mut Text) {
        out.literal("[");
        for part in self {
            part.text(out);
            // After each, not between: none and one empty string must differ.
            out.literal(",");
        }
        out.literal("]");
    }

    fn bytes_into(&self, out: &mut KeyBytes) {
        out.head(Form::List, self.len());
        self.iter().for_each(|part| part.bytes_into(out));
    }
}

impl<T: KeyPart, const N: usize> KeyPart for [T; N] {
    const LIST: bool = true;

    fn text(&self, out: &mut Text) {
        self.as_slice().text(out);
    }

    fn bytes_into(&self, out: &mut KeyBytes) {
        self.as_slice().bytes_into(out);
    }
}

impl<T: KeyPart> KeyPart for Vec<T> {
    const LIST: bool = true;

    fn text(&self, out: &mut Text) {
        self.as_slice().text(out);
    }

    fn bytes_into(&self, out: &mut KeyBytes) {
        self.as_slice().bytes_into(out);
    }
}

macro_rules! tuples {
    ($($first:ident $($rest:ident)*),*) => {$(
        impl<$first: KeyPart $(, $rest: KeyPart)*> KeyPart for ($first, $($rest,)*) {
            const LIST: bool = $first::LIST $(|| $rest::LIST)*;

            #[allow(non_snake_case, reason = "a type parameter names its own field")]
            fn text(&self, out: &mut Text) {
                let ($first, $($rest,)*) = self;
                out.literal("(");
                $first.text(out);
                $(out.literal(","); $rest.text(out);)*
                out.literal(")");
            }

            #[allow(non_snake_case, reason = "a type parameter names its own field")]
            fn bytes_into(&self, out: &mut KeyBytes) {
                let ($first, $($rest,)*) = self;
                out.tuple([stringify!($first), $(stringify!($rest)),*].len());
                $first.bytes_into(out);
                $($rest.bytes_into(out);)*
            }
        }
    )*};
}

tuples!(A, A B, A B C, A B C D);
