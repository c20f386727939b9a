//! The servers of a store, and which of them has a subject. Refuses topologies that are not supported.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::address::{Target, Topology};
use super::dial::Dialer;
use super::identity::Mode;
use super::link::Link;
use super::node::{FirstAttempt, Node, Place};
use super::sentinel::Sentinels;
use super::source::Source;
use crate::error::StoreError;
use crate::rng::Rng;
use crate::subject::Subject;
use crate::time::Clock;

/// Connections to all servers of a topology.
#[derive(Debug)]
pub(super) enum Nodes {
    /// Every subject is on the same server.
    One(Node),
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
                is_alone: AtomicBool::new(false),
            })),
            Topology::Cluster { .. } => return Err("Redis Cluster is not supported yet".into()),
        };
        let access = target.access.clone();
        let place = Place { name: target.to_string(), source, dialer, access, mode: Mode::Standalone };
        let (node, first) = Node::start(place, clock, rng);
        Ok((Self::One(node), first))
    }

    /// The connection of this moment to the server that has a subject; to any server when there is none.
    pub(super) fn link(&self, _subject: Option<&Subject>) -> Result<Arc<Link>, StoreError> {
        match self {
            Self::One(node) => node.link(),
        }
    }
}
