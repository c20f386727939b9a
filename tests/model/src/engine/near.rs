//! The L1 of a reader and its volume lease. Refuses to keep what was invalidated since the read began.

use super::Action;
use super::reader::Proof;
use crate::protocol::{Awaits, Near, Protocol, Renewal};
use crate::state::{Listed, NearState, Set, World};
use crate::system::Story;

impl Protocol {
    pub(super) fn near_actions(&self, world: &World, who: usize, actions: &mut Vec<Action>) {
        if self.cache.near.is_none() {
            return;
        }
        let (near, number) = (&world.readers[who].near, who as u8);
        if !near.pushes.is_empty() {
            actions.push(Action::NearHears(number));
            if self.faults.near_cut {
                actions.push(Action::NearCut(number));
            }
        }
        actions.push(if near.leased { Action::NearEnds(number) } else { Action::NearRenews(number) });
    }

    pub(super) fn near_step(&self, world: &mut World, action: Action, story: &mut Story) -> Option<()> {
        let rules = self.cache.near?;
        match action {
            Action::NearHears(who) => {
                let near = &mut world.readers[usize::from(who)].near;
                (near.pushes, near.value, near.moved) = (Set::default(), None, true);
                if near.listed == Listed::Told {
                    near.listed = Listed::No;
                }
                story.tell(|| format!("L1 of reader {}: applies the invalidations", who + 1));
            }
            Action::NearEnds(who) => {
                world.readers[usize::from(who)].near.leased = false;
                story.tell(|| format!("L1 of reader {}: its lease ends", who + 1));
            }
            Action::NearRenews(who) => {
                let near = &mut world.readers[usize::from(who)].near;
                let ahead = match (rules.renewal, near.asked.take()) {
                    (Renewal::AtOnce, _) => near.pushes,
                    (_, Some(ahead)) => near.pushes.both(ahead),
                    (_, None) => {
                        near.asked = Some(near.pushes);
                        story.tell(|| {
                            format!("L1 of reader {}: its question for a lease is carried out", who + 1)
                        });
                        return Some(());
                    }
                };
                if rules.renews_in_order && !ahead.is_empty() {
                    return None;
                }
                near.leased = true;
                story.tell(|| format!("L1 of reader {}: its lease is renewed", who + 1));
            }
            Action::NearCut(who) => {
                let near = &mut world.readers[usize::from(who)].near;
                (near.pushes, near.leased) = (Set::default(), false);
                // It comes back under another name.
                (near.asked, near.listed) = (None, Listed::No);
                if rules.flushes {
                    (near.value, near.moved) = (None, true);
                }
                story.tell(|| format!("L1 of reader {}: its connection is cut", who + 1));
            }
            _ => return None,
        }
        Some(())
    }

    /// Sends the invalidation to every L1, and finds out whom to wait for.
    pub(super) fn push(&self, world: &mut World, who: usize) {
        let Some(rules) = self.cache.near else { return };
        for reader in world.readers.iter_mut().take(self.readers.count) {
            let near = &mut reader.near;
            near.pushes.insert(who);
            let Awaits::Listed(list) = rules.awaits else { continue };
            if near.listed != Listed::No {
                near.awaited.insert(who);
                near.listed = if list.stays { Listed::Told } else { Listed::No };
            }
        }
    }

    /// Goes on once each of those that may hold the value has heard, or its lease has ended.
    pub(super) fn await_near(&self, world: &mut World, who: usize) -> Option<()> {
        let rules = self.cache.near?;
        let is_silent =
            |near: &NearState| near.pushes.has(who) && (rules.awaits == Awaits::All || near.awaited.has(who));
        let mut readers = world.readers.iter().take(self.readers.count);
        if readers.any(|reader| is_silent(&reader.near) && reader.near.leased) {
            return None;
        }
        for reader in world.readers.iter_mut().take(self.readers.count) {
            // A lease has passed since the mark: one that was asked for before it is over, whenever the answer comes.
            let is_over = is_silent(&reader.near) && reader.near.asked.is_some_and(|ahead| !ahead.has(who));
            if is_over && rules.renewal == Renewal::FromQuestion {
                reader.near.asked = None;
            }
        }
        Some(())
    }

    /// A reader writes itself on the list of who reads the entry, before it reads or when it keeps.
    pub(super) fn lists(&self, world: &mut World, who: usize, is_first: bool) {
        if let Some(Near { awaits: Awaits::Listed(list), .. }) = self.cache.near
            && list.comes_first == is_first
        {
            world.readers[who].near.listed = Listed::Reads;
        }
    }

    pub(super) fn keep(&self, world: &mut World, who: usize, story: &mut Story) {
        let value = world.readers[who].read.value;
        let near = &mut world.readers[who].near;
        if !near.moved || self.cache.near.is_some_and(|rules| !rules.compares_moves) {
            near.value = Some(value);
            self.lists(world, who, false);
            story.tell(|| format!("reader {}: keeps v{value} in its L1", who + 1));
        }
        self.finish(world, who, value, Proof::Own, story);
    }
}
