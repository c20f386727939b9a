//! Where slots lie and how they move. Keys go in two halves where a test wants a migration that is stuck.

use super::{Cluster, MASTERS, SLOTS};
use crate::{Error, resp::Reply};

/// As many keys as one slot of a test ever holds.
const MANY: &str = "100000";

impl Cluster {
    /// The slot of a key, as the servers compute it.
    ///
    /// # Errors
    /// When no node answers.
    pub fn slot_of(&self, key: &str) -> Result<u16, Error> {
        let slot = self.somebody(|node| self.tell(node, &["CLUSTER", "KEYSLOT", key]))?;
        slot.parse().map_err(|_| Error::failed(format!("{slot} is no slot")))
    }

    /// The node that serves a slot, by its place in [`Cluster::nodes`], as the first node that answers sees it.
    ///
    /// # Errors
    /// When no node answers, or nobody serves it.
    pub fn node_of(&self, slot: u16) -> Result<usize, Error> {
        let owners = self.somebody(|node| self.owners(node))?;
        let port = owners[usize::from(slot)];
        let node = self.all().find(|&node| self.nodes[node].address().port() == port);
        node.ok_or_else(|| Error::failed(format!("nobody serves slot {slot}")))
    }

    fn somebody<T>(&self, question: impl Fn(usize) -> Result<T, Error>) -> Result<T, Error> {
        let mut last = Error::failed("there is no node");
        for node in self.all().filter(|&node| self.nodes[node].pid().is_some()) {
            match question(node) {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The port that serves each slot, 0 for none, as one node sees it.
    pub(super) fn owners(&self, node: usize) -> Result<Vec<u16>, Error> {
        let read = |reply: &Reply| -> std::io::Result<Vec<u16>> {
            let mut owners = vec![0; SLOTS];
            for range in reply.list()? {
                let [first, last, master, ..] = range.list()? else { continue };
                let port = u16::try_from(master.list()?.get(1).map_or(Ok(0), Reply::number)?).unwrap_or(0);
                let place = |number: i64| usize::try_from(number).unwrap_or(SLOTS).min(SLOTS - 1);
                owners[place(first.number()?)..=place(last.number()?)].fill(port);
            }
            Ok(owners)
        };
        read(&self.ask(node, &["CLUSTER", "SLOTS"])?).map_err(Error::io("cannot read CLUSTER SLOTS"))
    }

    /// Moves a slot with all its keys and waits until everybody knows.
    ///
    /// # Errors
    /// When a node refuses or does not answer.
    pub fn migrate(&self, slot: u16, to: usize) -> Result<(), Error> {
        self.open_migration(slot, to)?;
        self.finish_migration(slot, to)
    }

    /// Begins to move a slot and stays half-way: the first half of its keys is moved, one at least.
    ///
    /// # Errors
    /// When a node refuses or does not answer.
    pub fn begin_migration(&self, slot: u16, to: usize) -> Result<(), Error> {
        self.open_migration(slot, to)?;
        let keys = self.keys(self.node_of(slot)?, slot)?;
        self.move_keys(slot, to, &keys[..keys.len().div_ceil(2)])
    }

    /// Begins to move a slot without moving a key.
    ///
    /// # Errors
    /// When a node refuses or does not answer.
    pub fn open_migration(&self, slot: u16, to: usize) -> Result<(), Error> {
        let from = self.node_of(slot)?;
        let number = slot.to_string();
        self.tell(to, &["CLUSTER", "SETSLOT", &number, "IMPORTING", &self.id(from)?])?;
        self.tell(from, &["CLUSTER", "SETSLOT", &number, "MIGRATING", &self.id(to)?])?;
        Ok(())
    }

    /// Moves these keys of a slot whose migration has begun.
    ///
    /// # Errors
    /// When a node refuses or does not answer.
    pub fn move_keys(&self, slot: u16, to: usize, keys: &[String]) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let (host, port) = self.host_and_port(to);
        let migrate = ["MIGRATE", &host, &port, "", "0", "5000", "KEYS"];
        let words: Vec<_> = migrate.into_iter().chain(keys.iter().map(String::as_str)).collect();
        self.tell(self.node_of(slot)?, &words).map(drop)
    }

    /// Moves what is left of a slot and makes its new node the owner.
    ///
    /// # Errors
    /// When a node refuses or does not answer.
    pub fn finish_migration(&self, slot: u16, to: usize) -> Result<(), Error> {
        let from = self.node_of(slot)?;
        let (number, id) = (slot.to_string(), self.id(to)?);
        loop {
            let keys = self.keys(from, slot)?;
            if keys.is_empty() {
                break;
            }
            self.move_keys(slot, to, &keys)?;
        }
        // The new owner first: it bumps its epoch, and until the old one has heard of it that one sends everybody on.
        self.tell(to, &["CLUSTER", "SETSLOT", &number, "NODE", &id])?;
        self.tell(from, &["CLUSTER", "SETSLOT", &number, "NODE", &id])?;
        self.settled()
    }

    /// Gives every migration up that a running node believes in, wherever the keys are: what a test that failed has left behind. A node
    /// that goes on importing a slot whose master was replaced would disagree with the others for ever.
    ///
    /// # Errors
    /// When a node refuses or does not answer.
    pub fn give_up_migrations(&self) -> Result<(), Error> {
        for node in self.all().filter(|&node| self.nodes[node].pid().is_some()) {
            let view = self.tell(node, &["CLUSTER", "NODES"])?;
            let own = view.lines().find(|line| line.contains("myself")).unwrap_or_default();
            for open in own.split(' ').filter_map(|word| word.strip_prefix('[')) {
                let slot = open.split('-').next().unwrap_or_default();
                self.tell(node, &["CLUSTER", "SETSLOT", slot, "STABLE"])?;
            }
        }
        Ok(())
    }

    /// Gives a migration up: the slot stays where it was, and what was moved goes back.
    ///
    /// # Errors
    /// When a node refuses or does not answer.
    pub fn revert_migration(&self, slot: u16, to: usize) -> Result<(), Error> {
        let from = self.node_of(slot)?;
        let number = slot.to_string();
        let (host, port) = self.host_and_port(from);
        let keys = self.keys(to, slot)?;
        self.tell(from, &["CLUSTER", "SETSLOT", &number, "STABLE"])?;
        if !keys.is_empty() {
            let migrate = ["MIGRATE", &host, &port, "", "0", "5000", "REPLACE", "KEYS"];
            let words: Vec<_> = migrate.into_iter().chain(keys.iter().map(String::as_str)).collect();
            self.tell(to, &words)?;
        }
        self.tell(to, &["CLUSTER", "SETSLOT", &number, "STABLE"]).map(drop)
    }

    /// The keys of a slot that lie on a node.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn keys(&self, node: usize, slot: u16) -> Result<Vec<String>, Error> {
        let reply = self.ask(node, &["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), MANY])?;
        let read = || -> std::io::Result<Vec<String>> {
            reply.list()?.iter().map(|key| key.text().map(str::to_owned)).collect()
        };
        read().map_err(Error::io("cannot read CLUSTER GETKEYSINSLOT"))
    }

    /// A master that does not serve this slot.
    ///
    /// # Errors
    /// When no node answers.
    pub fn other_master(&self, slot: u16) -> Result<usize, Error> {
        let owner = self.node_of(slot)?;
        let other = self.all().find(|&node| node != owner && self.is_master(node).unwrap_or(false));
        other.ok_or_else(|| Error::failed(format!("there are not {MASTERS} masters")))
    }
}
