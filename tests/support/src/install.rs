//! Installs what is missing with the system's package manager, when that is allowed. Says on stderr what it does.

use std::{
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use crate::{Error, find, user};

/// What can be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Software {
    Postgres,
    PostgresClient,
    Redis,
    Memcached,
    MariaDb,
}

/// One package manager: how it is called, and what the packages are called.
struct Packager {
    program: &'static str,
    /// Run first; allowed to fail (a broken foreign repository does not matter if ours is there).
    refresh: &'static [&'static str],
    install: &'static [&'static str],
    privilege: Privilege,
    postgres: &'static [&'static str],
    postgres_client: &'static [&'static str],
    /// Each name is an alternative; several distributions ship Valkey in Redis' place.
    redis: &'static [&'static str],
    memcached: &'static [&'static str],
    /// The smaller package starts no service.
    mariadb: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Privilege {
    Root,
    /// The manager itself refuses root.
    NotRoot,
}

const PACKAGERS: &[Packager] = &[
    Packager {
        program: "apt-get",
        refresh: &["update", "-q"],
        install: &["install", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"],
        privilege: Privilege::Root,
        postgres: &["postgresql"],
        postgres_client: &["postgresql-client"],
        redis: &["redis-server", "valkey-server", "valkey"],
        memcached: &["memcached"],
        mariadb: &["mariadb-server-core", "mariadb-server"],
    },
    Packager {
        program: "dnf",
        refresh: &[],
        install: &["install", "-y"],
        privilege: Privilege::Root,
        postgres: &["postgresql-server"],
        postgres_client: &["postgresql"],
        redis: &["redis", "valkey"],
        memcached: &["memcached"],
        mariadb: &["mariadb-server"],
    },
    Packager {
        program: "apk",
        refresh: &["update"],
        install: &["add"],
        privilege: Privilege::Root,
        postgres: &["postgresql"],
        postgres_client: &["postgresql-client"],
        redis: &["redis", "valkey"],
        memcached: &["memcached"],
        mariadb: &["mariadb"],
    },
    Packager {
        program: "pacman",
        refresh: &["-Sy", "--noconfirm"],
        install: &["-S", "--needed", "--noconfirm"],
        privilege: Privilege::Root,
        postgres: &["postgresql"],
        postgres_client: &["postgresql-libs"],
        redis: &["redis", "valkey"],
        memcached: &["memcached"],
        mariadb: &["mariadb"],
    },
    Packager {
        program: "brew",
        refresh: &[],
        install: &["install"],
        privilege: Privilege::NotRoot,
        postgres: &["postgresql@17"],
        postgres_client: &["libpq"],
        redis: &["redis", "valkey"],
        memcached: &["memcached"],
        mariadb: &["mariadb"],
    },
];

/// Keeps Debian's packages from asking questions and, where services are started the old way, from starting one.
const ENVIRONMENT: &[&str] = &["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "HOMEBREW_NO_AUTO_UPDATE=1"];

/// Looks with `find`; when that finds nothing, installs `software` and looks again.
pub(crate) fn find_or_install<T>(
    program: &'static str,
    software: Software,
    find: impl Fn() -> Option<T>,
) -> Result<T, Error> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if let Some(found) = find() {
        return Ok(found);
    }
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = find() {
        return Ok(found);
    }
    // A package's own service may fail to start and fail the installation with it: what counts is the program.
    let outcome = install(software, &find);
    find().ok_or_else(|| Error::Missing {
        program,
        advice: outcome
            .err()
            .unwrap_or_else(|| "its package is installed, but the program is not found".to_owned()),
    })
}

fn install<T>(software: Software, find: &impl Fn() -> Option<T>) -> Result<(), String> {
    match PACKAGERS.iter().find(|packager| find::on_path(packager.program)) {
        Some(packager) => install_with(packager, software, find),
        None => Err(format!("install {} and see that it is on PATH", software.described())),
    }
}

fn install_with<T>(
    packager: &Packager,
    software: Software,
    find: &impl Fn() -> Option<T>,
) -> Result<(), String> {
    let packages = packager.packages(software);
    let verb = packager.install.first().copied().unwrap_or_default();
    let by_hand = format!("`{} {verb} {}`", packager.program, packages[0]);
    let prefix = packager.prefix().ok_or_else(|| match packager.privilege {
        Privilege::Root => format!("install it as root with {by_hand} (no root, no password-less sudo)"),
        Privilege::NotRoot => format!("install it with {by_hand} (not as root)"),
    })?;
    if !packager.refresh.is_empty() {
        let _ = packager.run(&prefix, packager.refresh, None);
    }
    let mut failure = String::new();
    for package in packages {
        match packager.run(&prefix, packager.install, Some(package)) {
            Ok(()) => return Ok(()),
            Err(_) if find().is_some() => return Ok(()),
            Err(error) => failure = error,
        }
    }
    Err(format!("installing it failed ({failure}); try {by_hand}"))
}

impl Packager {
    fn packages(&self, software: Software) -> &'static [&'static str] {
        match software {
            Software::Postgres => self.postgres,
            Software::PostgresClient => self.postgres_client,
            Software::Redis => self.redis,
            Software::Memcached => self.memcached,
            Software::MariaDb => self.mariadb,
        }
    }

    /// What to put before the command, or `None` when we may not run it.
    fn prefix(&self) -> Option<Vec<&'static str>> {
        let mut prefix = match (self.privilege, user::is_root()) {
            (Privilege::Root, true) | (Privilege::NotRoot, false) => vec![],
            (Privilege::Root, false) => vec!["sudo", "-n"],
            (Privilege::NotRoot, true) => return None,
        };
        if !prefix.is_empty() && !succeeds(&["sudo", "-n", "true"]) {
            return None;
        }
        prefix.push("env");
        prefix.extend(ENVIRONMENT);
        Some(prefix)
    }

    fn run(&self, prefix: &[&str], arguments: &[&str], package: Option<&str>) -> Result<(), String> {
        let line: Vec<&str> = [&[self.program], arguments].concat().into_iter().chain(package).collect();
        let shown = line.join(" ");
        eprintln!("==> {shown}");
        let output = Command::new(prefix[0])
            .args(&prefix[1..])
            .args(&line)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("`{shown}`: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        Err(format!("`{shown}`: {}, {}", output.status, last.trim()))
    }
}

impl Software {
    fn described(self) -> &'static str {
        match self {
            Self::Postgres => "the Postgres server (13 or later)",
            Self::PostgresClient => "the Postgres client `psql`",
            Self::Redis => "the Redis server (or Valkey)",
            Self::Memcached => "memcached",
            Self::MariaDb => "the MariaDB server (10.6 or later)",
        }
    }
}

fn succeeds(line: &[&str]) -> bool {
    Command::new(line[0])
        .args(&line[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn every_manager_knows_a_package_for_everything() {
        for packager in PACKAGERS {
            for software in [
                Software::Postgres,
                Software::PostgresClient,
                Software::Redis,
                Software::Memcached,
                Software::MariaDb,
            ] {
                assert!(!packager.packages(software).is_empty(), "{} {software:?}", packager.program);
            }
        }
    }

    /// A manager that is a shell script: it "installs" the package `exit 0` and no other.
    fn shell(redis: &'static [&'static str]) -> Packager {
        let privilege = if user::is_root() { Privilege::Root } else { Privilege::NotRoot };
        let (program, install) = ("sh", &["-c"]);
        Packager { program, refresh: &["-c", "exit 4"], install, privilege, redis, ..PACKAGERS[0] }
    }

    #[test]
    fn the_first_package_that_can_be_installed_is_enough() {
        let absent = || None::<()>;
        assert!(install_with(&shell(&["exit 3", "exit 0"]), Software::Redis, &absent).is_ok());
        assert!(install_with(&shell(&["exit 0", "exit 3"]), Software::Redis, &absent).is_ok());
    }

    #[test]
    fn a_failed_installation_that_left_the_program_is_good_enough() {
        assert!(install_with(&shell(&["exit 3"]), Software::Redis, &|| Some(())).is_ok());
    }

    #[test]
    fn a_failed_installation_says_what_the_manager_said() {
        let packager = shell(&["exit 3", "echo no space left >&2; exit 5"]);
        let error = install_with(&packager, Software::Redis, &|| None::<()>).unwrap_err();
        assert!(error.contains("exit status: 5, no space left"), "{error}");
    }

    #[test]
    fn what_is_there_is_not_installed() {
        let looked = Cell::new(0);
        let found = find_or_install("sh", Software::Redis, || {
            looked.set(looked.get() + 1);
            Some("found")
        });
        assert_eq!((found.unwrap(), looked.get()), ("found", 1));
    }
}
