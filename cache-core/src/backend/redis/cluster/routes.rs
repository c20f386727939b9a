//! The masters in use and which slots go to whom. Refuses to route a slot to a master whose epoch may be older than its claim.

use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use xxhash_rust::xxh3::Xxh3;

use super::super::address::Endpoint;
use super::super::error::Refusal;
use super::super::identity::Mode;
use super::super::node::Node;
use super::super::open::probe;
use super::super::send::all;
use super::map::{Map, Master};
use crate::store::Shard;
use crate::time::Clock;

/// How long a master may take to say which epoch it is in before its connection is given up.
const PATIENCE: Duration = Duration::from_millis(250);

/// A master and the connection to it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) master: Master,
    pub(super) shard: Shard,
    pub(super) node: Arc<Node>,
}

impl Member {
    pub(super) fn new(master: Master, node: Arc<Node>) -> Self {
        let mut hash = Xxh3::new();
        hash.write(master.id.as_bytes());
        // The upper half is for slots that nobody serves.
        Self { shard: Shard(hash.finish() >> 1), master, node }
    }
}

/// For each slot its master.
#[derive(Debug)]
pub(super) struct Routes {
    pub(super) members: Vec<Arc<Member>>,
    owners: Vec<Option<u16>>,
}

impl Routes {
    /// The masters of a map, each with a connection that is there already or that `connect` begins.
    pub(super) fn new(
        map: Map,
        before: Option<&Self>,
        mut connect: impl FnMut(&Endpoint) -> Arc<Node>,
    ) -> Self {
        let known = before.map_or(&[][..], |before| &before.members);
        let member = |master: Master| match known.iter().find(|member| member.master == master) {
            Some(member) => member.clone(),
            None => {
                let node = connect(&master.endpoint);
                Arc::new(Member::new(master, node))
            }
        };
        Self { members: map.masters.into_iter().map(member).collect(), owners: map.owners }
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&Arc<Member>> {
        let place = self.owners.get(usize::from(slot)).copied().flatten()?;
        self.members.get(usize::from(place))
    }

    pub(super) fn shard(&self, slot: u16) -> Shard {
        self.owner(slot).map_or(Shard(u64::MAX - u64::from(slot)), |member| member.shard)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.owners == other.owners
            && self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// Asks every connection in use that got slots for its epoch. A master that imports a slot begins a new epoch at that
    /// moment, but its connection learns of it by the next probe only; until then, an entry that left this master with the slot,
    /// missed marks elsewhere and came back would count as valid.
    pub(super) async fn verify_gains(&self, before: &Self, clock: &dyn Clock) {
        let gains = |member: &Arc<Member>| {
            let is_new = |slot: &u16| {
                let owner = |routes: &Self| routes.owner(*slot).map(|owner| owner.master.id.clone());
                owner(self).as_deref() == Some(&*member.master.id) && owner(before) != owner(self)
            };
            (0..super::slot::SLOTS).any(|slot| is_new(&slot))
        };
        let verify = |member: Arc<Member>| async move {
            let Ok(link) = member.node.link() else { return };
            let silence = Err(Refusal::Away("it does not tell its epoch".into()));
            let outcome = timeout(PATIENCE, probe(&link, Mode::Cluster, clock)).await.unwrap_or(silence);
            if let Err(refusal) = outcome {
                member.node.give_up(&link, refusal).await;
            }
        };
        all(self.members.iter().filter(|member| gains(member)).cloned().map(verify).collect()).await;
    }
}
