//! A private Redis (or Valkey) server.

use std::{
    ffi::OsString,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
};

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
    tls: Option<PathBuf>,
}

/// How a [`Redis`] differs from a plain one without persistence.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    arguments: Vec<OsString>,
    tls: Option<PathBuf>,
}

impl RedisOptions {
    /// More arguments of the command line, for instance `["--appendonly", "yes"]`; they win over the defaults.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Speaks TLS only. The folder holds `cert.pem` and `key.pem` of the server, and `ca.pem`, which clients trust; clients
    /// need no certificate unless `--tls-auth-clients` says so.
    #[must_use]
    pub fn tls(mut self, folder: &Path) -> Self {
        self.tls = Some(folder.to_owned());
        self
    }

    /// Finds or installs Redis and starts it.
    ///
    /// # Errors
    /// When it is missing and cannot be installed, or does not start; the message holds the end of its log.
    pub fn start(self) -> Result<Redis, Error> {
        let program = program()?;
        let folder = Folder::new("cache_redis")?;
        let watchdog = Watchdog::start(folder.path(), "KILL")?;
        let home = folder.path().as_os_str().to_owned();
        let is_ready = if self.tls.is_some() { is_listening } else { is_ready };
        let tls = self.tls.clone();
        let recipe = Recipe {
            name: "Redis",
            program,
            user: None,
            arguments: Box::new(move |port| {
                let fixed = ["--bind", "127.0.0.1", "--daemonize", "no", "--save", "", "--appendonly", "no"];
                let mut arguments: Vec<OsString> = fixed.map(OsString::from).into();
                arguments.extend(["--dir".into(), home.clone()]);
                match &self.tls {
                    None => arguments.extend(["--port".into(), port.to_string().into()]),
                    Some(folder) => {
                        let fixed =
                            ["--port", "0", "--tls-auth-clients", "no", "--tls-port", &port.to_string()];
                        arguments.extend(fixed.map(OsString::from));
                        for (option, file) in
                            [("cert-file", "cert.pem"), ("key-file", "key.pem"), ("ca-cert-file", "ca.pem")]
                        {
                            arguments.extend([format!("--tls-{option}").into(), folder.join(file).into()]);
                        }
                    }
                }
                arguments.extend(self.arguments.iter().cloned());
                arguments
            }),
            is_ready,
            stop_signal: "TERM",
            quit_signal: "KILL",
        };
        Ok(Redis { instance: Instance::start(recipe, folder, watchdog)?, tls })
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
        match &self.tls {
            None => format!("redis://{}/0", self.address()),
            Some(folder) => format!("rediss://{}/0?ca={}", self.address(), folder.join("ca.pem").display()),
        }
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

pub(crate) fn program() -> Result<PathBuf, Error> {
    install::find_or_install("redis-server", Software::Redis, || {
        find::program(&["redis-server", "valkey-server"])
    })
}

/// A password set by an option is not ours to know: being asked for it is an answer too.
pub(crate) fn is_ready(port: u16) -> bool {
    port::ask::<5>(port, b"PING\r\n").is_ok_and(|answer| answer == *b"+PONG" || answer == *b"-NOAU")
}

/// A server that speaks TLS answers nothing that can be asked here.
fn is_listening(port: u16) -> bool {
    TcpStream::connect(port::local(port)).is_ok()
}
