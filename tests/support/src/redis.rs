//! A private Redis (or Valkey) server.

use std::{ffi::OsString, net::SocketAddr};

use crate::{
    Error, find,
    folder::Folder,
    install::{self, Software},
    instance::{Instance, Recipe},
    port,
    process::Watchdog,
};

/// A Redis server of one's own, stopped and removed when dropped. Keeps nothing on disk unless its options say so.
///
/// ```no_run
/// let redis = cache_test_support::Redis::options().args(["--maxmemory", "20mb"]).start()?;
/// redis.kill();
/// redis.restart()?;
/// # Ok::<(), cache_test_support::Error>(())
/// ```
#[derive(Debug)]
pub struct Redis {
    instance: Instance,
}

/// How a [`Redis`] differs from a plain one without persistence.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    arguments: Vec<OsString>,
}

impl RedisOptions {
    /// More arguments of the command line, for instance `["--appendonly", "yes"]`; they win over the defaults.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Finds or installs Redis and starts it.
    ///
    /// # Errors
    /// When it is missing and cannot be installed, or does not start; the message holds the end of its log.
    pub fn start(self) -> Result<Redis, Error> {
        let program = install::find_or_install("redis-server", Software::Redis, || {
            find::program(&["redis-server", "valkey-server"])
        })?;
        let folder = Folder::new("cache_redis")?;
        let watchdog = Watchdog::start(folder.path(), "KILL")?;
        let home = folder.path().as_os_str().to_owned();
        let recipe = Recipe {
            name: "Redis",
            program,
            user: None,
            arguments: Box::new(move |port| {
                let mut arguments: Vec<OsString> = [
                    "--bind",
                    "127.0.0.1",
                    "--daemonize",
                    "no",
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                    "--port",
                ]
                .map(OsString::from)
                .into();
                arguments.extend([port.to_string().into(), "--dir".into(), home.clone()]);
                arguments.extend(self.arguments.iter().cloned());
                arguments
            }),
            is_ready,
            stop_signal: "TERM",
            quit_signal: "KILL",
        };
        Ok(Redis { instance: Instance::start(recipe, folder, watchdog)? })
    }
}

impl Redis {
    /// Starts a server with the default options: nothing on disk.
    ///
    /// # Errors
    /// As [`RedisOptions::start`].
    pub fn start() -> Result<Self, Error> {
        Self::options().start()
    }

    /// Options to change before the start.
    #[must_use]
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// The URL of its database 0.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// Where it listens. Stays the same over a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        port::local(self.instance.port())
    }

    /// The process id; `None` while it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.instance.pid()
    }

    /// Shuts down in order.
    pub fn stop(&self) {
        self.instance.stop();
    }

    /// Starts again on the same port, with what it kept on disk: by default nothing; stops first when it runs.
    ///
    /// # Errors
    /// When the server does not come up; the message holds the end of its log.
    pub fn restart(&self) -> Result<(), Error> {
        self.instance.restart()
    }

    /// Kills the server without a word to its clients.
    pub fn kill(&self) {
        self.instance.kill();
    }

    /// Freezes the server: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.instance.pause();
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.instance.resume();
    }
}

/// A password set by an option is not ours to know: being asked for it is an answer too.
fn is_ready(port: u16) -> bool {
    port::ask::<5>(port, b"PING\r\n").is_ok_and(|answer| answer == *b"+PONG" || answer == *b"-NOAU")
}
