//! The one place where names are made: namespace, template, arguments, escaping, digest. Refuses ambiguity: different
//! arguments never give the same text.
//!
//! A subject's name is `namespace:text`, a tag's `namespace#text`. Arguments are escaped so that none can end its own
//! place: `("1:2", "3")` and `("1", "2:3")` never share an entry.

mod bytes;
mod part;
pub(crate) mod template;

use std::fmt;
use std::sync::Arc;

pub use bytes::KeyBytes;
pub use part::KeyPart;
use xxhash_rust::xxh3::xxh3_128;

use crate::subject::{Kind, Subject};

/// Names longer than this end in a 128-bit digest of the whole.
pub const LONGEST: usize = 200;

/// The prefix of every name of one cache: 1-32 of `a-z`, `0-9`, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// A namespace of this name.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn new(name: &str) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        if (1..=32).contains(&name.len()) && name.bytes().all(fits) {
            Ok(Self(name.into()))
        } else {
            Err(format!(
                "the namespace `{name}` cannot be used: it takes 1 to 32 of a-z, 0-9, `-`, `_` and `.`, for example `shop`"
            ))
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject whose text `write` writes.
    pub fn subject(&self, kind: Kind, write: impl FnOnce(&mut Text)) -> Subject {
        let mut text = Text(String::with_capacity(self.0.len() + 40));
        text.0.push_str(&self.0);
        text.0.push(match kind {
            Kind::Entity => ':',
            Kind::Tag => '#',
        });
        write(&mut text);
        shorten(kind, text.0)
    }

    /// The tag that is stored under this name; `None` for a name that no tag of this namespace has.
    pub(crate) fn tag_named(&self, name: &str) -> Option<Subject> {
        self.named(name).filter(|subject| subject.kind() == Kind::Tag)
    }

    /// What is stored under this name; `None` for a name that nothing of this namespace has. Names that end in a digest come back
    /// without the whole text: enough to mark them.
    pub(crate) fn named(&self, name: &str) -> Option<Subject> {
        let rest = name.strip_prefix(self.as_str())?;
        let (kind, rest) = match rest.strip_prefix(':') {
            Some(rest) => (Kind::Entity, rest),
            None => (Kind::Tag, rest.strip_prefix('#')?),
        };
        let fits = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '{' | '}');
        let is_one = name.len() <= LONGEST && rest.chars().all(fits);
        is_one.then(|| Subject::new(kind, name, None))
    }
}

fn shorten(kind: Kind, full: String) -> Subject {
    if full.len() <= LONGEST {
        return Subject::new(kind, full, None);
    }
    let mut cut = LONGEST - 33;
    while !full.is_char_boundary(cut) {
        cut -= 1;
    }
    // `~` never stands in an escaped argument, so a digested name is never somebody's plain one.
    let name = format!("{}~{:032x}", &full[..cut], xxh3_128(full.as_bytes()));
    Subject::new(kind, name, Some(full.into()))
}

/// A name in the making.
#[derive(Debug)]
pub struct Text(String);

impl Text {
    /// Text of the template, as written.
    pub fn literal(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// An argument, escaped.
    pub fn part<P: KeyPart + ?Sized>(&mut self, part: &P) {
        part.text(self);
    }

    /// An argument of what a write names, escaped. A list does not compile: it would name one thing, the list itself, and
    /// nothing that stands in it, and every reader of those would keep the old value.
    ///
    /// ```
    /// # use cache_core::{Cache, subject::Kind};
    /// # let recording = Cache::builder("shop").off().build().unwrap().recording();
    /// recording.touch(Kind::Entity, |text| text.one(&7_i64));
    /// ```
    /// ```compile_fail,E0080
    /// # use cache_core::{Cache, subject::Kind};
    /// # let recording = Cache::builder("shop").off().build().unwrap().recording();
    /// recording.touch(Kind::Entity, |text| text.one(&vec![7_i64, 8]));
    /// ```
    pub fn one<P: KeyPart + ?Sized>(&mut self, part: &P) {
        const {
            assert!(
                !P::LIST,
                "a list in the name of what a write changes names the list, not what stands in it: return it and write `<return>`, or record each in a loop, `tx.recording().touch(…)`"
            );
        }
        self.part(part);
    }

    /// An argument that a value gives to a tag it depends on, escaped. A list does not compile: the tag would be the list's, and
    /// no write to what stands in it would name that.
    ///
    /// ```compile_fail,E0080
    /// # use cache_core::{Cache, subject::Kind};
    /// # let cache = Cache::builder("shop").off().build().unwrap();
    /// cache.namespace().subject(Kind::Tag, |text| text.valued(&vec![7_i64, 8]));
    /// ```
    pub fn valued<P: KeyPart + ?Sized>(&mut self, part: &P) {
        const {
            assert!(
                !P::LIST,
                "a list in a tag from the value names the list, not what stands in it: return the list itself, whose elements each name a tag, or give the read a tag of its own"
            );
        }
        self.part(part);
    }

    /// What `write` writes.
    pub(crate) fn written(write: impl FnOnce(&mut Self)) -> String {
        let mut text = Self(String::new());
        write(&mut text);
        text.0
    }

    /// A string that may hold anything; what could end its place is percent-escaped.
    pub fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_control() || c.is_whitespace() || SPECIAL.contains(&c) {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = fmt::Write::write_fmt(&mut self.0, format_args!("%{byte:02x}"));
                }
            } else {
                self.0.push(c);
            }
        }
    }

    /// Text that needs no escaping by its nature (digits, hexadecimal).
    pub fn plain(&mut self, text: impl fmt::Display) {
        let _ = fmt::Write::write_fmt(&mut self.0, format_args!("{text}"));
    }
}

/// Characters with a meaning in names, in stores or in the escape itself.
const SPECIAL: [char; 14] = ['%', ':', '#', ',', '(', ')', '[', ']', '{', '}', '<', '>', '|', '~'];

#[cfg(test)]
mod tests;
