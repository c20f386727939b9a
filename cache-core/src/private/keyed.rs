//! Typed keys: one template a type, with arguments of its fields' types. Refuses an argument of another type, whose text could
//! differ from what a write by the right one names.

use crate::key::{KeyPart, Text};

/// A type with a key of its own (`#[cacheable(key = "user:<id>")]`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no key of its own",
    note = "write `#[cacheable(key = \"…:<id>\")]` under its `#[derive(Cacheable)]`, or a template here"
)]
pub trait Keyed {
    /// The template.
    const TEMPLATE: &'static str;
}

/// An argument that stands for a field of type `T`: a `T`, a reference to one, or a `&str` for a `String`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand for a `{T}` in a typed key",
    note = "a typed key takes its fields' own types or references to them, and `&str` for `String`, so that reads and writes always name the same entry"
)]
pub trait PartOf<T: ?Sized> {
    /// Writes the argument as the field would be written.
    fn write(&self, text: &mut Text);
}

macro_rules! parts {
    ($($by:ty),*) => {$(
        impl<T: KeyPart> PartOf<T> for $by {
            fn write(&self, text: &mut Text) {
                self.text(text);
            }
        }
    )*};
}

parts!(T, &T, &&T);

macro_rules! strings {
    ($($string:ty),*) => {$(
        impl PartOf<$string> for &str {
            fn write(&self, text: &mut Text) {
                text.part(*self);
            }
        }
        impl PartOf<$string> for &&str {
            fn write(&self, text: &mut Text) {
                text.part(**self);
            }
        }
    )*};
}

strings!(String, Box<str>, std::sync::Arc<str>);

impl PartOf<Box<str>> for &String {
    fn write(&self, text: &mut Text) {
        text.part(self.as_str());
    }
}

impl PartOf<std::sync::Arc<str>> for &String {
    fn write(&self, text: &mut Text) {
        text.part(self.as_str());
    }
}
