//! The seam as an instance holds it: each command becomes a message. Refuses to answer anything itself, except that the store
//! cannot be reached.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use cache_core::StoreError;
use cache_core::bus::Listener;
use cache_core::error::StoreErrorKind;
use cache_core::key::Namespace;
use cache_core::store::{
    Aside, ClearRequest, Cleared, FillRequest, Filled, Found, LeaseRequest, Leased, MarkRequest, Marked,
    Origin, Store, StoreResult,
};
use cache_core::subject::{EntryKey, Subject, Token, WriterId};

use crate::client::xid_of;
use crate::dataset::NOTICED_WITHIN;
use crate::job::Job;
use crate::wire::{Cargo, Command, Says, StoreSays};
use crate::world::{Owner, World};

/// One process's connection to the store.
#[derive(Clone)]
pub struct SimStore {
    pub world: Arc<World>,
    pub process: usize,
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimStore").field("process", &self.process).finish_non_exhaustive()
    }
}

impl SimStore {
    async fn ask(&self, command: Command) -> Result<StoreSays, StoreError> {
        let answer = {
            let mut state = self.world.lock();
            let process = &state.processes[self.process];
            if process.is_alive && process.store_down_until > state.now {
                return Err(StoreError::new(StoreErrorKind::Unavailable, "not connected"));
            }
            let state = &mut *state;
            let job = Job::new(command, |steps| state.rng.shuffle(steps));
            Cargo::Store(Box::new(job))
        };
        match self.world.ask(self.process, answer).await {
            Says::Store(Ok(says)) => Ok(says),
            Says::Store(Err(kind)) => Err(StoreError::new(kind, "simulated")),
            Says::Sql(_) => unreachable!("the store was asked"),
        }
    }

    /// Tells every L1, as a bus does that loses nothing: before the command returns.
    fn tell(&self, tell: impl Fn(&dyn Listener)) {
        // Not while the world is held: an L1 asks for the time.
        let listeners = self.world.lock().listeners.clone();
        listeners.iter().filter_map(Weak::upgrade).for_each(|listener| tell(&*listener));
    }

    fn owns(&self, writer: WriterId, origin: &Origin) {
        let mut state = self.world.lock();
        let of_transaction = xid_of(origin).and_then(|xid| state.database.op(xid));
        let owner = of_transaction.or(state.acting).map_or(Owner::AloneOf(self.process), Owner::Op);
        state.owners.insert(writer, owner);
    }
}

/// The command is made when the future is first polled, as a connection would send it.
macro_rules! answered {
    ($store:expr, $command:expr, $says:pat => $value:expr) => {
        Box::pin(async move {
            match $store.ask($command).await? {
                $says => Ok($value),
                _ => unreachable!("a command is answered in its own kind"),
            }
        })
    };
}

impl Store for SimStore {
    fn get<'a>(&'a self, key: &'a EntryKey, tags: &'a [Subject]) -> StoreResult<'a, Found> {
        answered!(self, Command::Get { key: key.clone(), tags: tags.to_vec() }, StoreSays::Found(found) => found)
    }

    fn lease<'a>(&'a self, request: LeaseRequest<'a>) -> StoreResult<'a, Leased> {
        let LeaseRequest { key, tags, token, duration, force, over, finished, seed, tag_ttl, shares: _ } =
            request;
        answered!(
            self,
            Command::Lease {
                key: key.clone(),
                tags: tags.to_vec(),
                token,
                duration,
                force,
                over,
                finished: finished.to_vec(),
                seed,
                tag_ttl,
            },
            StoreSays::Leased(leased) => leased
        )
    }

    fn fill<'a>(&'a self, request: FillRequest<'a>) -> StoreResult<'a, Filled> {
        let FillRequest { key, tags, token, blob, ttl, aside } = request;
        answered!(
            self,
            Command::Fill { key: key.clone(), tags: tags.to_vec(), token, blob: blob.clone(), ttl, aside },
            StoreSays::Filled(filled) => filled
        )
    }

    fn release<'a>(&'a self, key: &'a EntryKey, token: Token) -> StoreResult<'a, ()> {
        answered!(self, Command::Release { key: key.clone(), token }, StoreSays::Released => ())
    }

    fn mark<'a>(&'a self, request: MarkRequest<'a>) -> StoreResult<'a, Marked> {
        let MarkRequest { writer, origin, subjects, seed, tag_ttl } = request;
        Box::pin(async move {
            self.owns(writer, origin);
            let command =
                Command::Mark { writer, origin: origin.clone(), subjects: subjects.to_vec(), seed, tag_ttl };
            match self.ask(command).await? {
                StoreSays::Marked(marked) => {
                    let stripes: Vec<u64> = subjects.iter().map(Subject::stripe).collect();
                    self.tell(|listener| listener.marked(&stripes));
                    Ok(marked)
                }
                _ => unreachable!("a command is answered in its own kind"),
            }
        })
    }

    fn clear<'a>(&'a self, request: ClearRequest<'a>) -> StoreResult<'a, Cleared> {
        let ClearRequest { writer, subjects, puts, seed, tag_ttl } = request;
        answered!(
            self,
            Command::Clear { writer, subjects: subjects.to_vec(), puts: puts.to_vec(), seed, tag_ttl },
            StoreSays::Cleared(_, cleared) => cleared
        )
    }

    fn aside<'a>(&'a self, key: &'a EntryKey) -> StoreResult<'a, Option<Aside>> {
        answered!(self, Command::Aside { key: key.clone() }, StoreSays::Aside(kept) => kept)
    }

    fn clear_namespace<'a>(&'a self, namespace: &'a Namespace, seed: u64) -> StoreResult<'a, Duration> {
        let command = Command::ClearNamespace { namespace: namespace.clone(), seed };
        Box::pin(async move {
            match self.ask(command).await? {
                StoreSays::ClearedNamespace => {
                    self.tell(|listener| {
                        listener.doubts();
                        listener.vouches(listener.now(), Duration::MAX);
                    });
                    Ok(NOTICED_WITHIN)
                }
                _ => unreachable!("a command is answered in its own kind"),
            }
        })
    }

    fn join(&self, _namespace: &Namespace, listener: Weak<dyn Listener>) -> Result<(), String> {
        if let Some(listener) = listener.upgrade() {
            listener.vouches(listener.now(), Duration::MAX);
        }
        let mut state = self.world.lock();
        state.listeners.push(listener);
        // Whoever hears of a clear forgets with it what he knew of epochs, as the store over Redis does.
        state.master.listens(self.process);
        state.replica.listens(self.process);
        Ok(())
    }

    fn describe(&self) -> String {
        format!("the simulated store of process {}", self.process)
    }
}

#[cfg(test)]
mod tests {
    use cache_core::testkit::conformance;

    use super::*;
    use crate::rules::StoreRule;
    use crate::timeline::Timeline;
    use crate::world::Odds;

    /// Judges the simulated store, delivering in a drawn order while time passes.
    async fn report(odds: Odds, lacks: Option<StoreRule>) -> conformance::Report {
        let world = World::new(fastrand::Rng::with_seed(1), &[], odds, lacks, Timeline::default());
        let process = world.lock().start(1);
        let store = SimStore { world: world.clone(), process };
        let deliver = async {
            loop {
                {
                    let mut state = world.lock();
                    state.now += Duration::from_millis(1);
                    while !state.messages.is_empty() {
                        let count = state.messages.len();
                        let place = state.rng.usize(..count);
                        state.deliver(place);
                    }
                }
                tokio::time::advance(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            report = conformance::run(&store) => report,
            () = deliver => unreachable!("it goes on for ever"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_keeps_every_promise_of_a_store() {
        for odds in [Odds::default(), Odds { split: 500, split_clears: 500, ..Odds::default() }] {
            let report = report(odds, None).await;
            assert!(report.is_clean(), "{report}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_suite_notices_a_store_that_does_not() {
        for rule in [StoreRule::FillChecksToken, StoreRule::MarkDropsEntries, StoreRule::GenerationsAreNew] {
            assert!(!report(Odds::default(), Some(rule)).await.is_clean(), "{rule:?}");
        }
    }
}
