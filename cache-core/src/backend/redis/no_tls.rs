//! Stands in for TLS in a build without it. Refuses every URL that asks for TLS, and names the feature that is missing.

use tokio::net::TcpStream;

use super::address::{Endpoint, Tls};
use super::error::Refusal;

/// There is none.
#[derive(Clone)]
pub(super) enum Connector {}

impl Connector {
    pub(super) fn new(_: &Tls) -> Result<Self, String> {
        Err("TLS needs the feature `redis-tls` of the crate `cache-core`, which this build does not have"
            .into())
    }

    pub(super) async fn wrap(&self, _: TcpStream, _: &Endpoint) -> Result<TcpStream, Refusal> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_feature_is_named() {
        let why = Connector::new(&Tls::default()).err().unwrap();
        assert!(why.contains("feature `redis-tls`"), "{why}");
    }
}
