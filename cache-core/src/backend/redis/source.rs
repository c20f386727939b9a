//! Where a node's server is to be found. Refuses to remember an answer: it is asked at every connection.

use std::sync::Arc;

use super::address::Endpoint;
use super::error::Refusal;
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

    /// Waits until another server is named than this one.
    pub(super) async fn moved(&self, from: &Named) -> Refusal {
        match self {
            Self::Fixed(_) => std::future::pending().await,
            Self::Sentinels(sentinels) => sentinels.moved(from).await,
        }
    }
}
