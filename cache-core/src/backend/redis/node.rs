//! One place among the servers of a store: keeps a connection to who has it, asks every now and then whose it is, and opens
//! the next. Refuses to hide an outage: it warns once and says when it is over.

use std::fmt;
use std::mem::{Discriminant, discriminant, take};
use std::pin::pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::address::{Access, Endpoint};
use super::dial::Dialer;
use super::error::{Refusal, unavailable};
use super::finding::Finding;
use super::identity::Mode;
use super::lease::Lease;
use super::link::Link;
use super::open::{Opened, open, probe};
use super::source::{Named, Source};
use crate::error::StoreError;
use crate::rng::Rng;
use crate::time::Clock;

/// How often a connection in use is asked whose it is: a server demoted by hand serves stale entries no longer than this.
const PROBE_EVERY: Duration = Duration::from_millis(200);
/// A server that is silent for so long is given up: more than a slow command takes, less than anybody waits.
const PROBE_DEADLINE: Duration = Duration::from_secs(1);
/// As long as a new connection may take; name resolution and a distant server included.
pub(super) const OPEN_DEADLINE: Duration = Duration::from_secs(2);
/// Pauses between attempts: doubled from the first to the last, each shortened by up to half at random.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Where a node's server is found, and how it is spoken to.
#[derive(Debug)]
pub(super) struct Place {
    /// How the log and errors call it; without secrets.
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) dialer: Dialer,
    pub(super) access: Access,
    pub(super) mode: Mode,
}

/// A connection that is replaced by itself; closed when the node is dropped.
pub(super) struct Node {
    shared: Arc<Shared>,
    supervisor: JoinHandle<()>,
}

impl Node {
    /// Begins to connect on the current runtime. The receiver hears how the first attempt went.
    pub(super) fn start(place: Place, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> (Self, FirstAttempt) {
        let current = RwLock::new(Current::Opening);
        let shared = Arc::new(Shared { place, clock, rng, current, tried: Notify::new() });
        let (tell, first) = oneshot::channel();
        let supervisor = tokio::spawn(supervise(shared.clone(), tell));
        (Self { shared, supervisor }, first)
    }

    /// The connection of this moment.
    pub(super) fn link(&self) -> Result<Arc<Link>, StoreError> {
        match &*self.shared.read() {
            Current::Up(link, _) => Ok(link.clone()),
            Current::Opening => {
                Err(unavailable(format!("{}: it is being connected", self.shared.place.name)))
            }
            Current::Down(why) => Err(unavailable(format!("{}: {why}", self.shared.place.name))),
        }
    }
}

impl Node {
    /// The connection, after the first attempt if that is still under way: a node that has just been heard of is no outage.
    pub(super) async fn ready(&self) -> Result<Arc<Link>, StoreError> {
        loop {
            let tried = self.shared.tried.notified();
            if !self.shared.is_opening() {
                return self.link();
            }
            tried.await;
        }
    }

    /// Gives a connection up and waits until nobody gets it any more.
    pub(super) async fn give_up(&self, link: &Arc<Link>, refusal: Refusal) {
        link.give_up(refusal);
        loop {
            let tried = self.shared.tried.notified();
            if !matches!(&*self.shared.read(), Current::Up(current, _) if Arc::ptr_eq(current, link)) {
                return;
            }
            tried.await;
        }
    }

    /// What others need who make connections of their own to the server that this one talks to.
    pub(super) fn beside(&self) -> Beside {
        Beside(self.shared.clone())
    }

    /// Whether it was tried and is not there.
    pub(super) fn is_down(&self) -> bool {
        matches!(&*self.shared.read(), Current::Down(_))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("place", &self.shared.place).finish_non_exhaustive()
    }
}

/// A node as seen by who makes another connection to its server.
pub(super) struct Beside(Arc<Shared>);

impl Beside {
    pub(super) fn place(&self) -> &Place {
        &self.0.place
    }

    /// The next connection that is there, and the server at its other end.
    pub(super) async fn up(&self) -> (Arc<Link>, Endpoint) {
        loop {
            let tried = self.0.tried.notified();
            if let Current::Up(link, server) = &*self.0.read() {
                return (link.clone(), server.clone());
            }
            tried.await;
        }
    }

    /// Waits until this connection is no longer the one in use.
    pub(super) async fn down(&self, link: &Arc<Link>) {
        loop {
            let tried = self.0.tried.notified();
            if !matches!(&*self.0.read(), Current::Up(current, _) if Arc::ptr_eq(current, link)) {
                return;
            }
            tried.await;
        }
    }
}

/// Hears how the first attempt to connect went.
pub(super) type FirstAttempt = oneshot::Receiver<Result<(), Refusal>>;

/// What the node and its supervisor share.
struct Shared {
    place: Place,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    current: RwLock<Current>,
    /// An attempt to connect has ended.
    tried: Notify,
}

enum Current {
    /// Nobody knows yet.
    Opening,
    /// With the server at its other end.
    Up(Arc<Link>, Endpoint),
    Down(String),
}

/// A server that took us.
struct Found {
    opened: Opened,
    named: Named,
    /// When it was asked whose name that is.
    asked: Duration,
}

impl Shared {
    /// Connects to the first of the servers named that takes us.
    async fn open(&self) -> Result<Found, Refusal> {
        let source = &self.place.source;
        let asked = self.clock.monotonic();
        let mut refused = Refusal::Away("nobody names a server".into());
        for named in source.servers().await? {
            let no_lease = Lease::default();
            let opening = open(&named.server, &self.place, self.clock.clone());
            // A server that fell silent may be replaced by another while it is waited for.
            let opened = tokio::select! {
                opened = opening => opened,
                refusal = source.moved(&named, asked, &no_lease) => Err(refusal),
            };
            match (opened, source) {
                (Ok(opened), _) => {
                    source.begin(&opened.link.lease, asked);
                    return Ok(Found { opened, named, asked });
                }
                (Err(refusal), Source::Fixed(_)) => refused = refusal,
                (Err(refusal), Source::Sentinels(_)) => {
                    refused = refusal.of(&format!("{}, whom the sentinels name", named.server));
                }
            }
        }
        Err(refused)
    }

    fn read(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_opening(&self) -> bool {
        matches!(&*self.read(), Current::Opening)
    }

    fn set(&self, current: Current) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        self.tried.notify_waiters();
    }
}

/// Takes the connection away when the supervisor ends, however it ends.
struct Presence<'a>(&'a Shared);

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.0.set(Current::Down("its connection has ended with the runtime it was made on".into()));
    }
}

/// Runs until it is aborted. Tells once how the first attempt went.
async fn supervise(shared: Arc<Shared>, first: oneshot::Sender<Result<(), Refusal>>) {
    let _presence = Presence(&shared);
    let mut first = Some(first);
    let mut tell_first = move |outcome| {
        // Nobody listens any more when the first attempt takes long.
        let _ = first.take().map(|first| first.send(outcome));
    };
    let mut outage = Outage::default();
    let mut attempt = 0;
    loop {
        let opening = timeout(OPEN_DEADLINE, shared.open()).await;
        let refusal = match opening.unwrap_or_else(|_| Err(Refusal::Away("it does not answer".into()))) {
            Ok(Found { mut opened, named, asked }) => {
                let since = shared.clock.monotonic();
                let (link, findings) = (opened.link.clone(), take(&mut opened.findings));
                let (source, mode) = (&shared.place.source, shared.place.mode);
                let refusal = {
                    let mut watching = pin!(async {
                        tokio::select! {
                            refusal = watch(&mut opened, mode, &*shared.clock) => refusal,
                            refusal = source.moved(&named, asked, &link.lease) => refusal,
                        }
                    });
                    tokio::select! {
                        refusal = watching.as_mut() => refusal,
                        () = source.handed_over(&named) => {
                            outage.is_over(&shared, &findings);
                            // Counted first: who gets an answer on it can know that it is another one.
                            shared.place.dialer.uses();
                            shared.set(Current::Up(link.clone(), named.server.clone()));
                            tell_first(Ok(()));
                            watching.await
                        }
                    }
                };
                if shared.clock.monotonic().saturating_sub(since) >= LAST_PAUSE {
                    attempt = 0;
                }
                // Retired before it is taken away: a command sees either a living connection or none.
                link.retire();
                refusal
            }
            Err(refusal) => refusal,
        };
        if let Refusal::Renewed(why) = &refusal {
            // It has just answered: who can wait a moment need not take this for an outage.
            tracing::debug!(store = %shared.place.name, why, "the connection is opened anew");
            shared.set(Current::Opening);
            continue;
        }
        shared.set(Current::Down(refusal.text().to_owned()));
        outage.goes_on(&shared, &refusal);
        tell_first(Err(refusal));
        sleep(pause(attempt, shared.rng.unit())).await;
        attempt += 1;
    }
}

/// Watches over a connection until there is a reason to give it up.
async fn watch(opened: &mut Opened, mode: Mode, clock: &dyn Clock) -> Refusal {
    let link = opened.link.clone();
    loop {
        tokio::select! {
            _ = &mut opened.driver => return Refusal::Away("the connection was closed".into()),
            refusal = link.troubled() => return refusal,
            () = sleep(PROBE_EVERY) => {}
        }
        if let Err(refusal) = probe_in_time(&link, mode, clock).await {
            // A probe fails, too, when somebody else has given the connection up meanwhile; he knows why.
            return link.reason().unwrap_or(refusal);
        }
    }
}

/// Looks twice: a runtime that was held up may see the deadline before the answer that has long been there.
pub(super) async fn probe_in_time(link: &Link, mode: Mode, clock: &dyn Clock) -> Result<(), Refusal> {
    let mut probing = pin!(probe(link, mode, clock));
    for _ in 0..2 {
        if let Ok(outcome) = timeout(PROBE_DEADLINE / 2, probing.as_mut()).await {
            return outcome;
        }
    }
    Err(Refusal::Away("it stopped answering".into()))
}

pub(super) fn pause(attempt: u32, luck: f64) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << attempt.min(16)).min(LAST_PAUSE);
    whole.mul_f64(0.5 + luck / 2.0)
}

/// What the log was told.
#[derive(Debug, Default)]
struct Outage {
    is_known: bool,
    /// Kinds of findings; each is told once.
    told: Vec<Discriminant<Finding>>,
}

impl Outage {
    fn goes_on(&mut self, shared: &Shared, refusal: &Refusal) {
        let (store, why) = (&shared.place.name, refusal.text());
        if std::mem::replace(&mut self.is_known, true) {
            tracing::debug!(%store, why, "the store is still unavailable");
        } else {
            tracing::warn!(%store, why, "the store is unavailable; reads load, and it is tried again in the background");
        }
    }

    fn is_over(&mut self, shared: &Shared, findings: &[Finding]) {
        let store = &shared.place.name;
        if take(&mut self.is_known) {
            tracing::info!(%store, "the store is available again");
        } else {
            tracing::debug!(%store, "the store is available");
        }
        for finding in findings {
            let kind = discriminant(finding);
            if !self.told.contains(&kind) {
                self.told.push(kind);
                finding.tell(store);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_never_vanish() {
        assert_eq!(pause(0, 1.0), FIRST_PAUSE);
        assert_eq!(pause(0, 0.0), FIRST_PAUSE / 2);
        assert_eq!(pause(3, 1.0), FIRST_PAUSE * 8);
        assert_eq!(pause(7, 1.0), LAST_PAUSE);
        assert_eq!(pause(u32::MAX, 1.0), LAST_PAUSE);
    }
}
