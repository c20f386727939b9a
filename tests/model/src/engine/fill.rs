//! FILL: the step of the store, the step of the answer, and what becomes of one that nobody waits for. Refuses nothing that
//! the row's rule accepts.

use super::reader::Proof;
use crate::protocol::{Epochs, Filling, Known, Protocol, Tag};
use crate::state::{At, Entry, LateFill, Read, TagStamp, World};
use crate::system::Story;

impl Protocol {
    /// The entry that a fill would store.
    pub(super) fn made(&self, world: &World, who: usize) -> Entry {
        let reader = &world.readers[who];
        let epoch = if self.cache.epochs == Epochs::StampedAtFill { reader.node } else { reader.read.epoch };
        Entry { value: reader.read.value, epoch, tag: reader.read.tag }
    }

    pub(super) fn fill(&self, world: &mut World, who: usize, story: &mut Story) {
        let (made, token, node) =
            (self.made(world, who), world.readers[who].read.token, world.readers[who].node);
        let stored = self.store(world, node, made, token);
        story.tell(|| {
            let answer = if stored { "stored" } else { "refused" };
            format!("reader {}: FILL v{} on node {node} -> {answer}", who + 1, made.value)
        });
        let accepted = stored && self.is_epoch_of_lease(node, made);
        let read = &mut world.readers[who].read;
        (read.token, read.epoch, read.filled) = (None, 0, accepted);
        read.at = if self.compares_tags() { At::Compare } else { At::Answer };
        if read.at == At::Answer {
            read.tag = None;
        }
    }

    pub(super) fn compare(&self, world: &mut World, who: usize, story: &mut Story) {
        let node = world.readers[who].node;
        let now = self.tag_now(&world.nodes[usize::from(node)], node);
        let read = &mut world.readers[who].read;
        let same = now.is_some() && now == read.tag;
        read.filled &= same;
        (read.at, read.tag) = (At::Answer, None);
        story.tell(|| {
            let found = if same { "unmoved" } else { "moved: counts as not filled" };
            format!("reader {}: reads the tag again -> {found}", who + 1)
        });
    }

    /// FILL, on its node.
    fn store(&self, world: &mut World, node: u8, made: Entry, token: Option<u8>) -> bool {
        let tag = self.tag_now(&world.nodes[usize::from(node)], node);
        let fences = world.nodes[usize::from(node)].fences;
        let target = &mut world.nodes[self.entry_node(node)];
        let lease = target.lease.map(|lease| lease.token);
        let accepts = match self.cache.filling {
            Filling::Anyway | Filling::Locked => true,
            Filling::IfNewer => target.entry.is_none_or(|stands| stands.value < made.value),
            Filling::Leased => token.is_some() && lease == token,
            Filling::Fenced => token.is_some() && lease == token && fences.is_empty(),
            Filling::FencedUnlessReplaced => (lease == token || lease.is_none()) && fences.is_empty(),
            Filling::Tagged(Tag { known: Known::BeforeLoad, .. }) => true,
            Filling::Tagged(Tag { known: Known::FromValue, .. }) => {
                fences.is_empty()
                    && tag.map(|tag: TagStamp| tag.generation) == made.tag.map(|tag| tag.generation)
            }
        };
        if accepts {
            target.entry = Some(made);
            target.lease = None;
        }
        accepts
    }

    /// The reader learned whether its fill was accepted, or did not learn it and counts it as not accepted.
    pub(super) fn filled(&self, world: &mut World, who: usize, filled: bool, story: &mut Story) {
        let value = world.readers[who].read.value;
        if filled && self.cache.near.is_some() {
            world.readers[who].read.at = At::Keep;
        } else {
            self.finish(world, who, value, Proof::Load { filled }, story);
        }
    }

    pub(super) fn answer_lost(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let lost = if world.readers[who].read.at == At::Fill {
            "its FILL is lost"
        } else {
            "the answer to its FILL is lost"
        };
        story.tell(|| format!("reader {}: {lost}", who + 1));
        let filled = self.believes_without_answer();
        self.filled(world, who, filled, story);
        Some(())
    }

    pub(super) fn drop_read(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let reader = &world.readers[who];
        story.tell(|| format!("reader {}: its read is dropped", who + 1));
        if reader.read.at == At::Fill {
            let late = LateFill { entry: self.made(world, who), token: reader.read.token, node: reader.node };
            world.readers[who].late = Some(late);
            story.tell(|| "its FILL is still under way");
        }
        world.readers[who].read = Read::default();
        self.flight_lost(world, who);
        Some(())
    }

    pub(super) fn late_fill(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let LateFill { entry, token, node } = world.readers[who].late.take()?;
        let stored = self.store(world, node, entry, token);
        story.tell(|| {
            let answer = if stored { "stored" } else { "refused" };
            format!("the FILL of v{} by reader {} arrives late -> {answer}", entry.value, who + 1)
        });
        Some(())
    }
}
