//! A private MariaDB server.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    Error, find,
    folder::Folder,
    install::{self, Software},
    instance::{self, Instance, Recipe},
    port,
    process::Watchdog,
    user::{self, User},
};

/// A MariaDB server of one's own, stopped and removed when dropped. Its superuser is `root`, without a password.
///
/// ```no_run
/// let mariadb = cache_test_support::MariaDb::start()?;
/// println!("{}", mariadb.url());
/// # Ok::<(), cache_test_support::Error>(())
/// ```
#[derive(Debug)]
pub struct MariaDb {
    instance: Instance,
}

/// How a [`MariaDb`] differs from a small, fast, forgetful one.
#[derive(Clone, Debug, Default)]
pub struct MariaDbOptions {
    arguments: Vec<OsString>,
}

impl MariaDbOptions {
    /// More arguments of the command line, for instance `["--binlog-format=STATEMENT", "--log-bin"]`; they win over the defaults.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Finds or installs MariaDB and starts it.
    ///
    /// # Errors
    /// When it is missing and cannot be installed, or does not start; the message holds the end of its log.
    pub fn start(self) -> Result<MariaDb, Error> {
        let (server, installer) = programs()?;
        // Like Postgres it refuses root.
        let user = user::for_server()?;
        let folder = Folder::new("cache_mariadb")?;
        if let Some(user) = user {
            user.own(folder.path())?;
        }
        let watchdog = Watchdog::start(folder.path(), "KILL")?;
        init(&installer, &folder, user)?;
        // There is no user for 127.0.0.1 in a new data folder, and names are not looked up.
        let grants = folder.path().join("grants.sql");
        let text = "CREATE OR REPLACE USER 'root'@'127.0.0.1';\n\
                    GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n";
        fs::write(&grants, text).map_err(Error::io("cannot write the server's first statements"))?;
        let fixed = arguments(&folder, &grants);
        let recipe = Recipe {
            name: "MariaDB",
            program: server,
            user,
            arguments: Box::new(move |port| {
                let mut all = fixed.clone();
                all.push(format!("--port={port}").into());
                all.extend(self.arguments.iter().cloned());
                all
            }),
            is_ready,
            stop_signal: "TERM",
            quit_signal: "KILL",
        };
        Ok(MariaDb { instance: Instance::start(recipe, folder, watchdog)? })
    }
}

impl MariaDb {
    /// Starts a server with the default options: nothing is synced, no binary log.
    ///
    /// # Errors
    /// As [`MariaDbOptions::start`].
    pub fn start() -> Result<Self, Error> {
        Self::options().start()
    }

    /// Options to change before the start.
    #[must_use]
    pub fn options() -> MariaDbOptions {
        MariaDbOptions::default()
    }

    /// The URL of the server, without a database: create one for each test.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mysql://root@{}", self.address())
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

    /// Starts again with its data, on the same port; stops first when it runs.
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

/// The server, and what makes its data folder.
fn programs() -> Result<(PathBuf, PathBuf), Error> {
    install::find_or_install("mariadbd", Software::MariaDb, || {
        Some((find::program(&["mariadbd"])?, find::file("mariadb-install-db")?))
    })
}

fn data(folder: &Folder) -> PathBuf {
    folder.path().join("data")
}

fn option(name: &str, path: &Path) -> OsString {
    let mut text = OsString::from(name);
    text.push(path);
    text
}

fn arguments(folder: &Folder, grants: &Path) -> Vec<OsString> {
    let plain = [
        "--no-defaults",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--skip-log-bin",
        "--performance-schema=OFF",
        "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=16M",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-fast-shutdown=2",
        "--innodb-doublewrite=OFF",
    ];
    let mut arguments: Vec<OsString> = plain.map(OsString::from).into();
    arguments.extend([
        option("--datadir=", &data(folder)),
        option("--tmpdir=", folder.path()),
        option("--socket=", &folder.path().join("socket")),
        option("--pid-file=", &folder.path().join("pid")),
        option("--init-file=", grants),
    ]);
    arguments
}

fn init(program: &Path, folder: &Folder, user: Option<User>) -> Result<(), Error> {
    let log = folder.path().join("install.log");
    let open = || fs::File::create(&log).map_err(Error::io("cannot write the log of mariadb-install-db"));
    let mut command = Command::new(program);
    command
        .arg("--no-defaults")
        .arg(option("--datadir=", &data(folder)))
        .arg(option("--tmpdir=", folder.path()))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
        .args(["--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0"])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(Stdio::piped());
    if let Some(user) = user {
        user.applied_to(&mut command);
    }
    let output = command.output().map_err(Error::io(format!("cannot run {}", program.display())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(&log).unwrap_or_default() + &String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!("{} failed:\n{}", program.display(), instance::tail(&said, 10))))
}

/// The server speaks first: a packet that begins with its length, a zero and the protocol's version, 10.
fn is_ready(port: u16) -> bool {
    const PROTOCOL: u8 = 10;
    port::ask::<5>(port, b"").is_ok_and(|hello| hello[3..] == [0, PROTOCOL])
}
