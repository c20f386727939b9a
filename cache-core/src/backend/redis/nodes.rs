//! The servers of a store, and which of them has a subject. Refuses topologies that are not supported.

use std::sync::{Arc, Weak};

use super::address::{Target, Topology};
use super::bus::{Bus, Channel};
use super::cluster::Cluster;
use super::dial::Dialer;
use super::error::rejected;
use super::identity::Mode;
use super::link::Link;
use super::node::{FirstAttempt, Node, Place};
use super::parts::{Division, Parts, Sight, Stamp};
use super::send::{Done, Job, Reach, on_one};
use super::sentinel::{Heard, Sentinels};
use super::source::Source;
use crate::bus::Listener;
use crate::error::StoreError;
use crate::rng::Rng;
use crate::store::Shard;
use crate::subject::Subject;
use crate::time::Clock;

/// Connections to all servers of a topology, and what is known about the namespaces there.
#[derive(Debug)]
pub(super) struct Nodes {
    servers: Servers,
    dialer: Dialer,
    pub(super) parts: Parts,
    /// Who else is told of writes; not on a cluster.
    bus: Option<Bus>,
}

#[derive(Debug)]
enum Servers {
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
                let parts = Parts::new(Division::BySlot, clock.clone(), rng.clone());
                let (cluster, first) = Cluster::start(name, seeds, access, dialer.clone(), clock, rng);
                return Ok((Self { servers: Servers::Cluster(cluster), dialer, parts, bus: None }, first));
            }
        };
        let access = target.access.clone();
        let place = Place {
            name: target.to_string(),
            source,
            dialer: dialer.clone(),
            access,
            mode: Mode::Standalone,
        };
        let parts = Parts::new(Division::Whole, clock.clone(), rng.clone());
        let bus = Some(Bus::new(target.access.database, clock.clone(), rng.clone()));
        let (node, first) = Node::start(place, clock, rng);
        Ok((Self { servers: Servers::One(node), dialer, parts, bus }, first))
    }

    /// Where writes to a subject are told of.
    pub(super) fn channel(&self, subject: &Subject) -> Option<Arc<Channel>> {
        self.bus.as_ref().map(|bus| bus.channel(subject, &self.parts))
    }

    /// Where the writes of a namespace are told of.
    pub(super) fn channel_of(&self, namespace: &str) -> Option<Arc<Channel>> {
        self.bus.as_ref().map(|bus| bus.channel_of(namespace, &self.parts))
    }

    /// Tells the listeners of this process of writes to these subjects.
    pub(super) fn tells<'a>(&self, subjects: impl IntoIterator<Item = &'a Subject>) {
        for subject in subjects {
            if let Some(channel) = self.channel(subject) {
                channel.marked(&[subject.stripe()]);
            }
        }
    }

    /// Tells a listener of writes from now on; false where nobody hears of them.
    pub(super) fn join(&self, namespace: &str, listener: Weak<dyn Listener>) -> bool {
        match (&self.servers, &self.bus) {
            (Servers::One(node), Some(bus)) => {
                bus.join(&bus.channel_of(namespace, &self.parts), listener, node.beside());
                true
            }
            _ => false,
        }
    }

    /// How many connections to servers were taken into use.
    pub(super) fn connections(&self) -> u64 {
        self.dialer.used()
    }

    /// Whether one script may be about several subjects: on one server, where no slot moves away under it.
    pub(super) fn takes_many_keys(&self) -> bool {
        matches!(self.servers, Servers::One(_))
    }

    /// The connection of this moment to the server that has a subject.
    pub(super) fn link(&self, subject: &Subject) -> Result<Arc<Link>, StoreError> {
        match &self.servers {
            Servers::One(node) => node.link(),
            Servers::Cluster(cluster) => cluster.link(subject),
        }
    }

    /// Carries steps out, each on the server that has its subject: one pipeline a server, in order, and all at once.
    pub(super) async fn run(&self, jobs: &[Job<'_>], reach: Reach) -> Result<Vec<Done>, StoreError> {
        match &self.servers {
            Servers::One(node) => on_one(node.link()?, jobs).await,
            Servers::Cluster(cluster) => cluster.run(jobs, reach).await,
        }
    }

    /// Which of the servers has a subject, as far as is known.
    pub(super) fn shard(&self, subject: &Subject) -> Shard {
        match &self.servers {
            Servers::One(_) => Shard::default(),
            Servers::Cluster(cluster) => cluster.shard(subject),
        }
    }
    /// What is known about the part of the namespace that a subject lies in.
    pub(super) fn sight(&self, subject: &Subject) -> Sight {
        let epoch = |subject: &Subject| match &self.servers {
            Servers::One(node) => node.link().ok().map(|link| link.epoch),
            Servers::Cluster(cluster) => cluster.epoch(subject),
        };
        self.parts.sight(subject, epoch, |one, other| self.shard(one) == self.shard(other))
    }

    /// What counts about the part of a subject; asks if nothing does.
    pub(super) async fn stamp(&self, subject: &Subject) -> Result<Stamp, StoreError> {
        let sight = self.sight(subject);
        if let Some(stamp) = sight.stamp {
            return Ok(stamp);
        }
        self.made(&sight).await
    }
    /// What counts about a part whose generation may be lost.
    pub(super) async fn made(&self, sight: &Sight) -> Result<Stamp, StoreError> {
        let answer = self.run(&[sight.making()], Reach::All).await?.pop().ok_or_else(strange)?;
        sight.answered(answer)?.ok_or_else(strange)
    }
    /// The parts of these subjects, each once, and which of them each subject lies in.
    pub(super) fn sights<'a>(&self, subjects: impl Iterator<Item = &'a Subject>) -> (Vec<usize>, Vec<Sight>) {
        let mut sights = Vec::<Sight>::new();
        let place = |subject| {
            let sight = self.sight(subject);
            sights.iter().position(|known| known.is_same(&sight)).unwrap_or_else(|| {
                sights.push(sight);
                sights.len() - 1
            })
        };
        (subjects.map(place).collect(), sights)
    }

    /// What counts about the part of each subject; asks in one round trip about those of which nothing does.
    pub(super) async fn stamps<'a>(
        &self,
        subjects: impl Iterator<Item = &'a Subject>,
    ) -> Result<Vec<Stamp>, StoreError> {
        let (places, sights) = self.sights(subjects);
        let unknown = |sight: &&Sight| sight.stamp.is_none();
        let making: Vec<_> = sights.iter().filter(unknown).map(Sight::making).collect();
        let done = if making.is_empty() { Vec::new() } else { self.run(&making, Reach::All).await? };
        let mut answers = done.into_iter();
        let mut stamps = Vec::with_capacity(sights.len());
        for sight in &sights {
            let told = match sight.stamp {
                Some(stamp) => Some(stamp),
                None => answers.next().map(|answer| sight.answered(answer)).transpose()?.flatten(),
            };
            stamps.push(told.ok_or_else(strange)?);
        }
        Ok(places.into_iter().map(|place| stamps[place]).collect())
    }
}

fn strange() -> StoreError {
    rejected("a script gave an answer that this version does not understand")
}
