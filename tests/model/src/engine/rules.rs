//! Questions about a moment: what a reader may use, who is finished, what is at rest. Refuses to change anything.

use crate::protocol::{Epochs, Filling, Healing, Orphan, Protocol, Shard, Source, Tag};
use crate::state::{At, Entry, Life, Node, Reader, Set, TagStamp, Transaction, World};

impl Protocol {
    /// The tag's rules, where there is one.
    pub(super) fn tag(&self) -> Option<Tag> {
        match self.cache.filling {
            Filling::Tagged(tag) => Some(tag),
            _ => None,
        }
    }

    /// Whether a load is preceded by a LEASE.
    pub(super) fn asks_for_lease(&self) -> bool {
        !matches!(self.cache.filling, Filling::Anyway | Filling::IfNewer)
    }

    /// Whether MARK and CLEAR keep fences.
    pub(super) fn fences(&self) -> bool {
        matches!(self.cache.filling, Filling::Fenced | Filling::FencedUnlessReplaced | Filling::Tagged(_))
    }

    pub(super) fn strict(&self) -> bool {
        matches!(self.cache.epochs, Epochs::Strict(_))
    }

    /// The node that holds the entry, for somebody who talks to `node`.
    pub(super) fn entry_node(&self, node: u8) -> usize {
        match self.tag() {
            Some(Tag { shard: Shard::Other, .. }) => 0,
            _ => node.into(),
        }
    }

    /// Whether a reader may use the store: at `strict`, while it holds a lease on the epoch of its node.
    pub(super) fn may_use_store(&self, reader: &Reader) -> bool {
        !self.strict() || reader.epoch_lease == Some(reader.node)
    }

    /// Whether a reader may use an entry that a LEASE was answered with.
    pub(super) fn may_use_answer(&self, reader: &Reader) -> bool {
        match self.cache.epochs {
            Epochs::Strict(rules) => !rules.compares_at_lease || self.may_use_store(reader),
            Epochs::Ignored | Epochs::Stamped | Epochs::StampedAtFill => true,
        }
    }

    /// Whether an entry is of the reader's epoch.
    pub(super) fn is_of_epoch(&self, entry: &Entry, reader: &Reader) -> bool {
        match self.cache.epochs {
            Epochs::Ignored => true,
            Epochs::Stamped | Epochs::StampedAtFill => entry.epoch == reader.node,
            Epochs::Strict(_) => reader.epoch_lease == Some(entry.epoch),
        }
    }

    /// A tag as it would be stamped now; `None` if its generation is lost.
    pub(super) fn tag_now(&self, node: &Node, epoch: u8) -> Option<TagStamp> {
        let named = if self.tag()?.stamps_epoch { epoch } else { 0 };
        Some(TagStamp { generation: node.generation?, epoch: named })
    }

    /// The writers whose fences a reader may lift.
    pub(super) fn finished(&self, world: &World) -> Set {
        let mut finished = Set::default();
        for (number, writer) in world.writers.iter().enumerate().take(self.writers) {
            let over = matches!(writer.transaction, Transaction::Visible | Transaction::Aborted);
            if match self.cache.healing {
                Healing::ByTransaction => over,
                Healing::ByDurability => over || writer.transaction == Transaction::Durable,
                Healing::Nobody | Healing::Expiry | Healing::ByAge(_) => false,
            } {
                finished.insert(number);
            }
        }
        finished
    }

    /// Whether the fence of a writer that nobody can be asked about may be old enough by now.
    pub(super) fn is_orphaned(&self, world: &World, writer: usize) -> bool {
        let Healing::ByAge(orphan) = self.cache.healing else { return false };
        let writer = &world.writers[writer];
        match orphan {
            Orphan::IsOver => matches!(writer.transaction, Transaction::Visible | Transaction::Aborted),
            Orphan::MayStillRun => writer.life == Life::Gone,
        }
    }

    /// Whether nobody is at anything, and nothing is under way that would invalidate.
    pub(super) fn is_quiet(&self, world: &World) -> bool {
        let writers = world.writers.iter().take(self.writers).all(|writer| {
            let done = usize::from(writer.step) == self.writer.len();
            (done || writer.life != Life::Running) && writer.transaction.is_over()
        });
        let readers = world.readers.iter().take(self.readers.count).all(|reader| {
            reader.read.at == At::Idle && reader.near.pushes.is_empty() && reader.late.is_none()
        });
        let replica = self.readers.source != Source::Replica || world.replica == world.visible;
        writers && readers && replica && world.relay.is_empty()
    }

    /// Whether everything that could be served is the newest value.
    pub(super) fn is_current(&self, world: &World) -> bool {
        let master = if self.strict() { world.epoch } else { world.master };
        let tag = self.tag_now(&world.nodes[usize::from(master)], master);
        let served = world.nodes[self.entry_node(master)].entry.filter(|entry| match self.cache.epochs {
            Epochs::Ignored => true,
            _ => self.entry_node(master) != usize::from(master) || entry.epoch == master,
        });
        let served = served.filter(|entry| self.tag().is_none() || tag.is_some() && entry.tag == tag);
        let store = served.is_none_or(|entry| entry.value == world.visible);
        let near = self.cache.near.is_none()
            || world
                .readers
                .iter()
                .all(|reader| reader.near.value.is_none_or(|value| value == world.visible));
        store && near
    }
}
