//! What makes no difference: which writer or reader is which, and how a token or a generation is called. Refuses to merge
//! what differs in anything else.

use super::{At, Entry, FORGOTTEN, TagStamp, World};
use crate::system::Symmetric;

impl World {
    /// Forgets the tokens and generations that no node knows any more: none of them will ever be accepted, and an entry that
    /// carries one is as good as none.
    pub fn forget(&mut self) {
        let nodes = self.nodes;
        let is_token =
            |token: u8| nodes.iter().any(|node| node.lease.is_some_and(|lease| lease.token == token));
        // The first generation may come back, where it is a counter.
        let is_generation = |it: u8| it == 0 || nodes.iter().any(|node| node.generation == Some(it));
        let tag = |stamp: TagStamp| if is_generation(stamp.generation) { stamp } else { TagStamp::FORGOTTEN };
        let may_live = |entry: &Entry| entry.tag.is_none_or(|stamp| is_generation(stamp.generation));
        for node in &mut self.nodes {
            node.entry = node.entry.filter(may_live);
        }
        for reader in &mut self.readers {
            reader.read.tag = reader.read.tag.map(tag);
            reader.read.token =
                reader.read.token.map(|token| if is_token(token) { token } else { FORGOTTEN });
            reader.late = reader.late.filter(|late| late.token.is_none_or(is_token) && may_live(&late.entry));
        }
    }

    /// Tokens by the nodes that hold them.
    fn rename_tokens(&mut self) {
        let known = self.nodes.map(|node| node.lease.map(|lease| lease.token));
        let renamed =
            |token: u8| known.iter().position(|it| *it == Some(token)).map_or(FORGOTTEN, |at| at as u8);
        for lease in self.nodes.iter_mut().filter_map(|node| node.lease.as_mut()) {
            lease.token = renamed(lease.token);
        }
        for reader in &mut self.readers {
            reader.read.token = reader.read.token.map(renamed);
            if let Some(late) = &mut reader.late {
                late.token = late.token.map(renamed);
            }
        }
    }

    /// Generations by the nodes that hold them; the first one may be a counter's, and keeps its name.
    fn rename_generations(&mut self) {
        let known = self.nodes.map(|node| node.generation);
        if known == [None; 2]
            && self.nodes.iter().all(|node| node.entry.is_none_or(|entry| entry.tag.is_none()))
        {
            return;
        }
        let renamed = |it: u8| match it {
            0 => 0,
            _ => known.iter().position(|at| *at == Some(it)).map_or(FORGOTTEN, |at| at as u8 + 1),
        };
        let tag = |stamp: TagStamp| TagStamp { generation: renamed(stamp.generation), ..stamp };
        for node in &mut self.nodes {
            node.generation = node.generation.map(renamed);
            node.entry = node.entry.map(|entry| Entry { tag: entry.tag.map(tag), ..entry });
        }
        for reader in &mut self.readers {
            reader.read.tag = reader.read.tag.map(tag);
            if let Some(late) = &mut reader.late {
                late.entry.tag = late.entry.tag.map(tag);
            }
        }
    }

    fn swap_writers(&mut self) {
        self.writers.swap(0, 1);
        self.relay = self.relay.swapped();
        for node in &mut self.nodes {
            node.fences = node.fences.swapped();
            node.solo = node.solo.map(|writer| 1 - writer);
        }
        for reader in &mut self.readers {
            let near = &mut reader.near;
            (near.pushes, near.awaited) = (near.pushes.swapped(), near.awaited.swapped());
            near.asked = near.asked.map(super::Set::swapped);
        }
    }

    fn swap_readers(&mut self, a: usize, b: usize) {
        let renamed = |number: u8| match usize::from(number) {
            n if n == a => b as u8,
            n if n == b => a as u8,
            _ => number,
        };
        self.readers.swap(a, b);
        self.flight = self.flight.map(renamed);
        for read in self.readers.iter_mut().map(|reader| &mut reader.read) {
            if read.at == At::Joined {
                read.leader = renamed(read.leader);
            }
        }
    }
}

impl Symmetric for World {
    fn canonical(&self) -> Self {
        let mut world = *self;
        world.rename_tokens();
        world.rename_generations();
        if world.writers[1] < world.writers[0] {
            world.swap_writers();
        }
        // Three at most: a bubble at a time.
        for (a, b) in [(0, 1), (1, 2), (0, 1)] {
            if world.readers[b] < world.readers[a] {
                world.swap_readers(a, b);
            }
        }
        world
    }
}
