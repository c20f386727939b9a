//! What a transaction changes, each thing once, in the order in which it was named. Refuses to keep more of the rows of a bulk write
//! than its limit: past it the tag stands for them.

use std::collections::{BTreeMap, HashSet};

use crate::subject::Subject;

/// Subjects, each once, in order.
#[derive(Debug, Default)]
struct Ordered {
    list: Vec<Subject>,
    known: HashSet<Subject>,
}

impl Ordered {
    fn add(&mut self, subject: &Subject) {
        if self.known.insert(subject.clone()) {
            self.list.push(subject.clone());
        }
    }
}

/// The rows that one tag may stand for.
#[derive(Debug)]
enum Rows {
    Each(Ordered),
    /// They were more than the limit.
    Tag,
}

/// All that was recorded.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    plain: Ordered,
    rows: BTreeMap<Subject, Rows>,
}

impl Subjects {
    pub(super) fn add(&mut self, subject: &Subject) {
        self.plain.add(subject);
    }

    /// Adds a row, or the tag for all of its rows if they are more than `limit` with it.
    pub(super) fn add_row(&mut self, subject: &Subject, tag: &Subject, limit: usize) {
        let rows = self.rows.entry(tag.clone()).or_insert_with(|| Rows::Each(Ordered::default()));
        if let Rows::Each(each) = rows {
            each.add(subject);
            if each.list.len() > limit {
                *rows = Rows::Tag;
            }
        }
    }

    /// What has been named, rows one by one as long as they are.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Subject> {
        let of_rows = self.rows.iter().flat_map(|(tag, rows)| match rows {
            Rows::Each(each) => each.list.as_slice(),
            Rows::Tag => std::slice::from_ref(tag),
        });
        self.plain.list.iter().chain(of_rows)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plain.list.is_empty() && self.rows.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Everything to be marked that `covers` does not say is fenced already; a tag that is covers its rows.
    pub(super) fn take(&mut self, covers: impl Fn(&Subject) -> bool) -> Vec<Subject> {
        let Self { mut plain, rows } = std::mem::take(self);
        for (tag, rows) in rows {
            match rows {
                _ if covers(&tag) => {}
                Rows::Tag => plain.add(&tag),
                Rows::Each(each) => each.list.iter().for_each(|row| plain.add(row)),
            }
        }
        plain.list.retain(|subject| !covers(subject));
        plain.list
    }
}
