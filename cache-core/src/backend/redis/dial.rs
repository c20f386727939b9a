//! Reaches a server, with TLS around the connection where the URL says so. Refuses to log in: who talks first is the caller.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::address::{Access, Endpoint, Login, Tls};
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
        // Credentials are sent by the caller: the client would hide the server's own words.
        self.talk(server, RedisConnectionInfo::default(), AsyncConnectionConfig::new()).await
    }

    /// A connection that hears what is published, in the order in which it and the answers come: `ear` has heard all that was
    /// published before an answer when that is there. Logs in, since the server answers nothing else before.
    pub(super) async fn dial_and_listen(
        &self,
        server: &Endpoint,
        access: &Access,
        ear: impl AsyncPushSender,
    ) -> Result<Dialled, Refusal> {
        let mut settings = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(i64::from(access.database));
        if let Some(Login { user, password }) = &access.login {
            settings = settings.set_password(password);
            if let Some(user) = user {
                settings = settings.set_username(user);
            }
        }
        self.talk(server, settings, AsyncConnectionConfig::new().set_push_sender(ear)).await
    }

    async fn talk(
        &self,
        server: &Endpoint,
        settings: RedisConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> Result<Dialled, Refusal> {
        let stream = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(away)?;
        stream.set_nodelay(true).map_err(away)?;
        match &self.tls {
            None => talk(stream, settings, config).await,
            Some(tls) => talk(tls.wrap(stream, server).await?, settings, config).await,
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

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    settings: RedisConnectionInfo,
    config: AsyncConnectionConfig,
) -> Result<Dialled, Refusal> {
    let settings = settings.set_skip_set_lib_name();
    let config =
        config.set_connection_timeout(None).set_response_timeout(None).set_pipeline_buffer_size(QUEUE);
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
