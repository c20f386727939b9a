//! What befalls the store: lost leases, entries, fences and generations, the relay, failover. Refuses to be fair.

use super::Action;
use crate::protocol::{Failover, Healing, Protocol, Relay, Source};
use crate::state::{Node, Set, Transaction, World};
use crate::system::Story;

impl Protocol {
    pub(super) fn fault_actions(&self, world: &World, actions: &mut Vec<Action>) {
        let (node, faults) = (&world.nodes[usize::from(world.master)], &self.faults);
        let mut may = |happens: bool, action: Action| {
            if happens {
                actions.push(action);
            }
        };
        let fenced = !node.fences.is_empty();
        may(self.cache.healing == Healing::Expiry && fenced, Action::FencesExpire);
        may(faults.leases_lapse && node.lease.is_some_and(|lease| !lease.lapsed), Action::LeaseLapses);
        may(faults.leases_evicted && node.lease.is_some(), Action::LeaseEvicted);
        may(faults.entries_evicted && node.entry.is_some(), Action::EntryEvicted);
        may(faults.fences_lost && fenced, Action::FencesLost);
        may(faults.generations_lost && node.generation.is_some(), Action::GenerationLost);
        may(
            self.readers.source == Source::Replica && world.replica < world.visible,
            Action::ReplicaCatchesUp,
        );
        for writer in 0..self.writers {
            may(
                node.fences.has(writer) && self.is_orphaned(world, writer),
                Action::OrphanLifted(writer as u8),
            );
        }
        if let Some(writer) = world.relay.first() {
            may(self.cache.relay.is_some(), Action::Relay(writer as u8));
        }
        if self.strict() {
            self.strict_actions(world, actions);
        }
    }

    pub(super) fn fault(&self, world: &mut World, action: Action, story: &mut Story) -> Option<()> {
        let master = usize::from(world.master);
        let node = &mut world.nodes[master];
        match action {
            Action::FencesExpire | Action::FencesLost => {
                (node.fences, node.solo) = (Set::default(), None);
                story.tell(|| "store: the fences are gone");
            }
            Action::OrphanLifted(writer) => {
                self.lift_fence(world, master, writer.into(), story);
                story.tell(|| "it was old enough");
            }
            Action::LeaseLapses => {
                node.lease = node.lease.map(|lease| crate::state::Lease { lapsed: true, ..lease });
                story.tell(|| "store: the lease lapses");
            }
            Action::LeaseEvicted => {
                node.lease = None;
                story.tell(|| "store: the lease is evicted");
            }
            Action::EntryEvicted => {
                node.entry = None;
                story.tell(|| "store: the entry is evicted");
            }
            Action::GenerationLost => {
                node.generation = None;
                story.tell(|| "store: the tag's generation is evicted");
            }
            Action::Relay(writer) => return self.relays(world, writer.into(), story),
            _ => return None,
        }
        Some(())
    }

    fn relays(&self, world: &mut World, writer: usize, story: &mut Story) -> Option<()> {
        let is_visible = world.writers[writer].transaction == Transaction::Visible;
        if self.cache.relay != Some(Relay::Early) && !is_visible {
            return None;
        }
        let master = usize::from(world.master);
        world.relay.remove(writer);
        self.drop_stored(world, master);
        if self.fences() {
            world.nodes[master].fences.remove(writer);
        }
        self.push(world, writer);
        story.tell(|| format!("relay: invalidates what writer {} committed", writer + 1));
        Some(())
    }

    pub(super) fn lift_fence(&self, world: &mut World, node: usize, writer: usize, story: &mut Story) {
        let node = &mut world.nodes[node];
        if node.fences.has(writer) {
            node.fences.remove(writer);
            if node.solo == Some(writer as u8) {
                node.solo = None;
            }
            story.tell(|| format!("the fence of writer {} is lifted", writer + 1));
        }
    }

    pub(super) fn failover_actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.master == 0 {
            actions.extend([Action::Replicate, Action::Failover]);
        } else if self.faults.failover == Failover::SplitBrain {
            let readers = world.readers.iter().enumerate().take(self.readers.count);
            actions.extend(readers.filter(|(_, it)| it.node == 0).map(|(n, _)| Action::MoveReader(n as u8)));
            let writers = world.writers.iter().enumerate().take(self.writers);
            actions.extend(writers.filter(|(_, it)| it.node == 0).map(|(n, _)| Action::MoveWriter(n as u8)));
        }
    }

    pub(super) fn failover_step(&self, world: &mut World, action: Action, story: &mut Story) -> Option<()> {
        match action {
            Action::Replicate => {
                world.nodes[1] = world.nodes[0];
                story.tell(|| "store: node 1 receives what node 0 holds");
            }
            Action::Failover => {
                world.master = 1;
                story.tell(|| "store: node 1 takes over from node 0");
                if self.faults.failover == Failover::Lossy {
                    for reader in &mut world.readers {
                        reader.node = 1;
                        // What was under way to the old node is lost with it.
                        reader.late = None;
                    }
                    for writer in &mut world.writers {
                        (writer.node, writer.mark_under_way) = (1, false);
                    }
                }
            }
            Action::MoveReader(who) => {
                world.readers[usize::from(who)].node = 1;
                story.tell(|| format!("reader {}: turns to node 1", who + 1));
            }
            Action::MoveWriter(who) => {
                world.writers[usize::from(who)].node = 1;
                story.tell(|| format!("writer {}: turns to node 1", who + 1));
            }
            _ => return None,
        }
        self.forget_old_node(world);
        Some(())
    }

    /// Nobody will ever ask the old node again: what it holds makes no difference.
    fn forget_old_node(&self, world: &mut World) {
        let anybody = world
            .readers
            .iter()
            .take(self.readers.count)
            .any(|reader| reader.node == 0 || reader.late.is_some_and(|late| late.node == 0))
            || world.writers.iter().take(self.writers).any(|writer| writer.node == 0);
        if world.master == 1 && !anybody {
            let entry = world.nodes[0].entry.filter(|_| self.entry_node(1) == 0);
            world.nodes[0] = Node { entry, ..Node::default() };
        }
    }
}
