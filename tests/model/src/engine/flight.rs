//! Flights: readers of one process that share a load. Refuses to hand a result to whom the join rule forbids it.

use super::reader::Proof;
use crate::protocol::{JoinRule, Protocol, Sharing};
use crate::state::{At, Entry, Read, Reader, Stage, World};
use crate::system::Story;

impl Protocol {
    fn rule(&self) -> Option<JoinRule> {
        match self.readers.sharing {
            Sharing::Rule(rule) => Some(rule),
            Sharing::Alone | Sharing::Anyone => None,
        }
    }

    /// How this reader shares its loads: one in another process has nobody to share with.
    pub(super) fn sharing_of(&self, reader: &Reader) -> Sharing {
        if reader.elsewhere { Sharing::Alone } else { self.readers.sharing }
    }

    pub(super) fn has_waiters(&self, world: &World, leader: usize) -> bool {
        world.readers.iter().any(|reader| waits_for(&reader.read, leader))
    }

    /// A reader that missed joins the running flight, or leads a new one.
    pub(super) fn enter(&self, world: &mut World, who: usize, story: &mut Story) {
        match world.flight {
            Some(leader) => {
                let arrival = match world.readers[usize::from(leader)].read.at {
                    At::Fill | At::Compare | At::Answer if self.rule().is_some_and(|rule| rule.seals) => {
                        Stage::Sealed
                    }
                    At::Seal | At::Fill | At::Compare | At::Answer => Stage::Loading,
                    _ => Stage::Pending,
                };
                let read = &mut world.readers[who].read;
                (read.at, read.leader, read.arrival, read.before_ask) = (At::Joined, leader, arrival, false);
                story.tell(|| {
                    format!("reader {}: joins the flight of reader {} ({arrival:?})", who + 1, leader + 1)
                });
            }
            None => {
                world.flight = Some(who as u8);
                self.leads(world, who);
                story.tell(|| format!("reader {}: leads a flight", who + 1));
            }
        }
    }

    fn leads(&self, world: &mut World, who: usize) {
        let read = &mut world.readers[who].read;
        (read.leader, read.arrival, read.before_ask) = (0, Stage::Pending, false);
        read.at = if self.asks_for_lease() { At::Lease } else { At::Load };
    }

    pub(super) fn overtake(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        story.tell(|| format!("reader {}: waited too long and leads the next flight", who + 1));
        // Somebody else may have overtaken before: then it joins that one.
        if world.flight == Some(world.readers[who].read.leader) {
            world.flight = Some(who as u8);
            self.leads(world, who);
        } else {
            world.readers[who].read.at = At::Enter;
        }
        Some(())
    }

    /// A LEASE is carried out: whoever waits by now came before.
    pub(super) fn counts_ask(&self, world: &mut World, leader: usize) {
        for reader in &mut world.readers {
            if waits_for(&reader.read, leader) {
                reader.read.before_ask = true;
            }
        }
    }

    /// The load is done. A FILL goes out; before that the flight is sealed. Without one it ends.
    pub(super) fn seal(&self, world: &mut World, who: usize, story: &mut Story) {
        let read = world.readers[who].read;
        if read.token.is_some() || read.tag.is_some() {
            world.readers[who].read.at = At::Fill;
            story.tell(|| format!("reader {}: sends its FILL", who + 1));
        } else {
            self.finish(world, who, read.value, Proof::Load { filled: false }, story);
        }
    }

    /// Whether a fill counts that a node accepted.
    pub(super) fn is_epoch_of_lease(&self, node: u8, made: Entry) -> bool {
        !self.rule().is_some_and(|rule| rule.compares_epoch) || self.entry_node(node) as u8 == made.epoch
    }

    /// Whether a FILL without an answer counts as accepted.
    pub(super) fn believes_without_answer(&self) -> bool {
        self.rule().is_some_and(|rule| !rule.needs_answer)
    }

    /// Whether the tag is read again after a fill.
    pub(super) fn compares_tags(&self) -> bool {
        self.tag().is_some() && self.rule().is_some_and(|rule| rule.compares_tags)
    }

    fn may_take(&self, waiter: &Read, proof: Proof) -> bool {
        let Some(rule) = self.rule() else { return self.readers.sharing == Sharing::Anyone };
        match (proof, waiter.arrival) {
            (Proof::Own, _) => false,
            (Proof::Entry, _) => waiter.before_ask || !rule.counts_asks,
            (Proof::Load { .. }, Stage::Pending) => true,
            (Proof::Load { filled }, Stage::Loading) => filled,
            (Proof::Load { .. }, Stage::Sealed) => false,
        }
    }

    /// A read is over; if others wait for its value, they take it or try again.
    pub(super) fn finish(&self, world: &mut World, who: usize, value: u8, proof: Proof, story: &mut Story) {
        self.judge(world, who, value, story);
        world.readers[who].read = Read::default();
        if proof == Proof::Own {
            return;
        }
        if world.flight == Some(who as u8) {
            world.flight = None;
        }
        for waiter in 0..self.readers.count {
            let read = world.readers[waiter].read;
            if !waits_for(&read, who) {
                continue;
            }
            if self.may_take(&read, proof) {
                self.judge(world, waiter, value, story);
                world.readers[waiter].read = Read::default();
            } else {
                let again = if proof == (Proof::Load { filled: false }) { At::Enter } else { At::Look };
                world.readers[waiter].read = Read { at: again, floor: read.floor, ..Read::default() };
                story.tell(|| format!("reader {} may not take it", waiter + 1));
            }
        }
    }

    /// The leader is gone without a result.
    pub(super) fn flight_lost(&self, world: &mut World, who: usize) {
        if world.flight == Some(who as u8) {
            world.flight = None;
        }
        for reader in &mut world.readers {
            if waits_for(&reader.read, who) {
                reader.read = Read { at: At::Enter, floor: reader.read.floor, ..Read::default() };
            }
        }
    }
}

fn waits_for(read: &Read, leader: usize) -> bool {
    read.at == At::Joined && usize::from(read.leader) == leader
}
