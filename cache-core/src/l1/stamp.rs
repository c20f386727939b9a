//! Generations of everything that can be written, 65,536 of them shared by all names. Refuses to know which entries a write hits:
//! two names that share one only invalidate each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// As many as 16 bits of a name's hash tell apart: half a mebibyte.
const SLOTS: usize = 1 << 16;
/// Slots of an entry that need no place of their own: its subject's and three tags'.
const FEW: usize = 4;

/// One counter for each slot, and one for all.
#[derive(Debug)]
pub(super) struct Generations {
    slots: Box<[AtomicU64]>,
    /// Moves when nothing counts any more.
    flushes: AtomicU64,
}

/// Where the generations stood of all that a value is made of.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    /// Each of them only ever grows, so their sum is the same only if none has moved.
    sum: u64,
    /// The slots of the subject and the first tags. What is made of fewer names one of them again.
    few: [u16; FEW],
    /// Those of further tags.
    more: Option<Arc<Vec<u16>>>,
}

/// The slot of a name.
#[allow(clippy::cast_possible_truncation, reason = "its last 16 bits")]
fn slot(stripe: u64) -> u16 {
    stripe as u16
}

impl Default for Generations {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(), flushes: AtomicU64::new(0) }
    }
}

impl Generations {
    /// Entries that were stamped before count no more if they are made of this.
    pub(super) fn moves(&self, stripe: u64) {
        if let Some(slot) = self.slots.get(usize::from(slot(stripe))) {
            slot.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// No entry counts that was stamped before.
    pub(super) fn flush(&self) {
        self.flushes.fetch_add(1, Ordering::SeqCst);
    }

    /// How often that was.
    pub(super) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::SeqCst)
    }

    #[inline]
    fn one(&self, slot: u16) -> u64 {
        self.slots.get(usize::from(slot)).map_or(0, |generation| generation.load(Ordering::Acquire))
    }

    #[inline]
    fn sum(&self, few: [u16; FEW], more: Option<&[u16]>) -> u64 {
        let [first, rest @ ..] = few;
        let mut sum = self.flushes.load(Ordering::Acquire).wrapping_add(self.one(first));
        for slot in rest {
            // The first one again says that there are no more.
            if slot == first {
                break;
            }
            sum = sum.wrapping_add(self.one(slot));
        }
        more.unwrap_or_default().iter().fold(sum, |sum, slot| sum.wrapping_add(self.one(*slot)))
    }

    /// Stamps what is made of these.
    pub(super) fn stamp(&self, stripes: &[u64]) -> Stamp {
        let mut slots: Vec<u16> = stripes.iter().copied().map(slot).collect();
        if let Some(first) = slots.first().copied() {
            // A tag that shares its subject's slot moves with it, and would say that there are no more.
            let mut at = 0;
            slots.retain(|slot| {
                at += 1;
                at == 1 || *slot != first
            });
        }
        let mut few = [slots.first().copied().unwrap_or_default(); FEW];
        few.iter_mut().zip(&slots).for_each(|(place, slot)| *place = *slot);
        let more = slots.get(FEW..).filter(|more| !more.is_empty()).map(|more| Arc::new(more.to_vec()));
        Stamp { sum: self.sum(few, more.as_ref().map(|more| &more[..])), few, more }
    }

    /// The same slots as they stand now. Only a test wants that.
    pub(super) fn restamped(&self, stamp: &Stamp) -> Stamp {
        Stamp { sum: self.sum(stamp.few, stamp.more.as_ref().map(|more| &more[..])), ..stamp.clone() }
    }

    /// Whether none of its generations has moved.
    #[inline]
    pub(super) fn stand(&self, stamp: &Stamp) -> bool {
        self.sum(stamp.few, stamp.more.as_ref().map(|more| &more[..])) == stamp.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_stands_until_one_of_its_own_moves() {
        let generations = Generations::default();
        for many in [1, 2, FEW as u64, FEW as u64 + 1, 200] {
            let made_of: Vec<u64> = (0..many).collect();
            let stamp = generations.stamp(&made_of);
            generations.moves(1_000);
            assert!(generations.stand(&stamp), "{many}: another's");
            for one in 0..many {
                let stamp = generations.stamp(&made_of);
                generations.moves(one);
                assert!(!generations.stand(&stamp), "{many}: number {one}");
            }
            assert!(!generations.stand(&stamp));
        }
    }

    #[test]
    fn names_that_share_a_slot_hide_no_other() {
        let generations = Generations::default();
        let one_slot = 1 << 16;
        for made_of in [vec![7, 7 + one_slot, 8], vec![7, 8, 7 + one_slot, 8 + one_slot, 9, 10, 11, 12]] {
            for one in &made_of {
                let stamp = generations.stamp(&made_of);
                assert!(generations.stand(&stamp));
                generations.moves(*one);
                assert!(!generations.stand(&stamp), "{one} of {made_of:?}");
            }
        }
    }

    #[test]
    fn a_flush_ends_every_stamp_and_the_next_one_stands() {
        let generations = Generations::default();
        let (one, nothing) = (generations.stamp(&[7]), generations.stamp(&[]));
        generations.flush();
        assert!(!generations.stand(&one) && !generations.stand(&nothing));
        assert!(generations.stand(&generations.stamp(&[7])));
    }
}
