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
    ($($type:ty: $form:ident $by:expr;)*) => {$(
        impl KeyPart for $type {
            fn text(&self, out: &mut Text) { out.plain(self); }

            #[inline]
            fn bytes_into(&self, out: &mut KeyBytes) { out.fixed(Form::$form, $by(*self)); }
        }
    )*};
}

display! {
    i8: Signed i8::to_le_bytes;
    i16: Signed i16::to_le_bytes;
    i32: Signed i32::to_le_bytes;
    i64: Signed i64::to_le_bytes;
    i128: Signed i128::to_le_bytes;
    isize: Signed isize::to_le_bytes;
    u8: Unsigned u8::to_le_bytes;
    u16: Unsigned u16::to_le_bytes;
    u32: Unsigned u32::to_le_bytes;
    u64: Unsigned u64::to_le_bytes;
    u128: Unsigned u128::to_le_bytes;
    usize: Unsigned usize::to_le_bytes;
    bool: Bool |is: bool| [u8::from(is)];
    std::num::NonZeroI32: Signed |number: std::num::NonZeroI32| number.get().to_le_bytes();
    std::num::NonZeroI64: Signed |number: std::num::NonZeroI64| number.get().to_le_bytes();
    std::num::NonZeroU32: Unsigned |number: std::num::NonZeroU32| number.get().to_le_bytes();
    std::num::NonZeroU64: Unsigned |number: std::num::NonZeroU64| number.get().to_le_bytes();
}

#[cfg(feature = "uuid")]
display! {
    uuid::Uuid: Uuid uuid::Uuid::into_bytes;
}

impl KeyPart for char {
    fn text(&self, out: &mut Text) {
        out.escaped(self.encode_utf8(&mut [0; 4]));
    }

    fn bytes_into(&self, out: &mut KeyBytes) {
        out.fixed(Form::Char, u32::from(*self).to_le_bytes());
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
