//! The masters of a Redis Cluster: one connection each, and a map of who serves which slots that is kept up to date. Refuses
//! replicas, and refuses to follow a redirection blindly: the map is read again, and the newest claim on a slot wins.
//!
//! `docs/decisions/0008-cluster-epochs.md` says what an epoch is here and why reads do not follow ASK.

mod look;
mod map;
mod routes;
mod seed;
mod send;
pub(super) mod slot;
mod view;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::routes::{Member, Routes};
use self::slot::slot_of;
use super::address::{Access, Endpoint};
use super::dial::Dialer;
use super::error::unavailable;
use super::identity::Mode;
use super::link::Link;
use super::node::{FirstAttempt, Node, Place};
use super::source::Source;
use crate::error::StoreError;
use crate::rng::Rng;
use crate::store::Shard;
use crate::subject::{Epoch, Subject};
use crate::time::Clock;

/// How long a command waits for the map to be read again.
const LOOK_BOUND: Duration = Duration::from_secs(1);
/// So many are remembered of those who have sent commands elsewhere; in one look they tell the same.
const HINTS: usize = 4;
/// A node that imports slots but serves none yet is let go when nobody was sent there for so long.
const GUEST_STAYS: Duration = Duration::from_secs(30);

/// The cluster of some seeds. Closes its connections when dropped.
pub(super) struct Cluster {
    shared: Arc<Shared>,
    looker: JoinHandle<()>,
}

struct Shared {
    name: String,
    seeds: Vec<Endpoint>,
    access: Access,
    dialer: Dialer,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    routes: RwLock<Result<Arc<Routes>, String>>,
    guests: Mutex<Vec<Guest>>,
    /// Somebody wants the map to be read again.
    wanted: Notify,
    /// Whose answer made somebody want it: they know more than others.
    hints: Mutex<Vec<Arc<Member>>>,
    begun: AtomicU64,
    done: watch::Sender<u64>,
}

/// A node outside the map that commands were sent to by ASK.
struct Guest {
    endpoint: Endpoint,
    node: Arc<Node>,
    used: Duration,
}

impl Cluster {
    /// Begins to look for the masters on the current runtime. The receiver hears how the first look went.
    pub(super) fn start(
        name: String,
        seeds: Vec<Endpoint>,
        access: Access,
        dialer: Dialer,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> (Self, FirstAttempt) {
        let shared = Arc::new(Shared {
            name,
            seeds,
            access,
            dialer,
            clock,
            rng,
            routes: RwLock::new(Err("its nodes are being looked for".into())),
            guests: Mutex::default(),
            wanted: Notify::new(),
            hints: Mutex::default(),
            begun: AtomicU64::default(),
            done: watch::Sender::new(0),
        });
        let (tell, first) = oneshot::channel();
        let looker = tokio::spawn(look::forever(shared.clone(), tell));
        (Self { shared, looker }, first)
    }

    /// The connection of this moment to the master of a subject.
    pub(super) fn link(&self, subject: &Subject) -> Result<Arc<Link>, StoreError> {
        let link = self.shared.owner(slot_of(subject))?.node.link();
        if link.is_err() {
            self.shared.wanted.notify_one();
        }
        link
    }

    /// The epoch of the connection to the master of a subject, if there is one.
    pub(super) fn epoch(&self, subject: &Subject) -> Option<Epoch> {
        let owner = self.shared.routes().ok()?.owner(slot_of(subject)).cloned()?;
        owner.node.link().ok().map(|link| link.epoch)
    }

    pub(super) fn shard(&self, subject: &Subject) -> Shard {
        match self.shared.routes() {
            Ok(routes) => routes.shard(slot_of(subject)),
            Err(_) => Shard::default(),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.looker.abort();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("seeds", &self.shared.seeds).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn routes(&self) -> Result<Arc<Routes>, StoreError> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        routes.clone().map_err(|why| unavailable(format!("{}: {why}", self.name)))
    }

    fn set_routes(&self, routes: Result<Arc<Routes>, String>) {
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    fn owner(&self, slot: u16) -> Result<Arc<Member>, StoreError> {
        let routes = self.routes()?;
        let unserved = || unavailable(format!("{}: no master serves slot {slot}", self.name));
        routes.owner(slot).cloned().ok_or_else(unserved)
    }

    fn connect(&self, endpoint: &Endpoint) -> (Arc<Node>, FirstAttempt) {
        let place = Place {
            name: format!("Redis Cluster node at {endpoint}"),
            source: Source::Fixed(endpoint.clone()),
            dialer: self.dialer.clone(),
            access: self.access.clone(),
            mode: Mode::Cluster,
        };
        let (node, first) = Node::start(place, self.clock.clone(), self.rng.clone());
        (Arc::new(node), first)
    }

    /// The node at an address that ASK named, in the map or not.
    fn node_at(&self, endpoint: &Endpoint) -> Arc<Node> {
        let is_there = |member: &&Arc<Member>| member.master.endpoint == *endpoint;
        if let Ok(routes) = self.routes()
            && let Some(member) = routes.members.iter().find(is_there)
        {
            return member.node.clone();
        }
        let used = self.clock.monotonic();
        let mut guests = lock(&self.guests);
        if let Some(guest) = guests.iter_mut().find(|guest| guest.endpoint == *endpoint) {
            guest.used = used;
            return guest.node.clone();
        }
        let (node, _) = self.connect(endpoint);
        guests.push(Guest { endpoint: endpoint.clone(), node: node.clone(), used });
        node
    }

    /// A guest that has become a master keeps its connection.
    fn guest_at(&self, endpoint: &Endpoint) -> Option<Arc<Node>> {
        let mut guests = lock(&self.guests);
        let at = guests.iter().position(|guest| guest.endpoint == *endpoint)?;
        Some(guests.swap_remove(at).node)
    }

    fn see_guests_off(&self) {
        let now = self.clock.monotonic();
        lock(&self.guests).retain(|guest| now.saturating_sub(guest.used) < GUEST_STAYS);
    }

    fn remember(&self, hint: Vec<Arc<Member>>) {
        let mut hints = lock(&self.hints);
        if hints.len() < HINTS {
            hints.extend(hint);
        }
    }

    /// Waits until the map was read by a look that began after this call, which a member's answer has made necessary.
    async fn look_again(&self, hint: Vec<Arc<Member>>) {
        let mut done = self.done.subscribe();
        let begun = self.begun.load(Ordering::Acquire);
        self.remember(hint);
        self.wanted.notify_one();
        // An old map sends the command to where it was before, which is no worse than an error.
        let _ = timeout(LOOK_BOUND, done.wait_for(|done| *done > begun)).await;
    }
}
