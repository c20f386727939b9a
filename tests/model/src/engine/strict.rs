//! The epoch in the database, for `strict`: leased by readers, checked by writers. Refuses to be on time; time is not used.

use super::Action;
use crate::protocol::{Epochs, Protocol};
use crate::state::World;
use crate::system::Story;

impl Protocol {
    pub(super) fn strict_actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (number, reader) in world.readers.iter().enumerate().take(self.readers.count) {
            if reader.epoch_lease.is_some() {
                actions.push(Action::EpochLeaseEnds(number as u8));
            } else if !world.draining {
                actions.push(Action::EpochLease(number as u8));
            }
        }
        if world.master == 1 && world.epoch == 0 {
            actions.push(if world.draining { Action::OpenEpoch } else { Action::Drain });
        }
    }

    pub(super) fn strict_step(&self, world: &mut World, action: Action, story: &mut Story) -> Option<()> {
        let Epochs::Strict(rules) = self.cache.epochs else { return None };
        match action {
            Action::Drain => {
                world.draining = true;
                story.tell(|| "database: nobody gets a lease on epoch 0 any more");
            }
            Action::OpenEpoch => {
                let read = world.readers.iter().any(|reader| reader.epoch_lease == Some(0));
                let written = world.writers.iter().any(|writer| writer.holds_epoch);
                if rules.awaits_readers && read || rules.awaits_writers && written {
                    return None;
                }
                (world.epoch, world.draining) = (1, false);
                story.tell(|| "database: epoch 1 begins");
            }
            Action::EpochLease(who) => {
                world.readers[usize::from(who)].epoch_lease = Some(world.epoch);
                story.tell(|| format!("reader {}: holds epoch {} for a while", who + 1, world.epoch));
            }
            Action::EpochLeaseEnds(who) => {
                world.readers[usize::from(who)].epoch_lease = None;
                story.tell(|| format!("reader {}: its lease on the epoch ends", who + 1));
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn check_epoch(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let writer = &mut world.writers[who];
        if writer.marked_on == world.epoch {
            writer.holds_epoch = true;
            writer.step += 1;
            story.tell(|| format!("writer {}: epoch {} is that of its mark", who + 1, world.epoch));
        } else {
            writer.node = world.epoch;
            story.tell(|| format!("writer {}: epoch {} is not that of its mark", who + 1, world.epoch));
            self.mark(world, who, story);
        }
        Some(())
    }
}
