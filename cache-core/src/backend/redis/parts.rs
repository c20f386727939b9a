//! What a namespace's clear turns: the generation of each of its parts, folded into the epoch of every entry in the part. Refuses to
//! be asked about on every hit: what a server told counts for a second from when it was *asked*, and a clear waits for longer.
//!
//! A namespace on one server has one part. On a cluster it has 64, one for every 256 slots, and the part's own key lies in one of
//! them, so nearly always with the master that has the entries: a master that is away takes its own entries along and few others.
//! `docs/decisions/0010-clear-of-a-namespace.md` has the reasons.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::cluster::slot::{SLOTS, slot_of};
use super::link::Step;
use super::reply;
use super::script;
use super::send::{Done, Job};
use super::words::{key, read_generation};
use crate::error::StoreError;
use crate::rng::Rng;
use crate::subject::{Epoch, Generation, Kind, Subject};
use crate::time::Clock;

/// How long an answer counts, from when it was asked for.
const LENGTH: Duration = Duration::from_secs(1);
/// From this age on one command carries the question along.
const DUE: Duration = Duration::from_millis(500);
/// How long a clear waits after the last server has confirmed it: every answer from before has lapsed by then, wherever it is. What
/// is more than [`LENGTH`] is for clocks that run unevenly.
pub(super) const WAIT: Duration = Duration::from_millis(1200);
/// Parts of a namespace on a cluster.
const PARTS: u16 = 64;

/// How a namespace is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    /// Not at all.
    Whole,
    /// By the slots of a cluster.
    BySlot,
}

/// A part's generation, and the epoch of the server that told it: one that comes back with an old dataset tells old generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    epoch: Epoch,
    generation: Generation,
}

impl Stamp {
    /// The epoch of entries of the part on a server of this epoch.
    pub(super) fn fold(self, server: Epoch) -> Epoch {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[8..].copy_from_slice(&self.generation.0.to_le_bytes());
        Epoch(xxh3_64_with_seed(&bytes, server.0))
    }
}

/// A part and what is known about it.
pub(super) struct Part {
    pub(super) tag: Subject,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    stamp: Option<Stamp>,
    /// When it was asked for.
    asked: Duration,
    /// When somebody undertook to ask again.
    undertaken: Duration,
    /// What was asked for earlier does not count: the generation was turned.
    turned: Duration,
}

impl Part {
    fn new(tag: Subject) -> Arc<Self> {
        Arc::new(Self { tag, known: Mutex::default() })
    }

    /// What counts now, if anything does, and whether the caller is the one to ask again.
    fn look(&self, now: Duration, server: Option<Epoch>) -> (Option<Stamp>, bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let counts =
            |stamp: &Stamp| now < known.asked + LENGTH && server.is_none_or(|server| server == stamp.epoch);
        let stamp = known.stamp.filter(counts);
        let is_due = now >= known.asked + DUE && now >= known.undertaken + DUE / 2;
        if is_due {
            known.undertaken = now;
        }
        (stamp, is_due)
    }

    /// It was turned: nothing counts that was asked for up to now.
    pub(super) fn forgets(&self, now: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Known { turned: now + Duration::from_nanos(1), ..Known::default() };
    }

    /// A server that was asked then has told this.
    fn learn(&self, stamp: Stamp, asked: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if asked >= known.turned && (known.stamp.is_none() || asked >= known.asked) {
            (known.stamp, known.asked) = (Some(stamp), asked);
        }
    }
}

/// All parts of a namespace, in order.
pub(super) type All = Arc<[Arc<Part>]>;

/// What one command knows about the part of its subject.
pub(super) struct Sight {
    part: Arc<Part>,
    /// What counts.
    pub(super) stamp: Option<Stamp>,
    /// Whether to ask.
    pub(super) asks: bool,
    /// Whether the server of the subject would be asked.
    pub(super) is_beside: bool,
    asked: Duration,
    seed: u64,
}

impl Sight {
    /// Whether both are about one part.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.part, &other.part)
    }

    /// Asks for the generation.
    pub(super) fn question(&self) -> Job<'_> {
        Job::read(&self.part.tag, |_| read_generation(&self.part.tag))
    }

    /// Asks for the generation, which is made if it was lost.
    pub(super) fn making(&self) -> Job<'_> {
        Job::idempotent(&self.part.tag, |_| step(&self.part.tag, self.seed, "make"))
    }

    /// What counts after the answer; nothing if the generation was lost. A question that only renews may go unanswered.
    pub(super) fn answered(&self, done: Done) -> Result<Option<Stamp>, StoreError> {
        let epoch = done.link.epoch;
        let told = match reply::stamp(done.value, epoch) {
            Ok(told) => told.generation.map(|generation| Stamp { epoch, generation }),
            Err(error) if self.stamp.is_none() => return Err(error),
            Err(_) => return Ok(self.stamp),
        };
        if let Some(stamp) = told {
            self.part.learn(stamp, self.asked);
        }
        Ok(told)
    }
}

/// The parts of the namespaces in use.
pub(super) struct Parts {
    division: Division,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    namespaces: RwLock<HashMap<Box<str>, All>>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("division", &self.division).finish_non_exhaustive()
    }
}

impl Parts {
    pub(super) fn new(division: Division, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { division, clock, rng, namespaces: RwLock::default() }
    }

    /// All parts of a namespace.
    pub(super) fn of(&self, namespace: &str) -> All {
        let known = self.namespaces.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(parts) = known.get(namespace) {
            return parts.clone();
        }
        drop(known);
        let parts = || match self.division {
            Division::Whole => [Part::new(Subject::new(Kind::Tag, format!("{namespace}#~"), None))].into(),
            Division::BySlot => (0..PARTS).map(|at| Part::new(tag_in(namespace, at))).collect(),
        };
        let mut known = self.namespaces.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(namespace.into()).or_insert_with(parts).clone()
    }

    /// The part of a subject.
    fn part(&self, subject: &Subject) -> Arc<Part> {
        let name = subject.name();
        let parts = self.of(name.split([':', '#']).next().unwrap_or(name));
        let at = match self.division {
            Division::Whole => 0,
            Division::BySlot => usize::from(place_of(slot_of(subject))),
        };
        parts[at].clone()
    }

    /// What is known about the part of a subject; `server` tells the epoch of the server that has a subject, `is_beside` whether one
    /// that has it has the other, too.
    pub(super) fn sight(
        &self,
        subject: &Subject,
        server: impl Fn(&Subject) -> Option<Epoch>,
        is_beside: impl Fn(&Subject, &Subject) -> bool,
    ) -> Sight {
        let (part, now) = (self.part(subject), self.clock.monotonic());
        let (stamp, is_due) = part.look(now, server(&part.tag));
        // Another server is asked only when there is no other way: it may be away.
        let is_beside = (is_due || stamp.is_none()) && is_beside(&part.tag, subject);
        let asks = stamp.is_none() || is_due && is_beside;
        Sight { part, stamp, asks, is_beside, asked: now, seed: self.rng.bits() }
    }

    /// An epoch that no entry has.
    pub(super) fn nobodys(&self) -> Epoch {
        Epoch(self.rng.bits())
    }
}

/// Gives a part another generation.
pub(super) fn turn(tag: &Subject, seed: u64) -> Step {
    step(tag, seed, "turn")
}

fn step(tag: &Subject, seed: u64, what: &str) -> Step {
    Step::script(&script::PART, &[key(tag, 'g')], |cmd| {
        cmd.arg(seed).arg(what);
    })
}

fn place_of(slot: u16) -> u16 {
    slot / (SLOTS / PARTS)
}

/// A tag that no template can name, in the slots of the part with this number.
fn tag_in(namespace: &str, at: u16) -> Subject {
    let named = |salt: u32| Subject::new(Kind::Tag, format!("{namespace}#~{at}~{salt}"), None);
    (0..=u32::MAX).map(named).find(|tag| place_of(slot_of(tag)) == at).unwrap_or_else(|| named(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(generation: u64) -> Stamp {
        Stamp { epoch: Epoch(1), generation: Generation(generation) }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_secs(60) + Duration::from_millis(millis)
    }

    fn part() -> Arc<Part> {
        Part::new(Subject::new(Kind::Tag, "t#~", None))
    }

    #[test]
    fn an_answer_counts_for_a_second_from_when_it_was_asked_for() {
        let part = part();
        assert_eq!(part.look(at(0), None), (None, true));
        part.learn(stamp(7), at(0));
        assert_eq!(part.look(at(499), None), (Some(stamp(7)), false));
        assert_eq!(part.look(at(500), None), (Some(stamp(7)), true), "one asks again");
        assert_eq!(part.look(at(501), None), (Some(stamp(7)), false), "and nobody else");
        assert_eq!(part.look(at(999), None).0, Some(stamp(7)));
        assert_eq!(part.look(at(1000), None).0, None);
        assert!(WAIT > LENGTH);
    }

    #[test]
    fn an_answer_that_was_asked_for_earlier_takes_nothing_back() {
        let part = part();
        part.learn(stamp(8), at(100));
        part.learn(stamp(7), at(50));
        assert_eq!(part.look(at(101), None).0, Some(stamp(8)));
    }

    #[test]
    fn what_was_asked_for_before_it_was_turned_does_not_count() {
        let part = part();
        part.learn(stamp(7), at(0));
        part.forgets(at(10));
        assert_eq!(part.look(at(11), None).0, None);
        part.learn(stamp(7), at(10));
        assert_eq!(part.look(at(11), None).0, None, "its answer was under way");
        part.learn(stamp(8), at(11));
        assert_eq!(part.look(at(12), None).0, Some(stamp(8)));
    }

    #[test]
    fn an_answer_of_another_epoch_counts_no_longer() {
        let part = part();
        part.learn(stamp(7), at(0));
        assert_eq!(part.look(at(1), Some(Epoch(1))).0, Some(stamp(7)));
        assert_eq!(part.look(at(1), Some(Epoch(2))).0, None);
    }

    #[test]
    fn generation_server_and_the_server_of_the_part_make_the_epoch() {
        let here = stamp(7).fold(Epoch(1));
        assert_ne!(here, stamp(8).fold(Epoch(1)));
        assert_ne!(here, stamp(7).fold(Epoch(2)));
        assert_ne!(here, Stamp { epoch: Epoch(2), ..stamp(7) }.fold(Epoch(1)));
    }

    #[test]
    fn each_part_of_a_cluster_lies_in_its_own_slots() {
        for namespace in ["shop", "a", "a-much-longer-name.of_32-letters"] {
            for at in 0..PARTS {
                assert_eq!(place_of(slot_of(&tag_in(namespace, at))), at);
            }
        }
        assert_eq!((place_of(0), place_of(255), place_of(256), place_of(SLOTS - 1)), (0, 0, 1, PARTS - 1));
    }
}
