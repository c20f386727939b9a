//! A private memcached server.

use std::{ffi::OsString, net::SocketAddr};

use crate::{
    Error, find,
    folder::Folder,
    install::{self, Software},
    instance::{Instance, Recipe},
    port,
    process::Watchdog,
    user,
};

/// A memcached server of one's own with 64 MB, stopped when dropped.
#[derive(Debug)]
pub struct Memcached {
    instance: Instance,
}

impl Memcached {
    /// Finds or installs memcached and starts it.
    ///
    /// # Errors
    /// When it is missing and cannot be installed, or does not start; the message holds the end of its log.
    pub fn start() -> Result<Self, Error> {
        let program =
            install::find_or_install("memcached", Software::Memcached, || find::program(&["memcached"]))?;
        // Like Postgres it refuses root.
        let user = user::for_server()?;
        let folder = Folder::new("cache_memcached")?;
        if let Some(user) = user {
            user.own(folder.path())?;
        }
        let watchdog = Watchdog::start(folder.path(), "KILL")?;
        let recipe = Recipe {
            name: "memcached",
            program,
            user,
            arguments: Box::new(|port| {
                ["-l", "127.0.0.1", "-U", "0", "-p", &port.to_string()].map(OsString::from).into()
            }),
            is_ready: |port| port::ask::<7>(port, b"version\r\n").is_ok_and(|answer| answer == *b"VERSION"),
            stop_signal: "TERM",
            quit_signal: "KILL",
        };
        Ok(Self { instance: Instance::start(recipe, folder, watchdog)? })
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

    /// Starts again, empty, on the same port; stops first when it runs.
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
