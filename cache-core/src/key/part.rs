//! Types that may stand in a key. Refuses unstable ones: a float or a time of day has several texts for what a user means
//! by one value, so two callers would miss each other's entries.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use super::Text;

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
}

macro_rules! display {
    ($($type:ty),*) => {$(
        impl KeyPart for $type {
            fn text(&self, out: &mut Text) { out.plain(self); }
        }
    )*};
}

display!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, bool);
display!(std::num::NonZeroI32, std::num::NonZeroI64, std::num::NonZeroU32, std::num::NonZeroU64);

#[cfg(feature = "uuid")]
display!(uuid::Uuid);

impl KeyPart for char {
    fn text(&self, out: &mut Text) {
        out.escaped(self.encode_utf8(&mut [0; 4]));
    }
}

impl KeyPart for str {
    fn text(&self, out: &mut Text) {
        out.escaped(self);
    }
}

impl KeyPart for String {
    fn text(&self, out: &mut Text) {
        out.escaped(self);
    }
}

macro_rules! pointers {
    ($($type:ty),*) => {$(
        impl<T: KeyPart + ?Sized> KeyPart for $type {
            const LIST: bool = T::LIST;

            fn text(&self, out: &mut Text) { (**self).text(out); }
        }
    )*};
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

impl<T: KeyPart + ToOwned + ?Sized> KeyPart for Cow<'_, T> {
    const LIST: bool = T::LIST;

    fn text(&self, out: &mut Text) {
        (**self).text(out);
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
}

impl<T: KeyPart, const N: usize> KeyPart for [T; N] {
    const LIST: bool = true;

    fn text(&self, out: &mut Text) {
        self.as_slice().text(out);
    }
}

impl<T: KeyPart> KeyPart for Vec<T> {
    const LIST: bool = true;

    fn text(&self, out: &mut Text) {
        self.as_slice().text(out);
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
        }
    )*};
}

tuples!(A, A B, A B C, A B C D);
