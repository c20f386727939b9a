//! Tags that only the value names. Their generations have to be read before the load, when the value is not known yet, so a hint
//! says which. Refuses to trust it: a hint may be wrong, old or lost, and an entry is stored only if all tags of its value were
//! among those asked about.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::entry::Header;
use crate::key::{Namespace, Text};
use crate::store::Found;
use crate::subject::{EntryKey, Kind, Subject};

/// Tags that one value may name. Each costs a command in the pipeline of every hit.
const MAX_VALUE_TAGS: usize = 64;
/// Hints remembered at most, twice over: at 64 bytes a tag's name some megabytes.
const HINTS: usize = 8192;

/// What stands in a tag's template between the places that the value fills. Written before the body, which may move the arguments
/// that stand in it.
#[derive(Clone, Debug, Default)]
pub struct Frame(Vec<String>);

impl Frame {
    /// The next text between two places.
    pub fn next(&mut self, write: impl FnOnce(&mut Text)) {
        self.0.push(Text::written(write));
    }
}

/// The texts of a frame, one after another.
#[derive(Debug)]
pub struct Between<'a>(std::slice::Iter<'a, String>);

impl Between<'_> {
    /// Writes the next one.
    pub fn next(&mut self, text: &mut Text) {
        if let Some(between) = self.0.next() {
            text.literal(between);
        }
    }
}

/// Collects the tags of a value.
#[derive(Debug)]
pub struct ValueTags<'a> {
    namespace: &'a Namespace,
    frames: &'a [Frame],
    tags: Vec<Subject>,
}

impl ValueTags<'_> {
    /// A tag of the frame with this number. The same one twice counts once.
    pub fn tag(&mut self, frame: usize, write: impl FnOnce(&mut Text, &mut Between<'_>)) {
        let between = self.frames.get(frame).map_or(&[][..], |frame| &frame.0);
        let tag = self.namespace.subject(Kind::Tag, |text| write(text, &mut Between(between.iter())));
        // One too many is enough to tell that there are.
        if self.tags.len() <= MAX_VALUE_TAGS && !self.tags.iter().any(|known| known.name() == tag.name()) {
            self.tags.push(tag);
        }
    }
}

type Name = dyn Fn(&dyn Any, &mut ValueTags<'_>) -> bool + Send + Sync;

/// How a value's tags are found, for values of a type that only the caller knows.
#[derive(Clone)]
pub(crate) struct Namer(Arc<Name>);

impl Namer {
    pub(crate) fn new<V: Any>(by: fn(&V, &mut ValueTags<'_>)) -> Self {
        Self(Arc::new(move |value, tags| value.downcast_ref().map(|value| by(value, tags)).is_some()))
    }
}

impl fmt::Debug for Namer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Namer")
    }
}

/// The tags of one call that are known from the value only.
#[derive(Debug)]
pub(super) struct Learned {
    namespace: Namespace,
    frames: Vec<Frame>,
    namer: Namer,
    hint: Mutex<Hint>,
}

#[derive(Debug, Default)]
struct Hint {
    /// What is asked about beside the declared tags; `None` when nothing is known.
    tags: Option<Arc<[Subject]>>,
    /// An entry that could be valid named others.
    is_other: bool,
}

impl Learned {
    pub(super) fn new(
        namespace: Namespace,
        frames: Vec<Frame>,
        namer: Namer,
        tags: Option<Arc<[Subject]>>,
    ) -> Self {
        Self { namespace, frames, namer, hint: Mutex::new(Hint { tags, is_other: false }) }
    }

    fn lock(&self) -> MutexGuard<'_, Hint> {
        self.hint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tags to ask about, if any are known.
    pub(super) fn hint(&self) -> Option<Arc<[Subject]>> {
        self.lock().tags.clone()
    }

    /// From now on these are asked about.
    pub(super) fn learn(&self, tags: Arc<[Subject]>) {
        self.lock().tags = Some(tags);
    }

    /// Whether an entry named other tags than were asked about since this was last asked.
    pub(super) fn is_other(&self) -> bool {
        std::mem::take(&mut self.lock().is_other)
    }

    /// The tags of a value; `None` if they are not to be known, or too many. That there is none names none.
    pub(super) fn of(&self, value: Option<&dyn Any>) -> Option<Vec<Subject>> {
        let mut tags = ValueTags { namespace: &self.namespace, frames: &self.frames, tags: Vec::new() };
        let is_named = value.is_none_or(|value| (self.namer.0)(value, &mut tags));
        Some(tags.tags).filter(|tags| is_named && tags.len() <= MAX_VALUE_TAGS)
    }

    /// The tags of these names, if all of them can be tags here.
    pub(super) fn named(&self, names: &[Box<str>]) -> Option<Arc<[Subject]>> {
        let names = Some(names).filter(|names| names.len() <= MAX_VALUE_TAGS)?;
        names.iter().map(|name| self.namespace.tag_named(name)).collect()
    }

    /// An answer whose stamps, after those of the declared tags, were asked for by the hint, with the stamps in the entry's own
    /// order. `None` if it names a tag that was not asked about; its tags are the hint then.
    pub(super) fn fit(&self, header: &Header, found: &Found, declared: usize) -> Option<Found> {
        let hint = self.hint().unwrap_or_default();
        let place = |name: &str| hint.iter().position(|tag| tag.name() == name);
        let stamp = |name: &str| found.tags.get(declared + place(name)?).copied();
        let learned: Option<Vec<_>> = header.learned.iter().map(|name| stamp(name)).collect();
        if learned.is_none() || header.learned.len() != hint.len() {
            self.lock().tags = Some(self.named(&header.learned)?);
        }
        let Some(learned) = learned else {
            self.lock().is_other = header.epoch == found.epoch && header.expires_at > found.now;
            return None;
        };
        let mut found = found.clone();
        found.tags.truncate(declared);
        found.tags.extend(learned);
        Some(found)
    }
}

/// The hints of one process: what values of an entry have named lately.
#[derive(Debug, Default)]
pub(crate) struct Hints(Mutex<Known>);

/// Entries go from the first map to the second when the first is full, and from there they are forgotten together.
#[derive(Debug, Default)]
struct Known {
    recent: HashMap<u64, Arc<[Subject]>>,
    earlier: HashMap<u64, Arc<[Subject]>>,
}

impl Hints {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known about an entry.
    pub(super) fn of(&self, key: &EntryKey) -> Option<Arc<[Subject]>> {
        let (known, at) = (&mut *self.lock(), key.fingerprint());
        if let Some(tags) = known.recent.get(&at) {
            return Some(tags.clone());
        }
        let tags = known.earlier.remove(&at)?;
        known.keep(at, tags.clone());
        Some(tags)
    }

    pub(super) fn keep(&self, key: &EntryKey, tags: Arc<[Subject]>) {
        self.lock().keep(key.fingerprint(), tags);
    }
}

impl Known {
    fn keep(&mut self, at: u64, tags: Arc<[Subject]>) {
        if self.recent.len() >= HINTS {
            self.earlier = std::mem::take(&mut self.recent);
        }
        self.recent.insert(at, tags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u32) -> EntryKey {
        let subject = Namespace::new("t").unwrap().subject(Kind::Entity, |text| text.part(&id));
        EntryKey { subject, field: 1 }
    }

    #[test]
    fn hints_are_bounded_and_those_in_use_stay() {
        let hints = Hints::default();
        for id in 0..100_000 {
            hints.keep(&key(id), Arc::default());
            assert!(hints.of(&key(0)).is_some(), "{id}");
        }
        let known = hints.lock();
        assert!(known.recent.len() <= HINTS && known.earlier.len() <= HINTS);
    }
}
