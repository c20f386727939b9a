//! A TCP proxy that counts what passes and breaks the connection in the ways networks do. Runs on its own threads, so that
//! neither a busy test runtime nor one with paused time holds it up.

mod control;
mod pump;
mod resp;
mod snare;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use self::control::Control;
pub use self::snare::Snare;
use crate::{Error, port, process, url};

/// A proxy in front of one server; its connections end when it is dropped.
///
/// Faults last until their opposite is called, or [`calm`](Self::calm).
///
/// ```no_run
/// # use cache_test_support::{FaultProxy, Redis};
/// let redis = Redis::start()?;
/// let proxy = FaultProxy::redis(&redis.url())?;
/// // … a client of `proxy.url()` reads an entry …
/// assert_eq!(proxy.commands(), ["HGET"]);
/// # Ok::<(), cache_test_support::Error>(())
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    control: Arc<Control>,
    address: SocketAddr,
    url: Option<String>,
}

/// What a [`FaultProxy`] has seen since its start or its last [`reset`](FaultProxy::reset).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Connections accepted.
    pub connections: u64,
    /// Bytes clients sent, held up or not.
    pub to_server: u64,
    /// Bytes the server sent, delivered or not.
    pub to_client: u64,
    /// Commands clients sent; 0 unless the proxy was made by [`FaultProxy::redis`].
    pub commands: u64,
}

/// What the proxy understands of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Opaque,
    Redis,
}

impl FaultProxy {
    /// A proxy before `host:port` that understands nothing of what passes.
    ///
    /// # Errors
    /// When no port of 127.0.0.1 is free.
    pub fn tcp(upstream: impl ToString) -> Result<Self, Error> {
        Self::start(upstream.to_string(), Protocol::Opaque)
    }

    /// A proxy before the Redis of a URL; it counts commands.
    ///
    /// # Errors
    /// When the URL names no host, or no port of 127.0.0.1 is free.
    pub fn redis(redis_url: &str) -> Result<Self, Error> {
        Self::before(redis_url, 6379, Protocol::Redis)
    }

    /// A proxy before the Postgres of a URL.
    ///
    /// # Errors
    /// When the URL names no host, or no port of 127.0.0.1 is free.
    pub fn postgres(database_url: &str) -> Result<Self, Error> {
        Self::before(database_url, 5432, Protocol::Opaque)
    }

    fn before(server_url: &str, default_port: u16, protocol: Protocol) -> Result<Self, Error> {
        let mut proxy = Self::start(url::address(server_url, default_port)?, protocol)?;
        proxy.url = Some(url::with_address(server_url, &proxy.address.to_string())?);
        Ok(proxy)
    }

    fn start(upstream: String, protocol: Protocol) -> Result<Self, Error> {
        let listener = port::bind_free().map_err(Error::io("no free port on 127.0.0.1"))?;
        let address = listener.local_addr().map_err(Error::io("the proxy's listener has no address"))?;
        let control = Arc::new(Control::new(upstream, protocol, listener));
        let acceptor = Arc::clone(&control);
        thread::spawn(move || acceptor.accept_until_closed());
        Ok(Self { control, address, url: None })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's URL with the proxy's address in it.
    ///
    /// # Panics
    /// When the proxy was made by [`FaultProxy::tcp`], which knows no URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone().expect("the proxy was made from a URL")
    }

    /// The counts. A client that has its reply finds its request counted.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.control.traffic()
    }

    /// The names of the last 10,000 commands in the order they arrived, in upper case: what is sent, so one `EVALSHA` for a script.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.control.commands()
    }

    /// How many commands of a name (in upper case) clients have sent.
    #[must_use]
    pub fn commands_named(&self, name: &str) -> u64 {
        self.control.commands_named(name)
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.control.open_connections()
    }

    /// Sets all counts to zero.
    pub fn reset(&self) {
        self.control.reset();
    }

    /// Drops all open connections; new ones are welcome.
    pub fn cut(&self) {
        self.control.cut();
    }

    /// Refuses new connections, as a server that is down does; open ones go on.
    pub fn refuse(&self) {
        if self.control.begin_refusing() {
            // Wakes the acceptor, which closes the listener.
            let _ = TcpStream::connect(self.address);
            self.control.wait_until_refusing();
        }
    }

    /// Accepts connections again.
    ///
    /// # Errors
    /// When somebody else has taken the port meanwhile.
    pub fn accept(&self) -> Result<(), Error> {
        if !self.control.is_refusing() {
            return Ok(());
        }
        let mut bound = TcpListener::bind(self.address);
        process::poll_until(Duration::from_secs(5), || {
            if bound.is_err() {
                bound = TcpListener::bind(self.address);
            }
            bound.is_ok()
        });
        self.control.listen(bound.map_err(Error::io("the proxy cannot listen again"))?);
        Ok(())
    }

    /// Holds everything back and keeps the connections open: a network that swallows packets.
    pub fn stall(&self) {
        self.control.change(|faults| faults.is_stalled = true);
    }

    /// Lets everything flow again, what was held back first.
    pub fn flow(&self) {
        self.control.change(|faults| faults.is_stalled = false);
    }

    /// Delivers what arrives from now on this much later, each way; zero ends it.
    pub fn delay(&self, each_way: Duration) {
        self.control.change(|faults| faults.delay = each_way);
    }

    /// Lets requests through and swallows the replies, so that nobody knows what was done.
    pub fn drop_replies(&self) {
        self.control.change(|faults| faults.drops_replies = true);
    }

    /// Delivers replies again; connections that have lost some are cut, since the rest would be misread.
    pub fn pass_replies(&self) {
        self.control.pass_replies();
    }

    /// Nothing passes any more on the connections that are open now, either way, and neither end is told: half-open
    /// connections. New ones are not affected. Tells how many there were; they are cut by [`pass_replies`](Self::pass_replies).
    pub fn swallow(&self) -> usize {
        self.control.swallow()
    }

    /// Breaks the next connection on which this happens, once; replaces a snare that waits.
    pub fn set_snare(&self, snare: Snare) {
        self.control.change(|faults| faults.snare = Some(snare));
    }

    /// Takes a snare away that waits.
    pub fn lift_snare(&self) {
        self.control.change(|faults| faults.snare = None);
    }

    /// How many connections were broken by a snare.
    #[must_use]
    pub fn snared(&self) -> u64 {
        self.control.snared()
    }

    /// Ends every fault.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn calm(&self) -> Result<(), Error> {
        self.lift_snare();
        self.pass_replies();
        self.delay(Duration::ZERO);
        self.flow();
        self.accept()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.control.close();
        self.cut();
        self.refuse();
    }
}
