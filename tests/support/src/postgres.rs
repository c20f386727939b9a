//! A private Postgres server.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use crate::{
    Error, find,
    folder::Folder,
    install::{self, Software},
    instance::{self, Instance, Recipe},
    port,
    process::{self, Watchdog},
    unique_name, url,
    user::{self, User},
};

const PROGRAMS: &[&str] = &["postgres", "initdb"];

/// A Postgres server of one's own, stopped and removed when dropped. Its superuser is `postgres`, without a password.
///
/// ```no_run
/// let postgres = cache_test_support::Postgres::start()?;
/// println!("{}", postgres.url());
/// # Ok::<(), cache_test_support::Error>(())
/// ```
#[derive(Debug)]
pub struct Postgres {
    instance: Instance,
}

/// How a [`Postgres`] differs from a small, fast, forgetful one.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    durability: Durability,
    settings: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Durability {
    /// `fsync` off: survives a killed server, not a machine that loses power.
    #[default]
    Process,
    Machine,
}

impl PostgresOptions {
    /// Keeps `fsync` on, so that a commit costs what it costs in production. Off by default.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durability = Durability::Machine;
        self
    }

    /// A setting of `postgresql.conf`, for instance `("wal_level", "logical")`. The last one of a name wins.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Finds or installs Postgres and starts it.
    ///
    /// # Errors
    /// When no installation works; the message tells what each one said.
    pub fn start(self) -> Result<Postgres, Error> {
        let mut refusals = Vec::new();
        for bin in installations()? {
            match self.start_from(&bin) {
                Ok(postgres) => {
                    remember(&bin);
                    return Ok(postgres);
                }
                Err(error) => refusals.push(error.to_string()),
            }
        }
        Err(Error::failed(refusals.join("\n")))
    }

    fn start_from(&self, bin: &Path) -> Result<Postgres, Error> {
        let user = user::for_server()?;
        let folder = Folder::new("cache_postgres")?;
        if let Some(user) = user {
            user.own(folder.path())?;
        }
        let watchdog = Watchdog::start(folder.path(), "QUIT")?;
        init(bin, &folder, user)?;
        let fixed: Vec<OsString> = self.arguments(&folder);
        let recipe = Recipe {
            name: "Postgres",
            program: bin.join("postgres"),
            user,
            arguments: Box::new(move |port| {
                let own = [OsString::from("-p"), port.to_string().into()];
                own.into_iter().chain(fixed.iter().cloned()).collect()
            }),
            is_ready,
            stop_signal: "INT",
            quit_signal: "QUIT",
        };
        Ok(Postgres { instance: Instance::start(recipe, folder, watchdog)? })
    }

    fn arguments(&self, folder: &Folder) -> Vec<OsString> {
        let durable = if self.durability == Durability::Machine { "on" } else { "off" };
        let settings = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", &folder.path().to_string_lossy()),
            ("max_connections", "200"),
            ("shared_buffers", "64MB"),
            ("fsync", durable),
            ("full_page_writes", durable),
            ("logging_collector", "off"),
            ("log_destination", "stderr"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut arguments = vec!["-D".into(), data(folder).into_os_string()];
        for (name, value) in settings.iter().chain(&self.settings) {
            arguments.extend(["-c".into(), format!("{name}={value}").into()]);
        }
        arguments
    }
}

impl Postgres {
    /// Starts a server with the default options: `fsync` off, 200 connections.
    ///
    /// # Errors
    /// As [`PostgresOptions::start`].
    pub fn start() -> Result<Self, Error> {
        Self::options().start()
    }

    /// Options to change before the start.
    #[must_use]
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    /// The URL of the database `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    /// Where it listens. Stays the same over a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        port::local(self.instance.port())
    }

    /// The process id of the postmaster; `None` while it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.instance.pid()
    }

    /// Creates an empty database with a random name and returns its URL.
    ///
    /// # Errors
    /// When the server does not answer, or `psql` is missing and cannot be installed.
    pub fn fresh_database(&self) -> Result<String, Error> {
        create_database(&self.url())
    }

    /// Ends all sessions and shuts down in order (a "fast" shutdown).
    pub fn stop(&self) {
        self.instance.stop();
    }

    /// Starts again with its data, on the same port; stops first when it runs.
    ///
    /// # Errors
    /// When the server does not come up; the message holds the end of its log.
    pub fn restart(&self) -> Result<(), Error> {
        // After a kill, the kernel may need a moment to take the shared memory back.
        let mut outcome = Ok(());
        process::poll_until(std::time::Duration::from_secs(10), || {
            outcome = self.instance.restart();
            !matches!(&outcome, Err(error) if error.to_string().contains("pre-existing shared memory"))
        });
        outcome
    }

    /// Kills every process of the server at once, as a loss of power would.
    pub fn kill(&self) {
        self.instance.kill();
    }

    /// Freezes every process of the server: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.instance.pause();
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.instance.resume();
    }
}

/// Creates a database next to the one `server_url` names, and returns its URL.
pub(crate) fn create_database(server_url: &str) -> Result<String, Error> {
    let name = unique_name("cache_test");
    let created = url::with_path(server_url, &name)?;
    let psql = psql()?;
    let output = Command::new(&psql)
        .args(["--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1", "--command"])
        .arg(format!("CREATE DATABASE {name}"))
        .arg("--dbname")
        .arg(server_url)
        .env("PGCONNECT_TIMEOUT", "10")
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io(format!("cannot run {}", psql.display())))?;
    if output.status.success() {
        return Ok(created);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!("cannot create a database:\n{}", instance::tail(&said, 5))))
}

/// The client beside the server that works, else any.
fn psql() -> Result<PathBuf, Error> {
    let beside = working().map(|bin| bin.join("psql")).filter(|psql| psql.is_file());
    match beside {
        Some(psql) => Ok(psql),
        None => install::find_or_install("psql", Software::PostgresClient, || find::program(&["psql"])),
    }
}

/// The folders to try: the one that worked last, else all that look right.
fn installations() -> Result<Vec<PathBuf>, Error> {
    if let Some(bin) = working() {
        return Ok(vec![bin]);
    }
    install::find_or_install("postgres", Software::Postgres, || {
        Some(find::folders_with(PROGRAMS)).filter(|found| !found.is_empty())
    })
}

static WORKING: Mutex<Option<PathBuf>> = Mutex::new(None);

fn working() -> Option<PathBuf> {
    WORKING.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn remember(bin: &Path) {
    *WORKING.lock().unwrap_or_else(PoisonError::into_inner) = Some(bin.to_owned());
}

fn data(folder: &Folder) -> PathBuf {
    folder.path().join("data")
}

fn init(bin: &Path, folder: &Folder, user: Option<User>) -> Result<(), Error> {
    let program = bin.join("initdb");
    let log = folder.path().join("initdb.log");
    let open = |_| fs::File::create(&log).map_err(Error::io("cannot write the log of initdb"));
    let mut command = Command::new(&program);
    command
        .arg("-D")
        .arg(data(folder))
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(open(())?)
        .stderr(Stdio::piped());
    if let Some(user) = user {
        user.applied_to(&mut command);
    }
    let output = command.output().map_err(Error::io(format!("cannot run {}", program.display())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!("{} failed:\n{}", program.display(), instance::tail(&said, 10))))
}

/// Opens a session as far as the server's first word: `R` (authentication) when it serves, `E` while it starts or stops.
fn is_ready(port: u16) -> bool {
    const PROTOCOL_3: u32 = 3 << 16;
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(8 + parameters.len()).expect("a few bytes");
    let mut question = length.to_be_bytes().to_vec();
    question.extend(PROTOCOL_3.to_be_bytes());
    question.extend(parameters);
    port::ask::<1>(port, &question).is_ok_and(|answer| answer == *b"R")
}
