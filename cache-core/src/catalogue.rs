//! All annotated functions linked into a program, and what is wrong with them taken together. Refuses to run at
//! expansion time: an attribute sees one function, the catalogue sees all.

mod bulk;
mod unfenced;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::policy::{OnUnfenced, Overrides, Profiles};
use crate::site::{BulkSite, Coverage, QueueSite, ReadSite, Site, WriteSite, shape};

/// The annotated functions of a program.
#[derive(Debug, Default)]
pub struct Catalogue {
    reads: Vec<&'static ReadSite>,
    /// Those of readers, made so far.
    readers: Vec<&'static ReadSite>,
    writes: Vec<&'static WriteSite>,
    queues: Vec<&'static QueueSite>,
    bulks: Vec<&'static BulkSite>,
}

impl Catalogue {
    /// Everything linked into this program, and the readers that it has made by now.
    #[must_use]
    pub fn linked() -> Self {
        Self { readers: readers().clone(), ..Self::of(inventory::iter::<Site>.into_iter().copied()) }
    }

    /// A catalogue of these functions, in order of place.
    pub fn of(sites: impl IntoIterator<Item = Site>) -> Self {
        let mut all = Self::default();
        for site in sites {
            match site {
                Site::Read(read) => all.reads.push(read),
                Site::Write(write) => all.writes.push(write),
                Site::Queue(queue) => all.queues.push(queue),
                Site::Bulk(bulk) => all.bulks.push(bulk),
            }
        }
        all.reads.sort_by_key(|site| (site.at.file, site.at.line));
        all.writes.sort_by_key(|site| (site.at.file, site.at.line));
        all.queues.sort_by_key(|site| (site.at.file, site.at.line));
        all.bulks.sort_by_key(|site| (site.at.file, site.at.line));
        all
    }

    /// The cached functions.
    #[must_use]
    pub fn reads(&self) -> &[&'static ReadSite] {
        &self.reads
    }

    /// The invalidating functions.
    #[must_use]
    pub fn writes(&self) -> &[&'static WriteSite] {
        &self.writes
    }

    /// The functions that queue.
    #[must_use]
    pub fn queues(&self) -> &[&'static QueueSite] {
        &self.queues
    }

    /// What is wrong in any program: one key template read, or queued, as two types; rows that would outlive a bulk write.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let mut types = BTreeMap::<String, &ReadSite>::new();
        let mut errors = Vec::new();
        // An alias may hide what a batch holds.
        for &read in self.reads.iter().filter(|read| !read.value.is_empty()) {
            let first = types.entry(shape(read.template)).or_insert(read);
            if first.value != read.value {
                errors.push(format!(
                    "the key `{}` is read as `{}` by {} and as `{}` by {}: give one of them a template of its own, for example `{}:{}`",
                    read.template, first.value, first.at, read.value, read.at, read.template, hint(read.value),
                ));
            }
        }
        for queue in &self.queues {
            let Some(other) = types.get(&shape(queue.template)).filter(|read| read.value != queue.value)
            else {
                continue;
            };
            errors.push(format!(
                "`{}` is queued as `{}` by {} and read as `{}` by {}, which cannot be shown what is queued: queue what is read, or give one of them a template of its own",
                queue.template, queue.value, queue.at, other.value, other.at,
            ));
        }
        let queues = |write| self.queues.iter().filter_map(move |queue| bulk::mistake_of_queue(write, queue));
        errors.extend(self.bulks.iter().flat_map(|write| queues(write)));
        let all = || self.reads.iter().chain(&self.readers);
        errors
            .extend(self.bulks.iter().flat_map(|write| all().filter_map(|read| bulk::mistake(write, read))));
        errors
    }

    /// What is wrong with the functions' policies under these profiles, and with the profiles themselves.
    #[must_use]
    pub fn policy_errors(&self, profiles: &Profiles) -> Vec<String> {
        let mut errors = profiles.mistakes();
        for read in &self.reads {
            errors.extend(policy_error(read, profiles).map(|error| format!("{}: {error}", read.at)));
        }
        errors
    }

    /// What is probably wrong: a write whose key or tag no read has, one template under which two reads may ask different
    /// questions, and a write that no transaction covers.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.unread();
        warnings.extend(self.ambiguous());
        warnings.extend(self.writes.iter().filter(|write| write.coverage == Coverage::Around).map(|write| {
            format!(
                "{} has neither `within` nor `begin`: if its process dies in the middle, its entries are not cached again until \
                 `orphan_after` has passed; `begin = self.pool` closes that",
                write.at
            )
        }));
        warnings
    }

    /// Reads that share their entries although their placeholders have other names: `user:<name>` and `user:<email>` would
    /// answer each other's callers.
    fn ambiguous(&self) -> Vec<String> {
        let mut first = BTreeMap::<String, &ReadSite>::new();
        let mut lines = Vec::new();
        for &read in &self.reads {
            let known = first.entry(shape(read.template)).or_insert(read);
            if placeholders(known.template) != placeholders(read.template) {
                lines.push(format!(
                    "`{}` of {} and `{}` of {} share their entries: unless both placeholders mean the same, put what tells them \
                     apart into the text, as in `user:by-email:<email>`",
                    known.template, known.at, read.template, read.at
                ));
            }
        }
        lines
    }

    /// Invalidations that no read listens to.
    #[must_use]
    pub fn unread(&self) -> Vec<String> {
        let all = self.reads.iter().chain(&self.readers);
        let keys: Vec<_> = all.map(|read| read.template).collect();
        let tags: Vec<_> = self.reads.iter().flat_map(|read| read.tags.iter().copied()).collect();
        let mut lines = Vec::new();
        for write in &self.writes {
            for (what, named, known) in [("key", write.keys, &keys), ("tag", write.tags, &tags)] {
                for template in named {
                    if !known.iter().any(|k| shape(k) == shape(template)) {
                        lines.push(unread_line(what, template, write, known));
                    }
                }
            }
        }
        lines
    }
}

/// What is wrong with the policy of one function.
/// The readers of this program. A reader that is made twice at one place is one: what it leaves behind is kept for ever.
static READERS: Mutex<Vec<&'static ReadSite>> = Mutex::new(Vec::new());

fn readers() -> MutexGuard<'static, Vec<&'static ReadSite>> {
    READERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enters a reader.
pub(crate) fn enter(site: ReadSite) -> &'static ReadSite {
    let mut readers = readers();
    if let Some(known) = readers.iter().find(|known| ***known == site) {
        return known;
    }
    let site: &'static ReadSite = Box::leak(Box::new(site));
    readers.push(site);
    site
}

/// The text of a value's type as an attribute has it, from the compiler's: without paths and blanks.
pub(crate) fn value_text(type_name: &'static str) -> &'static str {
    let mut text = String::new();
    for part in type_name.split_inclusive(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':'))) {
        text.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    text.retain(|c| c != ' ');
    match readers().iter().find(|known| known.value == text) {
        Some(known) => known.value,
        None => text.leak(),
    }
}

/// What is wrong with a reader: another type than others read under its template, or its policy.
pub(crate) fn mistakes_of_reader(reader: &ReadSite, profiles: &Profiles, default: OnUnfenced) -> Vec<String> {
    // Only the name in front is compared: behind it the compiler writes out what a programmer leaves to defaults.
    let name = |value: &'static str| value.split(|c: char| !(c.is_alphanumeric() || c == '_')).next();
    let catalogue = Catalogue::linked();
    let mut others = catalogue.reads.iter().chain(&catalogue.readers);
    let mut mistakes = Vec::new();
    if let Some(other) = others.find(|other| {
        shape(other.template) == shape(reader.template) && name(other.value) != name(reader.value)
    }) {
        mistakes.push(format!(
            "the key `{}` is read as `{}` here and as `{}` by {}: give one of them a template of its own, for example `{}:{}`",
            reader.template, reader.value, other.value, other.at, reader.template, hint(reader.value),
        ));
    }
    mistakes.extend(catalogue.bulks.iter().filter_map(|write| bulk::mistake(write, reader)));
    mistakes.extend(policy_error(reader, profiles));
    mistakes.extend(catalogue.unfenced(reader, profiles, default));
    mistakes
}

/// What is wrong with the policies of readers under these profiles.
pub(crate) fn policy_errors_of(readers: &[&'static ReadSite], profiles: &Profiles) -> Vec<String> {
    let errors =
        readers.iter().filter_map(|read| Some(format!("{}: {}", read.at, policy_error(read, profiles)?)));
    errors.collect()
}

fn policy_error(read: &ReadSite, profiles: &Profiles) -> Option<String> {
    let profile = match read.profile.map(|name| (name, profiles.get(name))) {
        None => Overrides::NONE,
        Some((_, Some(profile))) => profile,
        Some((name, None)) => {
            let known: Vec<&str> = profiles.iter().map(|(name, _)| name).collect();
            let near = known.iter().min_by_key(|known| distance(known, name));
            let meant = near.filter(|near| distance(near, name) <= 1 + name.len() / 4);
            let meant = meant.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Some(format!("there is no profile `{name}`{meant}; there are {}", known.join(", ")));
        }
    };
    let whole = read.options.or(profile);
    let from = read.profile.map(|name| format!(" with profile `{name}`")).unwrap_or_default();
    if let Some(mistake) = whole.mistakes().into_iter().next() {
        // What the profile alone does wrong was told once for all.
        return profile.mistakes().is_empty().then(|| format!("{mistake}{from}"));
    }
    if whole.ttl.is_none() {
        return Some(format!("there is no lifetime{from}: write `ttl` in the attribute or in the profile"));
    }
    if whole.soft_timeout.is_some() && !read.background {
        return Some(format!(
            "`soft_timeout`{from} needs a load in the background: write `refresh = \"background\"` in the attribute"
        ));
    }
    if whole.hard_timeout.is_some() && !read.times_out {
        return Some(format!(
            "`hard_timeout`{from} needs an error to tell it by: write `hard_timeout` in the attribute of a function that returns a `Result`"
        ));
    }
    None
}

/// The last part of each placeholder's name: `user.id` and `id` mean the same, and so do `user_id` and `id`.
fn placeholders(template: &str) -> Vec<&str> {
    let names = template.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    names.map(|name| name.rsplit(['.', '_']).next().unwrap_or(name)).collect()
}

fn unread_line(what: &str, template: &str, write: &WriteSite, known: &[&str]) -> String {
    let near = known.iter().min_by_key(|k| distance(&shape(k), &shape(template)));
    let meant = near.filter(|k| distance(&shape(k), &shape(template)) <= 1 + template.len() / 4);
    let meant = meant.map(|k| format!("; did you mean `{k}`?")).unwrap_or_default();
    format!(
        "{} invalidates the {what} `{template}`, which no cached function of this program has{meant}",
        write.at
    )
}

fn hint(value: &str) -> String {
    value.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<_> = b.chars().collect();
    let mut row: Vec<_> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::Location;
    use std::time::Duration;

    const fn at(line: u32) -> Location {
        Location { function: "shop::f", file: "src/shop.rs", line }
    }

    const fn read(line: u32, template: &'static str, value: &'static str) -> ReadSite {
        let site = ReadSite::new(at(line), template, value, Overrides::ttl(Duration::from_secs(1)));
        ReadSite { tags: &["users"], ..site }
    }

    static USER: ReadSite = read(1, "user:<id>", "User");
    static SAME: ReadSite = read(2, "user:<user_id>", "User");
    static OTHER: ReadSite = read(3, "user:<id>", "Summary");
    const fn write(line: u32, keys: &'static [&'static str], tags: &'static [&'static str]) -> WriteSite {
        WriteSite { at: at(line), keys, tags, coverage: Coverage::Within, on_unfenced: None }
    }

    static TYPO: WriteSite = write(4, &["uesr:<id>"], &["users"]);

    #[test]
    fn one_template_read_as_two_types_is_an_error_with_both_places() {
        assert_eq!(Catalogue::of([Site::Read(&USER), Site::Read(&SAME)]).errors(), Vec::<String>::new());
        let errors = Catalogue::of([Site::Read(&USER), Site::Read(&OTHER)]).errors();
        assert_eq!(errors.len(), 1);
        for part in ["src/shop.rs:1", "src/shop.rs:3", "`User`", "`Summary`", "user:<id>:summary"] {
            assert!(errors[0].contains(part), "{part} in {}", errors[0]);
        }
    }

    static BY_NAME: ReadSite = read(5, "account:<name>", "Account");
    static BY_EMAIL: ReadSite = read(6, "account:<email>", "Account");

    #[test]
    fn one_template_for_two_questions_is_a_warning_with_both_places() {
        let warnings = Catalogue::of([Site::Read(&BY_NAME), Site::Read(&BY_EMAIL)]).warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        for part in ["account:<name>", "account:<email>", "src/shop.rs:5", "src/shop.rs:6"] {
            assert!(warnings[0].contains(part), "{part} in {}", warnings[0]);
        }
        assert_eq!(Catalogue::of([Site::Read(&USER), Site::Read(&SAME)]).warnings(), Vec::<String>::new());
    }

    #[test]
    fn an_invalidation_nobody_reads_is_told_with_what_was_meant() {
        let unread = Catalogue::of([Site::Read(&USER), Site::Write(&TYPO)]).unread();
        assert_eq!(unread.len(), 1);
        assert!(
            unread[0].contains("`uesr:<id>`") && unread[0].contains("did you mean `user:<id>`?"),
            "{unread:?}"
        );
    }

    #[test]
    fn what_a_reader_reads_is_read_and_its_type_is_written_as_an_attribute_would() {
        let write = Site::Write(&TYPO);
        assert_eq!(Catalogue::of([write]).unread().len(), 2);
        static READER: ReadSite = read(7, "uesr:<other>", "User");
        let with_reader = Catalogue { readers: vec![&READER], ..Catalogue::of([write]) };
        assert_eq!(with_reader.unread().len(), 1, "the tag");
        for (long, short) in [
            ("shop::model::User", "User"),
            ("alloc::vec::Vec<shop::User>", "Vec<User>"),
            ("(i64, alloc::string::String)", "(i64,String)"),
            ("u64", "u64"),
        ] {
            assert_eq!(value_text(long), short);
        }
    }

    #[test]
    fn a_reader_that_is_made_again_leaves_nothing_more_behind() {
        let again = || enter(read(8, "again:<id>", "User"));
        assert!(std::ptr::eq(again(), again()));
    }
}
