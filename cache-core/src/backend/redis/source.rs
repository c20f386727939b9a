//! Where a node's server is to be found. Refuses to remember an answer: it is asked at every connection.

use std::sync::Arc;
use std::time::Duration;

use super::address::Endpoint;
use super::error::Refusal;
use super::lease::Lease;
use super::sentinel::Sentinels;

/// Who knows the address.
#[derive(Debug)]
pub(super) enum Source {
    /// The URL, or the map of a cluster.
    Fixed(Endpoint),
    /// The sentinels of a master.
    Sentinels(Arc<Sentinels>),
}

/// A server that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) server: Endpoint,
    /// Which failover made it the master: who knows of a later one knows better.
    pub(super) term: u64,
}

impl Source {
    /// The servers to try at this moment, never none, the likeliest first.
    pub(super) async fn servers(&self) -> Result<Vec<Named>, Refusal> {
        match self {
            Self::Fixed(server) => Ok(vec![Named { server: server.clone(), term: 0 }]),
            Self::Sentinels(sentinels) => sentinels.servers().await,
        }
    }

    /// Gives a connection to a server that was named when this was asked its lease; without an end where nobody hands over.
    pub(super) fn begin(&self, lease: &Lease, asked: Duration) {
        if let Self::Sentinels(_) = self {
            lease.begin(asked);
        }
    }

    /// Waits until a server that is named may be used: until nobody uses the one that was named before.
    pub(super) async fn handed_over(&self, to: &Named) {
        if let Self::Sentinels(sentinels) = self {
            sentinels.handed_over(to).await;
        }
    }

    /// Waits until a later failover is known than the one that this server was named by, as it was when that was asked. Renews
    /// the lease until then.
    pub(super) async fn moved(&self, from: &Named, asked: Duration, lease: &Lease) -> Refusal {
        match self {
            Self::Fixed(_) => std::future::pending().await,
            Self::Sentinels(sentinels) => sentinels.moved(from, asked, lease).await,
        }
    }
}
