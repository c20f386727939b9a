//! The L1 of a reader and its volume lease. Refuses to keep what was invalidated since the read began.

use super::Action;
use super::reader::Proof;
use crate::protocol::Protocol;
use crate::state::{Set, World};
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
                story.tell(|| format!("L1 of reader {}: applies the invalidations", who + 1));
            }
            Action::NearEnds(who) => {
                world.readers[usize::from(who)].near.leased = false;
                story.tell(|| format!("L1 of reader {}: its lease ends", who + 1));
            }
            Action::NearRenews(who) => {
                let near = &mut world.readers[usize::from(who)].near;
                if rules.renews_in_order && !near.pushes.is_empty() {
                    return None;
                }
                near.leased = true;
                story.tell(|| format!("L1 of reader {}: its lease is renewed", who + 1));
            }
            Action::NearCut(who) => {
                let near = &mut world.readers[usize::from(who)].near;
                (near.pushes, near.leased) = (Set::default(), false);
                if rules.flushes {
                    (near.value, near.moved) = (None, true);
                }
                story.tell(|| format!("L1 of reader {}: its connection is cut", who + 1));
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn keep(&self, world: &mut World, who: usize, story: &mut Story) {
        let value = world.readers[who].read.value;
        let near = &mut world.readers[who].near;
        if !near.moved || self.cache.near.is_some_and(|rules| !rules.compares_moves) {
            near.value = Some(value);
            story.tell(|| format!("reader {}: keeps v{value} in its L1", who + 1));
        }
        self.finish(world, who, value, Proof::Own, story);
    }
}
