//! The servers of a store, and which of them has a subject. Refuses topologies that are not supported.

use std::sync::Arc;

use super::address::{Target, Topology};
use super::cluster::Cluster;
use super::dial::Dialer;
use super::identity::Mode;
use super::link::Link;
use super::node::{FirstAttempt, Node, Place};
use super::send::{Done, Job, Reach, on_one};
use super::sentinel::{Heard, Sentinels};
use super::source::Source;
use crate::error::StoreError;
use crate::rng::Rng;
use crate::store::Shard;
use crate::subject::Subject;
use crate::time::Clock;

/// Connections to all servers of a topology.
#[derive(Debug)]
pub(super) enum Nodes {
    /// Every subject is on the same server.
    One(Node),
    /// Each subject is on the master of its slot.
    Cluster(Cluster),
}

impl Nodes {
    /// Begins to connect. The receiver hears how the first attempt went.
    pub(super) fn start(
        target: &Target,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<(Self, FirstAttempt), String> {
        let dialer = Dialer::new(target.access.tls.as_ref())?;
        let source = match &target.topology {
            Topology::Server(server) => Source::Fixed(server.clone()),
            Topology::Sentinel { sentinels, master, login } => Source::Sentinels(Arc::new(Sentinels {
                name: target.to_string(),
                listed: sentinels.clone(),
                master: master.clone(),
                login: login.clone(),
                dialer: dialer.clone(),
                clock: clock.clone(),
                heard: Heard::default(),
            })),
            Topology::Cluster { seeds } => {
                let (name, seeds, access) = (target.to_string(), seeds.clone(), target.access.clone());
                let (cluster, first) = Cluster::start(name, seeds, access, dialer, clock, rng);
                return Ok((Self::Cluster(cluster), first));
            }
        };
        let access = target.access.clone();
        let place = Place { name: target.to_string(), source, dialer, access, mode: Mode::Standalone };
        let (node, first) = Node::start(place, clock, rng);
        Ok((Self::One(node), first))
    }

    /// The connection of this moment to the server that has a subject.
    pub(super) fn link(&self, subject: &Subject) -> Result<Arc<Link>, StoreError> {
        match self {
            Self::One(node) => node.link(),
            Self::Cluster(cluster) => cluster.link(subject),
        }
    }

    /// Carries steps out, each on the server that has its subject: one pipeline a server, in order, and all at once.
    pub(super) async fn run(&self, jobs: &[Job<'_>], reach: Reach) -> Result<Vec<Done>, StoreError> {
        match self {
            Self::One(node) => on_one(node.link()?, jobs).await,
            Self::Cluster(cluster) => cluster.run(jobs, reach).await,
        }
    }

    /// Which of the servers has a subject, as far as is known.
    pub(super) fn shard(&self, subject: &Subject) -> Shard {
        match self {
            Self::One(_) => Shard::default(),
            Self::Cluster(cluster) => cluster.shard(subject),
        }
    }
}
