//! What a script is written against: the product and the naive caches.

use std::future::Future;

use cache_core::testkit::{Command, Held as HeldCommand};
use tokio::task::JoinHandle;

use crate::gates::{Gates, Held, Point};
use crate::naive::Naive;
use crate::repository::User;
use crate::world::{Instance, until};

/// One instance of an application.
pub(crate) trait Side: Clone + Send + Sync + 'static {
    fn find(&self, id: i64) -> impl Future<Output = Option<String>> + Send;
    /// A read that reloads although an entry stands.
    fn find_early(&self, id: i64) -> impl Future<Output = Option<String>> + Send;
    fn names(&self) -> impl Future<Output = Vec<String>> + Send;
    /// A write that has returned when the future is ready.
    fn rename(&self, id: i64, name: &'static str) -> impl Future<Output = ()> + Send;
    fn insert(&self, id: i64, name: &'static str) -> impl Future<Output = ()> + Send;
    /// Holds the next write where its change is visible and nothing is invalidated since.
    fn hold_invalidation(&self) -> Gap;
    fn gates(&self) -> &Gates;
    fn misses(&self) -> u64;

    fn spawn_find(&self, id: i64) -> JoinHandle<Option<String>> {
        let side = self.clone();
        tokio::spawn(async move { side.find(id).await })
    }

    fn spawn_rename(&self, id: i64, name: &'static str) -> JoinHandle<()> {
        let side = self.clone();
        tokio::spawn(async move { side.rename(id, name).await })
    }

    /// Waits until this many reads of this instance have missed.
    fn missed(&self, count: u64) -> impl Future<Output = ()> {
        async move { until("reads have missed", async || self.misses() >= count).await }
    }
}

/// A write that stands between its commit and its last invalidation.
pub(crate) enum Gap {
    Command(HeldCommand),
    Gate(Held),
}

impl Gap {
    pub(crate) async fn reached(&self) {
        match self {
            Self::Command(held) => held.reached().await,
            Self::Gate(held) => held.reached().await,
        }
    }

    pub(crate) fn release(&self) {
        match self {
            Self::Command(held) => held.release(),
            Self::Gate(held) => held.release(),
        }
    }
}

impl Side for Instance {
    async fn find(&self, id: i64) -> Option<String> {
        self.name(id).await
    }

    async fn find_early(&self, id: i64) -> Option<String> {
        self.users.find_early(id).await.unwrap().map(|user| user.name)
    }

    async fn names(&self) -> Vec<String> {
        self.users.names().await.unwrap()
    }

    async fn rename(&self, id: i64, name: &'static str) {
        self.users.rename_now(id, name).await.unwrap().expect("there is such a user");
    }

    async fn insert(&self, id: i64, name: &'static str) {
        self.users.insert(id, name, "red", name).await.unwrap();
    }

    fn hold_invalidation(&self) -> Gap {
        Gap::Command(self.store.hold(Command::Clear))
    }

    fn gates(&self) -> &Gates {
        &self.users.gates
    }

    fn misses(&self) -> u64 {
        self.cache.stats().total().misses
    }
}

impl Side for Naive {
    async fn find(&self, id: i64) -> Option<String> {
        Naive::find(self, id).await
    }

    async fn find_early(&self, id: i64) -> Option<String> {
        Naive::find_early(self, id).await
    }

    async fn names(&self) -> Vec<String> {
        Naive::names(self).await
    }

    async fn rename(&self, id: i64, name: &'static str) {
        Naive::rename(self, id, name).await;
    }

    async fn insert(&self, id: i64, name: &'static str) {
        Naive::insert(self, id, name, name).await;
    }

    fn hold_invalidation(&self) -> Gap {
        Gap::Gate(self.gates.hold(Point::Committed))
    }

    fn gates(&self) -> &Gates {
        &self.gates
    }

    fn misses(&self) -> u64 {
        Naive::misses(self)
    }
}

/// Both read user 1 under this name.
pub(crate) async fn reads<S: Side>(a: &S, b: &S, name: &str) {
    for side in [a, b] {
        assert_eq!(side.find(1).await.as_deref(), Some(name));
    }
}

/// Begins to name user 1 `new`, and tells how that ended.
pub(crate) fn spawn_write(a: &Instance) -> tokio::task::JoinHandle<sqlx::Result<Option<User>>> {
    let users = a.users.clone();
    tokio::spawn(async move { users.rename_now(1, "new").await })
}
