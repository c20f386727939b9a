//! Readers: look, ask for a lease, load, fill. Refuses to say who shares the result.

use super::Action;
use crate::protocol::{Filling, Known, Lost, Protocol, Relay, Sharing, Source, Tag};
use crate::state::{At, Floor, Lease, Read, Transaction, Version, World};
use crate::system::Story;

/// What a value in a reader's hands rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// An entry that the reader itself looked up.
    Own,
    /// An entry, in answer to a LEASE.
    Entry,
    /// A load.
    Load { filled: bool },
}

impl Protocol {
    pub(super) fn reader_actions(&self, world: &World, who: usize, actions: &mut Vec<Action>) {
        let (reader, number) = (&world.readers[who], who as u8);
        match reader.read.at {
            At::Joined => actions.push(Action::Overtake(number)),
            _ => actions.push(Action::Read(number)),
        }
        if matches!(reader.read.at, At::Fill | At::Answer) {
            actions.push(Action::AnswerLost(number));
        }
        if self.readers.refreshes && reader.read.at == At::Look {
            actions.push(Action::Refresh(number));
        }
        if self.faults.reads_dropped && matches!(reader.read.at, At::Lease | At::Load | At::Fill) {
            actions.push(Action::Drop(number));
        }
        if reader.late.is_some() {
            actions.push(Action::LateFill(number));
        }
    }

    pub(super) fn read(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        match world.readers[who].read.at {
            At::Idle => self.begin_read(world, who, story),
            At::Outbox => self.look_into_outbox(world, who, story),
            At::Look => self.look(world, who, story),
            At::LookTag => self.look_at_tag(world, who, story),
            At::Enter => self.enter(world, who, story),
            At::Lease => self.lease(world, who, story),
            At::Found => {
                let value = world.readers[who].read.value;
                self.finish(world, who, value, Proof::Entry, story);
            }
            At::Load => self.load(world, who, story),
            At::Seal => self.seal(world, who, story),
            At::Fill => self.fill(world, who, story),
            At::Compare => self.compare(world, who, story),
            At::Answer => {
                let filled = world.readers[who].read.filled;
                story.tell(|| format!("reader {}: its FILL is answered", who + 1));
                self.filled(world, who, filled, story);
            }
            At::Keep => self.keep(world, who, story),
            At::Joined => return None,
        }
        Some(())
    }

    fn begin_read(&self, world: &mut World, who: usize, story: &mut Story) {
        let floor = Floor { returned: world.returned, visible: world.visible, seen: world.seen };
        let reader = &mut world.readers[who];
        let at = if self.readers.asks_outbox { At::Outbox } else { At::Look };
        reader.read = Read { at, floor, ..Read::default() };
        reader.near.moved = false;
        story.tell(|| format!("reader {}: begins a read", who + 1));
        if self.cache.near.is_some()
            && reader.near.leased
            && let Some(value) = reader.near.value
        {
            story.tell(|| format!("L1 -> v{value}"));
            self.finish(world, who, value, Proof::Own, story);
        }
    }

    fn look_into_outbox(&self, world: &mut World, who: usize, story: &mut Story) {
        let is_visible = |writer: usize| world.writers[writer].transaction == Transaction::Visible;
        let waits = self.cache.relay == Some(Relay::Outbox)
            && (0..self.writers).any(|writer| world.relay.has(writer) && is_visible(writer));
        world.readers[who].read.at = if waits { At::Load } else { At::Look };
        story.tell(|| {
            let found = if waits { "a row: loads without the store" } else { "empty" };
            format!("reader {}: looks into the outbox -> {found}", who + 1)
        });
    }

    fn look(&self, world: &mut World, who: usize, story: &mut Story) {
        let reader = world.readers[who];
        if !self.may_use_store(&reader) {
            world.readers[who].read.at = At::Load;
            story.tell(|| format!("reader {}: holds no epoch, loads without the store", who + 1));
            return;
        }
        self.lists(world, who, true);
        let node = self.entry_node(reader.node);
        let epoch = if self.strict() { reader.epoch_lease.unwrap_or(0) } else { node as u8 };
        world.readers[who].read.epoch = epoch;
        let entry = world.nodes[node].entry.filter(|entry| self.is_of_epoch(entry, &reader));
        story.tell(|| match entry {
            Some(entry) => format!("reader {}: HGET on node {node} -> v{}", who + 1, entry.value),
            None => format!("reader {}: HGET on node {node} -> miss", who + 1),
        });
        match entry {
            Some(entry) if self.tag().is_some() => {
                let read = &mut world.readers[who].read;
                (read.at, read.value, read.tag) = (At::LookTag, entry.value, entry.tag);
            }
            Some(entry) => self.hold(world, who, entry.value, Proof::Own, story),
            None => self.miss(world, who),
        }
    }

    fn look_at_tag(&self, world: &mut World, who: usize, story: &mut Story) {
        let (read, node) = (world.readers[who].read, world.readers[who].node);
        let now = self.tag_now(&world.nodes[usize::from(node)], node);
        let same = now.is_some() && now == read.tag;
        story.tell(|| {
            let found = if same { "unmoved: a hit" } else { "moved: a miss" };
            format!("reader {}: reads the tag on node {node} -> {found}", who + 1)
        });
        if same {
            self.finish(world, who, read.value, Proof::Own, story);
        } else {
            let read = &mut world.readers[who].read;
            (read.value, read.tag) = (0, None);
            self.miss(world, who);
        }
    }

    fn miss(&self, world: &mut World, who: usize) {
        let sharing = self.sharing_of(&world.readers[who]);
        let read = &mut world.readers[who].read;
        if self.readers.source == Source::OlderSnapshot {
            (read.value, read.has_snapshot) = (world.visible, true);
        }
        read.at = match sharing {
            Sharing::Alone if self.asks_for_lease() => At::Lease,
            Sharing::Alone => At::Load,
            Sharing::Anyone | Sharing::Rule(_) => At::Enter,
        };
    }

    fn lease(&self, world: &mut World, who: usize, story: &mut Story) {
        let node = usize::from(world.readers[who].node);
        self.counts_ask(world, who);
        self.lists(world, who, true);
        let finished = self.finished(world);
        for writer in (0..self.writers).filter(|writer| finished.has(*writer)) {
            self.lift_fence(world, node, writer, story);
        }
        if !self.strict() {
            world.readers[who].read.epoch = self.entry_node(node as u8) as u8;
        }
        story.tell(|| format!("reader {}: LEASE on node {node}", who + 1));
        match self.tag() {
            Some(tag) => self.lease_under_tag(world, who, tag, story),
            None => self.lease_of_entry(world, who, story),
        }
        let read = &mut world.readers[who].read;
        if read.token.is_none() && read.tag.is_none() {
            // Nothing will be stamped.
            read.epoch = 0;
        }
    }

    fn lease_of_entry(&self, world: &mut World, who: usize, story: &mut Story) {
        let token = world.new_token();
        let reader = world.readers[who];
        let node = &mut world.nodes[usize::from(reader.node)];
        let standing = node.entry.filter(|entry| self.is_of_epoch(entry, &reader));
        let fenced = self.fences() && !node.fences.is_empty();
        world.readers[who].read.at = At::Load;
        if fenced {
            story.tell(|| "fenced: will load, not fill");
        } else if let Some(entry) = standing.filter(|_| self.may_use_answer(&reader)) {
            story.tell(|| format!("there is an entry by now, v{}", entry.value));
            self.hold(world, who, entry.value, Proof::Entry, story);
        } else if node.lease.is_some_and(|lease| !lease.lapsed) {
            story.tell(|| "another one loads: will load, not fill");
        } else {
            node.lease = Some(Lease { token, lapsed: false });
            world.readers[who].read.token = Some(token);
            story.tell(|| format!("granted, token {token}"));
        }
    }

    fn lease_under_tag(&self, world: &mut World, who: usize, tag: Tag, story: &mut Story) {
        let number = world.readers[who].node;
        if world.nodes[usize::from(number)].generation.is_none() {
            let generation = match tag.lost {
                Lost::MadeAnew => world.new_generation(),
                Lost::Restarted => 0,
            };
            world.nodes[usize::from(number)].generation = Some(generation);
        }
        let node = &world.nodes[usize::from(number)];
        let fenced = !node.fences.is_empty();
        let stamp = self.tag_now(node, number);
        let reader = world.readers[who];
        let standing = world.nodes[self.entry_node(number)].entry;
        let standing = standing.filter(|entry| self.is_of_epoch(entry, &reader) && entry.tag == stamp);
        world.readers[who].read.at = At::Load;
        if fenced && tag.known == Known::BeforeLoad {
            story.tell(|| "fenced: will load, not fill");
        } else if let Some(entry) = standing.filter(|_| tag.known == Known::BeforeLoad) {
            story.tell(|| format!("there is an entry by now, v{}", entry.value));
            self.hold(world, who, entry.value, Proof::Entry, story);
        } else {
            world.readers[who].read.tag = stamp;
            story
                .tell(|| format!("granted, tag of generation {}", stamp.map_or(0, |stamp| stamp.generation)));
        }
    }

    /// The reader has a value; unless it is shared or kept, the read is over.
    fn hold(&self, world: &mut World, who: usize, value: Version, proof: Proof, story: &mut Story) {
        let leads = world.flight == Some(who as u8) || self.has_waiters(world, who);
        let read = &mut world.readers[who].read;
        read.value = value;
        if self.cache.near.is_some() {
            read.at = At::Keep;
        } else if proof == Proof::Entry && leads {
            read.at = At::Found;
        } else {
            self.finish(world, who, value, proof, story);
        }
    }

    fn load(&self, world: &mut World, who: usize, story: &mut Story) {
        let source = match self.readers.source {
            Source::Replica => world.replica,
            Source::Primary | Source::OlderSnapshot => world.visible,
        };
        let alone = self.sharing_of(&world.readers[who]) == Sharing::Alone;
        let read = &mut world.readers[who].read;
        if !read.has_snapshot {
            read.value = source;
        }
        read.has_snapshot = false;
        story.tell(|| format!("reader {}: SELECT -> v{}", who + 1, read.value));
        // The value is what it is: only what it falls below still matters.
        let floor = &mut read.floor;
        for least in [&mut floor.returned, &mut floor.visible, &mut floor.seen] {
            if read.value >= *least {
                *least = 0;
            }
        }
        let fills = match self.cache.filling {
            Filling::Anyway | Filling::IfNewer => true,
            Filling::Tagged(_) => read.tag.is_some(),
            _ => read.token.is_some(),
        };
        if !alone {
            read.at = At::Seal;
        } else if fills {
            read.at = At::Fill;
        } else {
            let value = read.value;
            self.finish(world, who, value, Proof::Load { filled: false }, story);
        }
    }

    pub(super) fn refresh(&self, world: &mut World, who: usize, story: &mut Story) -> Option<()> {
        let token = world.new_token();
        let node = &mut world.nodes[usize::from(world.readers[who].node)];
        node.entry?;
        if self.asks_for_lease() {
            if node.lease.is_some() || !node.fences.is_empty() {
                return None;
            }
            node.lease = Some(Lease { token, lapsed: false });
            world.readers[who].read.token = Some(token);
        }
        world.readers[who].read.at = At::Load;
        story.tell(|| format!("reader {}: refreshes early, although an entry stands", who + 1));
        Some(())
    }

    /// Notes what a read that returns this breaks.
    pub(super) fn judge(&self, world: &mut World, who: usize, value: Version, story: &mut Story) {
        let floor = world.readers[who].read.floor;
        world.broken[0] |= value < floor.returned;
        world.broken[1] |= value < floor.visible;
        world.broken[2] |= value < floor.seen;
        world.seen = world.seen.max(value);
        story.tell(|| format!("reader {} returns v{value}", who + 1));
    }
}
