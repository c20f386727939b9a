//! Reaches a server, with TLS around the connection where the URL says so. Refuses to log in: who talks first is the caller.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::address::{Endpoint, Tls};
use super::error::Refusal;
use super::tls::Connector;

/// Commands that may wait for the connection's task; more callers than that wait for their turn.
const QUEUE: usize = 1024;

/// How the servers of a store are reached, sentinels included.
#[derive(Clone)]
pub(super) struct Dialer {
    tls: Option<Connector>,
    /// How many connections were taken into use.
    used: Arc<AtomicU64>,
}

/// A connection on which nothing was said yet.
pub(super) struct Dialled {
    pub(super) connection: MultiplexedConnection,
    pub(super) driver: Driver,
}

/// The task that moves a connection's bytes. Aborted with this value unless it was taken over.
pub(super) struct Driver(Option<JoinHandle<()>>);

impl Driver {
    pub(super) fn take(mut self) -> Option<JoinHandle<()>> {
        self.0.take()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Dialer {
    /// Reads the certificates that are named. An error says what is wrong with them.
    pub(super) fn new(tls: Option<&Tls>) -> Result<Self, String> {
        Ok(Self { tls: tls.map(Connector::new).transpose()?, used: Arc::default() })
    }

    /// A connection is about to be taken into use.
    pub(super) fn uses(&self) {
        self.used.fetch_add(1, Ordering::SeqCst);
    }

    /// How many were, of all that this and its clones have dialled.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }

    pub(super) async fn dial(&self, server: &Endpoint) -> Result<Dialled, Refusal> {
        let stream = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(away)?;
        stream.set_nodelay(true).map_err(away)?;
        match &self.tls {
            None => talk(stream).await,
            Some(tls) => talk(tls.wrap(stream, server).await?).await,
        }
    }

    /// Why nothing was heard on a connection that was just made.
    pub(super) fn silenced(&self, error: &RedisError) -> Refusal {
        let hint = match self.tls {
            None if error.is_connection_dropped() => ", which a server does that wants TLS (rediss://)",
            _ => "",
        };
        Refusal::Away(format!("it closed the connection before it answered{hint}: {error}"))
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Dialled, Refusal> {
    // Credentials are sent by the caller: the client would hide the server's own words.
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE);
    let opened = MultiplexedConnection::new_with_config(&settings, stream, config).await;
    let (connection, driver) = opened.map_err(|error| Refusal::Away(error.to_string()))?;
    Ok(Dialled { connection, driver: Driver(Some(tokio::spawn(driver))) })
}

fn away(error: std::io::Error) -> Refusal {
    Refusal::Away(error.to_string())
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("has_tls", &self.tls.is_some()).finish()
    }
}
