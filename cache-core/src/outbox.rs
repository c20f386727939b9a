//! The seam to a table beside the application's own, in which writes leave what they change, in their transactions. Refuses to
//! know a database: who relays the rows, and how they are claimed, is its crate's business.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::key::Namespace;
use crate::store::BoxFuture;
use crate::subject::Subject;

/// What a write leaves: one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose cache it is for; others leave it alone.
    pub namespace: Namespace,
    /// The names of the subjects in UTF-8, one a line: no name has a line break.
    pub subjects: Bytes,
    /// A random number, so that a row that took the place of a lost one is not deleted for it.
    pub ticket: i64,
}

impl Row {
    /// A row of these subjects.
    #[must_use]
    pub fn new(namespace: Namespace, subjects: &[Subject], ticket: i64) -> Self {
        let mut names = BytesMut::with_capacity(subjects.iter().map(|s| s.name().len() + 1).sum());
        for (at, subject) in subjects.iter().enumerate() {
            if at > 0 {
                names.put_u8(b'\n');
            }
            names.put_slice(subject.name().as_bytes());
        }
        Self { namespace, subjects: names.freeze(), ticket }
    }
}

/// The subjects of a row, and how many of its names are none of this namespace: somebody else wrote them, and nobody can mark them.
#[must_use]
pub fn subjects_of(namespace: &Namespace, row: &[u8]) -> (Vec<Subject>, usize) {
    let names = row.split(|byte| *byte == b'\n').filter(|name| !name.is_empty());
    let (mut subjects, mut strangers) = (Vec::new(), 0);
    for name in names {
        match std::str::from_utf8(name).ok().and_then(|name| namespace.named(name)) {
            Some(subject) => subjects.push(subject),
            None => strangers += 1,
        }
    }
    (subjects, strangers)
}

/// Which row a write has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowId {
    /// The table's own number.
    pub id: i64,
    /// [`Row::ticket`].
    pub ticket: i64,
}

/// A row that a write has left in its transaction.
#[derive(Clone, Debug)]
pub struct Left {
    /// Which.
    pub row: RowId,
    /// Where it can be deleted; nobody who does leaves it to a relay.
    pub table: Option<Arc<dyn Table>>,
}

/// The table, as an instance asks about it outside of any write.
pub trait Table: Send + Sync + fmt::Debug + 'static {
    /// Identity, so that one database registers once: two tables of one name are the same.
    fn name(&self) -> &str;

    /// Whether it can still be asked; one that cannot is replaced by the next of its name.
    fn is_alive(&self) -> bool {
        true
    }

    /// Whether a row of this namespace stands that was left because the store could not be reached: one whose transaction had
    /// committed, as its writer knew, before this was asked. A row that is being delivered stands. An error says that it is not
    /// known, and why.
    fn holds_unreached<'a>(&'a self, namespace: &'a Namespace) -> BoxFuture<'a, Result<bool, String>>;

    /// Deletes rows whose subjects were invalidated after they were committed. Those that somebody delivers at this moment may stay.
    fn delete<'a>(&'a self, namespace: &'a Namespace, rows: &'a [RowId])
    -> BoxFuture<'a, Result<(), String>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Kind;

    #[test]
    fn a_row_names_what_can_be_marked_again() {
        let shop = Namespace::new("shop").unwrap();
        let long = "x".repeat(300);
        let subjects = [
            shop.subject(Kind::Entity, |text| text.literal("user:42")),
            shop.subject(Kind::Tag, |text| text.escaped("a\nb:c é")),
            shop.subject(Kind::Entity, |text| text.literal(&long)),
        ];
        let row = Row::new(shop.clone(), &subjects, 7);
        let (read, strangers) = subjects_of(&shop, &row.subjects);
        assert_eq!(strangers, 0);
        let named = |subjects: &[Subject]| -> Vec<_> {
            subjects.iter().map(|s| (s.kind(), s.name().to_owned())).collect()
        };
        assert_eq!(named(&read), named(&subjects));
    }

    #[test]
    fn what_nobody_of_this_namespace_wrote_is_counted_and_left_out() {
        let shop = Namespace::new("shop").unwrap();
        let rows: &[&[u8]] =
            &[b"shop2:a", b"shopa", b"", b"shop:a b", b"shop:\xff", b"other:1\nshop:1", b"shop:{1}"];
        let found: Vec<_> = rows.iter().map(|row| subjects_of(&shop, row)).collect();
        let counts: Vec<_> = found.iter().map(|(subjects, strangers)| (subjects.len(), *strangers)).collect();
        assert_eq!(counts, [(0, 1), (0, 1), (0, 0), (0, 1), (0, 1), (1, 1), (0, 1)]);
    }
}
