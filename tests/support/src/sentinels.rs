//! A private Redis master with replicas, and three sentinels that watch it.

use std::{ffi::OsString, fs, net::SocketAddr, time::Duration};

use crate::{
    Error, Redis,
    folder::Folder,
    instance::{Instance, Recipe},
    port,
    process::{self, Watchdog},
    redis,
    resp::{Reply, ask_within},
};

/// The name the sentinels know the master by.
const MASTER: &str = "cache-master";
const BOUND: Duration = Duration::from_secs(60);
/// A server that is paused says nothing for ever.
const PATIENCE: Duration = Duration::from_millis(500);

/// One master, replicas and three sentinels of one's own; stopped and removed when dropped.
///
/// They notice a master that is silent for a second, and need two of three to replace it.
///
/// ```no_run
/// let sentinels = cache_test_support::Sentinels::start(1)?;
/// // … a client of `sentinels.url()` …
/// sentinels.server(0).kill();
/// let promoted = sentinels.wait_for_another_master(sentinels.server(0).address())?;
/// # Ok::<(), cache_test_support::Error>(())
/// ```
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Redis>,
    sentinels: Vec<Sentinel>,
}

/// One sentinel.
#[derive(Debug)]
pub struct Sentinel {
    instance: Instance,
}

impl Sentinels {
    /// Starts a master with so many replicas and waits until every sentinel knows all others.
    ///
    /// # Errors
    /// As [`RedisOptions::start`](crate::RedisOptions::start), or when they do not find each other.
    pub fn start(replicas: usize) -> Result<Self, Error> {
        let master = Redis::options().args(["--repl-diskless-sync-delay", "0"]).start()?;
        let port = master.address().port().to_string();
        let mut servers = vec![master];
        for _ in 0..replicas {
            let options = Redis::options().args(["--repl-diskless-sync-delay", "0"]);
            servers.push(options.args(["--replicaof", "127.0.0.1", &port]).start()?);
        }
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Sentinel::start(servers[0].address())?);
        }
        let all = Self { servers, sentinels };
        let count = replicas.to_string();
        let known = [("num-slaves", count.as_str()), ("num-other-sentinels", "2")];
        let is_ready = |sentinel: &Sentinel| known.iter().all(|(name, value)| sentinel.tells(name, value));
        if !process::poll_until(BOUND, || all.sentinels.iter().all(is_ready)) {
            return Err(Error::failed("the sentinels did not find each other and the replicas within 60 s"));
        }
        Ok(all)
    }

    /// The URL that names all sentinels and the master.
    #[must_use]
    pub fn url(&self) -> String {
        let listed: Vec<String> =
            self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{}/{MASTER}", listed.join(","))
    }

    /// A server: 0 is the first master, the others begin as its replicas.
    #[must_use]
    pub fn server(&self, at: usize) -> &Redis {
        &self.servers[at]
    }

    /// The three sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Sentinel] {
        &self.sentinels
    }

    /// The server that listens there.
    ///
    /// # Panics
    /// When it is none of them.
    #[must_use]
    pub fn server_at(&self, address: SocketAddr) -> &Redis {
        let found = self.servers.iter().find(|server| server.address() == address);
        found.expect("the address is that of one of the servers")
    }

    /// Orders a failover without anything having failed.
    ///
    /// # Errors
    /// When the sentinel refuses, for instance because there is no good replica.
    pub fn fail_over(&self) -> Result<(), Error> {
        let answer = self.sentinels[0].says(&["SENTINEL", "FAILOVER", MASTER]);
        if answer == ["OK"] { Ok(()) } else { Err(Error::failed(format!("no failover: {answer:?}"))) }
    }

    /// Waits until all sentinels that answer, two at least, name another master than this one, and it says that it is.
    ///
    /// # Errors
    /// When that takes longer than a minute.
    pub fn wait_for_another_master(&self, than: SocketAddr) -> Result<SocketAddr, Error> {
        let mut promoted = None;
        let is_there = process::poll_until(BOUND, || {
            let named: Vec<_> = self.sentinels.iter().filter_map(Sentinel::master).collect();
            // One that does not know yet would demote the new master when the old one is back.
            let is_agreed = named.len() >= 2 && named.iter().all(|&address| address == named[0]);
            let another = named.first().copied().filter(|&address| is_agreed && address != than);
            promoted = another
                .filter(|address| says(*address, &["ROLE"]).first().is_some_and(|role| role == "master"));
            promoted.is_some()
        });
        match promoted {
            Some(address) if is_there => Ok(address),
            _ => Err(Error::failed("the sentinels promoted nobody within 60 s")),
        }
    }
}

impl Sentinel {
    fn start(master: SocketAddr) -> Result<Self, Error> {
        let folder = Folder::new("cache_sentinel")?;
        let watchdog = Watchdog::start(folder.path(), "KILL")?;
        let home = folder.path().to_owned();
        let recipe = Recipe {
            name: "Sentinel",
            program: redis::program()?,
            user: None,
            arguments: Box::new(move |port| {
                let file = home.join(format!("{port}.conf"));
                // It writes what it learns into this file, and finds it there after a restart.
                if !file.exists() {
                    let lines = [
                        format!("port {port}\nbind 127.0.0.1\ndaemonize no\ndir {}", home.display()),
                        format!("sentinel monitor {MASTER} {} {} 2", master.ip(), master.port()),
                        format!("sentinel down-after-milliseconds {MASTER} 1000"),
                        format!("sentinel failover-timeout {MASTER} 5000\n"),
                    ];
                    // What cannot be written cannot be read either, and that ends the server with a message.
                    let _ = fs::write(&file, lines.join("\n"));
                }
                vec![OsString::from(file), "--sentinel".into()]
            }),
            is_ready: redis::is_ready,
            stop_signal: "TERM",
            quit_signal: "KILL",
        };
        // The rounds of INFO and hello messages stay as slow as they are: Sentinel derives from them how long it puts up
        // with contradictions, and in a hurry it demotes the server that was just promoted.
        Ok(Self { instance: Instance::start(recipe, folder, watchdog)? })
    }

    /// Where it listens. Stays the same over a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        port::local(self.instance.port())
    }

    /// The master it names, if it answers.
    #[must_use]
    pub fn master(&self) -> Option<SocketAddr> {
        match self.says(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).as_slice() {
            [host, port] => format!("{host}:{port}").parse().ok(),
            _ => None,
        }
    }

    /// What it answers to a command, flat; nothing when it does not.
    #[must_use]
    pub fn says(&self, command: &[&str]) -> Vec<String> {
        says(self.address(), command)
    }

    /// Kills it without a word.
    pub fn kill(&self) {
        self.instance.kill();
    }

    /// Freezes it: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.instance.pause();
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.instance.resume();
    }

    /// Starts again with what it had learnt.
    ///
    /// # Errors
    /// When it does not come up; the message holds the end of its log.
    pub fn restart(&self) -> Result<(), Error> {
        self.instance.restart()
    }

    fn tells(&self, name: &str, value: &str) -> bool {
        let about = self.says(&["SENTINEL", "MASTER", MASTER]);
        about.chunks(2).any(|pair| pair == [name, value])
    }
}

/// The texts and numbers of an answer; nothing in place of an error.
fn says(address: SocketAddr, command: &[&str]) -> Vec<String> {
    match ask_within(PATIENCE, address, command) {
        Ok(Reply::List(parts)) => parts.iter().filter_map(word).collect(),
        Ok(other) => word(&other).into_iter().collect(),
        Err(_) => Vec::new(),
    }
}

fn word(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Text(text) => Some(text.clone()),
        Reply::Number(number) => Some(number.to_string()),
        Reply::Nothing | Reply::List(_) => None,
    }
}
