//! Generations of everything that can be written, 65,536 of them shared by all names. Refuses to know which entries a write hits:
//! two names that share one only invalidate each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// As many as 16 bits of a name's hash tell apart: half a mebibyte.
const SLOTS: usize = 1 << 16;
/// Slots of an entry that need no allocation: its subject's and five tags'.
const FEW: usize = 6;

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
    slots: Slots,
}

#[derive(Clone, Debug)]
enum Slots {
    Few { len: u8, at: [u16; FEW] },
    Many(Arc<[u16]>),
}

impl Slots {
    #[inline]
    fn as_slice(&self) -> &[u16] {
        match self {
            Self::Few { len, at } => at.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(slots) => slots,
        }
    }
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
    fn sum(&self, slots: &[u16]) -> u64 {
        let one = |slot: &u16| {
            self.slots.get(usize::from(*slot)).map_or(0, |generation| generation.load(Ordering::Acquire))
        };
        slots.iter().map(one).fold(self.flushes.load(Ordering::Acquire), u64::wrapping_add)
    }

    /// Stamps what is made of these.
    pub(super) fn stamp(&self, stripes: impl ExactSizeIterator<Item = u64>) -> Stamp {
        let (many, mut at) = (stripes.len(), [0; FEW]);
        let slots = match u8::try_from(many) {
            Ok(len) if many <= FEW => {
                at.iter_mut().zip(stripes).for_each(|(place, stripe)| *place = slot(stripe));
                Slots::Few { len, at }
            }
            _ => Slots::Many(stripes.map(slot).collect()),
        };
        Stamp { sum: self.sum(slots.as_slice()), slots }
    }

    /// The same slots as they stand now. Only a test wants that.
    pub(super) fn restamped(&self, stamp: &Stamp) -> Stamp {
        Stamp { sum: self.sum(stamp.slots.as_slice()), slots: stamp.slots.clone() }
    }

    /// Whether none of its generations has moved.
    #[inline]
    pub(super) fn stand(&self, stamp: &Stamp) -> bool {
        self.sum(stamp.slots.as_slice()) == stamp.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_stands_until_one_of_its_own_moves() {
        let generations = Generations::default();
        for many in [1, FEW as u64, FEW as u64 + 1, 200] {
            let stamp = generations.stamp((0..many as usize).map(|one| one as u64));
            generations.moves(1_000);
            assert!(generations.stand(&stamp), "{many}: another's");
            for one in 0..many {
                let stamp = generations.stamp((0..many as usize).map(|one| one as u64));
                generations.moves(one);
                assert!(!generations.stand(&stamp), "{many}: number {one}");
            }
            assert!(!generations.stand(&stamp));
        }
    }

    #[test]
    fn a_flush_ends_every_stamp_and_the_next_one_stands() {
        let generations = Generations::default();
        let (one, nothing) = (generations.stamp([7].into_iter()), generations.stamp([].into_iter()));
        generations.flush();
        assert!(!generations.stand(&one) && !generations.stand(&nothing));
        assert!(generations.stand(&generations.stamp([7].into_iter())));
    }
}
