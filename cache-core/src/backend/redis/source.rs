//! Where a node's server is to be found. Refuses to remember an answer: it is asked at every connection.

use super::address::Endpoint;
use super::error::Refusal;

/// Who knows the address.
#[derive(Debug)]
pub(super) enum Source {
    /// The URL, or the map of a cluster.
    Fixed(Endpoint),
}

impl Source {
    /// The address of this moment.
    pub(super) async fn endpoint(&self) -> Result<Endpoint, Refusal> {
        match self {
            Self::Fixed(server) => Ok(server.clone()),
        }
    }
}
