//! What one server holds: the seam's commands, one subject at a time, on values that can be copied, lost and brought back. Refuses
//! to know about time, connections and other servers.

mod aside;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use cache_core::entry;
use cache_core::key::Namespace;
use cache_core::store::{Aside, Fence, Origin, Put};
use cache_core::subject::{EntryKey, Epoch, Generation, Kind, Subject, TagStamp, Token, WriterId};
use cache_core::time::StoreTime;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use self::aside::Dropped;
use crate::rules::StoreRule;

/// So long after a clear of a namespace nobody is told its old epoch any more.
pub const NOTICED_WITHIN: Duration = Duration::from_millis(NOTICED_MILLIS);
const NOTICED_MILLIS: u64 = 25;

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    pub process: usize,
    pub now: StoreTime,
}

impl Asker {
    /// Whether it has noticed that a namespace was turned at this time: each process notices some time later.
    fn has_noticed(self, turn: u64, at: StoreTime) -> bool {
        let late = xxh3_64_with_seed(&self.process.to_le_bytes(), turn) % NOTICED_MILLIS;
        self.now.since(at) >= Duration::from_millis(late)
    }
}

/// Entries, leases, fences and generations of one server.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// Its identity.
    pub epoch: Epoch,
    /// A rule it breaks.
    lacks: Option<StoreRule>,
    generations: u64,
    /// What a namespace's epoch is mixed with since it was cleared, and since when.
    cleared: BTreeMap<String, Vec<(u64, StoreTime)>>,
    /// The processes that hear of a clear at once, since they have an L1.
    listening: BTreeSet<usize>,
    slots: BTreeMap<Subject, Slot>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    values: BTreeMap<u64, (Bytes, StoreTime)>,
    leases: BTreeMap<u64, (Token, StoreTime)>,
    generation: Option<(Generation, StoreTime)>,
    fences: BTreeMap<WriterId, Standing>,
    /// The longest time that one of the values asks to be kept aside for.
    window: Duration,
    aside: Option<Dropped>,
}

#[derive(Clone, Debug)]
struct Standing {
    origin: Origin,
    since: StoreTime,
    solo: bool,
}

/// What a lease's step on its own subject answered.
#[derive(Clone, Debug)]
pub enum Gate {
    Granted,
    Present(Bytes),
    Busy,
    Fenced(Vec<Fence>),
}

/// What can be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Entries,
    Leases,
    Generation,
    Fences,
}

impl Dataset {
    /// An empty one.
    pub fn new(epoch: Epoch, lacks: Option<StoreRule>) -> Self {
        Self { epoch, lacks, ..Self::default() }
    }

    /// The epoch of a subject's entries: that of its namespace since it was cleared, as far as the asker has noticed.
    pub fn epoch_of(&self, subject: &Subject, asker: Asker) -> Epoch {
        let namespace = subject.name().split([':', '#']).next().unwrap_or_default();
        let turned = |&(turn, _): &(u64, _)| Epoch(xxh3_64_with_seed(&turn.to_le_bytes(), self.epoch.0));
        let hears = self.listening.contains(&asker.process);
        let turns = self.cleared.get(namespace).filter(|_| subject.kind() == Kind::Entity);
        let known = turns
            .and_then(|turns| turns.iter().rev().find(|&&(turn, at)| hears || asker.has_noticed(turn, at)));
        known.map_or(self.epoch, turned)
    }

    /// This process hears of clears at once from now on.
    pub fn listens(&mut self, process: usize) {
        self.listening.insert(process);
    }

    /// Makes all entries of a namespace worthless.
    pub fn clear_namespace(&mut self, namespace: &Namespace, seed: u64, now: StoreTime) {
        self.generations += 1;
        let turn = xxh3_64_with_seed(&self.generations.to_le_bytes(), seed);
        self.cleared.entry(namespace.as_str().into()).or_default().push((turn, now));
    }

    /// Tells of a rule whether it is broken.
    fn breaks(&self) -> impl Fn(StoreRule) -> bool + use<> {
        let lacks = self.lacks;
        move |rule| lacks == Some(rule)
    }

    fn slot(&mut self, subject: &Subject) -> &mut Slot {
        self.slots.entry(subject.clone()).or_default()
    }

    /// An entry that has not expired.
    pub fn read(&self, entry: &EntryKey, now: StoreTime) -> Option<Bytes> {
        let (blob, until) = self.slots.get(&entry.subject)?.values.get(&entry.field)?;
        (*until > now).then(|| blob.clone())
    }

    /// What the last mark that dropped something has kept of an entry.
    pub fn aside(&self, entry: &EntryKey, asker: Asker) -> Option<Aside> {
        let (now, dropped) = (asker.now, self.slots.get(&entry.subject)?.aside.as_ref()?);
        let (blob, since) = dropped.get(entry.field, now, self.breaks()(StoreRule::AsideAges))?;
        Some(Aside { epoch: self.epoch_of(&entry.subject, asker), now, since, blob })
    }

    /// A tag's generation as it stands.
    pub fn stamp(&self, tag: &Subject, now: StoreTime) -> TagStamp {
        let kept = self.slots.get(tag).and_then(|slot| slot.generation);
        let generation = kept.filter(|(_, until)| *until > now).map(|(generation, _)| generation);
        TagStamp { epoch: self.epoch, generation }
    }

    fn new_generation(&mut self, tag: &Subject, seed: u64) -> Generation {
        let lacks = self.breaks();
        if lacks(StoreRule::GenerationsAreNew) {
            let old = self.slots.get(tag).and_then(|slot| slot.generation);
            return Generation(old.map_or(1, |(Generation(old), _)| old + 1));
        }
        self.generations += 1;
        Generation(xxh3_64_with_seed(&self.generations.to_le_bytes(), seed))
    }

    fn standing(&mut self, subject: &Subject, finished: &[WriterId], now: StoreTime) -> Vec<Fence> {
        let Some(slot) = self.slots.get_mut(subject) else { return Vec::new() };
        slot.fences.retain(|writer, _| !finished.contains(writer));
        let fence = |(&writer, at): (&WriterId, &Standing)| Fence {
            subject: subject.clone(),
            writer,
            origin: at.origin.clone(),
            age: now.since(at.since),
        };
        slot.fences.iter().map(fence).collect()
    }

    /// A lease's step on one of its tags: its stamp, made if it is missing, or the fences that stand.
    pub fn lease_tag(
        &mut self,
        tag: &Subject,
        finished: &[WriterId],
        seed: u64,
        until: StoreTime,
        now: StoreTime,
    ) -> Result<TagStamp, Vec<Fence>> {
        let lacks = self.breaks();
        let fences = self.standing(tag, finished, now);
        if !fences.is_empty() && !lacks(StoreRule::FenceRefusesLeases) {
            return Err(fences);
        }
        let stamp = self.stamp(tag, now);
        let generation = stamp.generation.unwrap_or_else(|| self.new_generation(tag, seed));
        let slot = self.slot(tag);
        let kept = slot.generation.map_or(StoreTime(0), |(_, until)| until);
        slot.generation = Some((generation, kept.max(until)));
        Ok(TagStamp { generation: Some(generation), ..stamp })
    }

    /// A lease's step on its own subject.
    #[allow(clippy::too_many_arguments, reason = "they are the command's, and it is called in one place")]
    pub fn lease(
        &mut self,
        entry: &EntryKey,
        token: Token,
        until: StoreTime,
        (force, over): (bool, Option<[u8; 8]>),
        finished: &[WriterId],
        asker: Asker,
    ) -> Gate {
        let (lacks, now) = (self.breaks(), asker.now);
        let fences = self.standing(&entry.subject, finished, now);
        if !fences.is_empty() && !lacks(StoreRule::FenceRefusesLeases) {
            return Gate::Fenced(fences);
        }
        let epoch = self.epoch_of(&entry.subject, asker).0.to_le_bytes();
        if let Some(blob) = self.read(entry, now)
            && !(force && over.is_none_or(|over| entry::mark_of(&blob) == Some(over)))
            && blob.get(entry::EPOCH) == Some(&epoch[..])
        {
            return Gate::Present(blob);
        }
        let slot = self.slot(&entry.subject);
        if slot.leases.get(&entry.field).is_some_and(|(_, until)| *until > now) {
            return Gate::Busy;
        }
        slot.leases.insert(entry.field, (token, until));
        Gate::Granted
    }

    /// A fill's step on its own subject.
    pub fn fill(
        &mut self,
        entry: &EntryKey,
        token: Token,
        blob: &Bytes,
        until: StoreTime,
        aside: Duration,
    ) -> bool {
        let lacks = self.breaks();
        let slot = self.slot(&entry.subject);
        let is_live = slot.leases.get(&entry.field).is_some_and(|&(live, _)| live == token);
        if is_live {
            slot.leases.remove(&entry.field);
        }
        let is_open = slot.fences.is_empty() || lacks(StoreRule::FenceRefusesLeases);
        let stored = is_open && (is_live || lacks(StoreRule::FillChecksToken));
        if stored {
            slot.values.insert(entry.field, (blob.clone(), until));
            slot.window = slot.window.max(aside);
        }
        stored
    }

    /// Gives a token back.
    pub fn release(&mut self, entry: &EntryKey, token: Token) {
        self.slot(&entry.subject).leases.retain(|field, (live, _)| *field != entry.field || *live != token);
    }

    /// A mark's step on one of its subjects.
    pub fn mark(
        &mut self,
        subject: &Subject,
        writer: WriterId,
        origin: &Origin,
        seed: u64,
        until: StoreTime,
        now: StoreTime,
    ) {
        let lacks = self.breaks();
        if subject.kind() == Kind::Tag && !lacks(StoreRule::MarkRotatesTags) {
            let generation = self.new_generation(subject, seed);
            self.slot(subject).generation = Some((generation, until));
        }
        let slot = self.slot(subject);
        if !lacks(StoreRule::MarkDropsEntries) {
            let (values, window) = (std::mem::take(&mut slot.values), std::mem::take(&mut slot.window));
            if !values.is_empty() && !window.is_zero() {
                slot.aside = Some(Dropped::new(values, now, window));
            } else if let Some(dropped) = slot.aside.as_mut().filter(|_| lacks(StoreRule::AsideKeepsItsTime))
            {
                dropped.begin_again(now);
            }
        }
        if !lacks(StoreRule::MarkVoidsLeases) {
            slot.leases.clear();
        }
        for (other, standing) in &mut slot.fences {
            standing.solo &= *other == writer;
        }
        let fence = Standing { origin: origin.clone(), since: now, solo: slot.fences.is_empty() };
        slot.fences.entry(writer).or_insert(fence);
    }

    /// A clear's step on one of its subjects: whether the fence stood, and how many values were installed.
    pub fn clear(
        &mut self,
        subject: &Subject,
        writer: WriterId,
        puts: &[Put],
        seed: u64,
        until: StoreTime,
        asker: Asker,
    ) -> (bool, usize) {
        let (lacks, now) = (self.breaks(), asker.now);
        let drops = !lacks(StoreRule::ClearDropsAgain);
        if subject.kind() == Kind::Tag && drops {
            let generation = self.new_generation(subject, seed);
            self.slot(subject).generation = Some((generation, until));
        }
        let epoch = self.epoch_of(subject, asker);
        let slot = self.slot(subject);
        let lifted = slot.fences.remove(&writer);
        let stood = lifted.is_some();
        let is_alone = lifted.is_some_and(|fence| fence.solo) || lacks(StoreRule::PutsNeedSolo);
        if drops {
            slot.values.clear();
            slot.window = Duration::ZERO;
            slot.leases.clear();
        }
        let mut installed = 0;
        for put in puts.iter().filter(|put| put.key.subject == *subject && put.epoch == epoch) {
            if is_alone && slot.fences.is_empty() {
                slot.values.insert(put.key.field, (put.blob.clone(), now.after(put.ttl)));
                slot.window = slot.window.max(put.aside);
                installed += 1;
            }
        }
        (stood, installed)
    }

    /// Forgets everything of one kind under one subject; whether there was anything.
    pub fn evict(&mut self, subject: usize, victim: Victim) -> Option<Subject> {
        let holds = |slot: &Slot| match victim {
            Victim::Entries => !slot.values.is_empty(),
            Victim::Leases => !slot.leases.is_empty(),
            Victim::Generation => slot.generation.is_some(),
            Victim::Fences => !slot.fences.is_empty(),
        };
        let holders: Vec<_> =
            self.slots.iter().filter(|(_, slot)| holds(slot)).map(|(name, _)| name.clone()).collect();
        let name = holders.get(subject % holders.len().max(1))?.clone();
        let slot = self.slots.get_mut(&name)?;
        match victim {
            Victim::Entries => (slot.values, slot.window) = Default::default(),
            Victim::Leases => slot.leases.clear(),
            Victim::Generation => slot.generation = None,
            Victim::Fences => slot.fences.clear(),
        }
        Some(name)
    }

    /// Forgets everything; the epoch stays.
    pub fn flush(&mut self) {
        self.slots.clear();
    }

    /// Each fence that stands: where, and whose.
    pub fn fences(&self) -> BTreeSet<(Subject, WriterId)> {
        let of_slot = |(subject, slot): (&Subject, &Slot)| -> Vec<_> {
            slot.fences.keys().map(|writer| (subject.clone(), *writer)).collect()
        };
        self.slots.iter().flat_map(of_slot).collect()
    }
}
