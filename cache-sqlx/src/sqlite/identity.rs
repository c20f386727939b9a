//! Which SQLite database a connection has open. Refuses names: a path means another file on another machine, in another
//! container or after a restore.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use cache_core::rng::{Rng, SystemRng};
use cache_core::store::Origin;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnection;

#[cfg_attr(not(unix), path = "file_other.rs")]
#[cfg_attr(unix, path = "file_unix.rs")]
mod file;

/// A database, or several attached to one connection: locked together, so finished together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    name: String,
    /// What a release that knew files by the running kernel only called it.
    former: String,
}

impl Identity {
    pub(super) fn to_origin(&self) -> Origin {
        Origin::new(&format!("sqlite:{}", self.name)).unwrap_or_else(Origin::none)
    }

    /// Whether a fence with this origin stands for a transaction of this database.
    pub(super) fn is_of(&self, origin: &Origin) -> bool {
        let name = origin.as_str().strip_prefix("sqlite:");
        name.is_some_and(|name| name == self.name || name == self.former)
    }
}

/// How a file can be told from others.
#[derive(Debug)]
struct FileId {
    /// Wherever it is mounted, and whatever happens to the machine.
    born: Option<String>,
    /// While this kernel runs.
    here: String,
}

/// Whether the origin is a SQLite database at all.
pub(super) fn is_ours(origin: &Origin) -> bool {
    origin.as_str().starts_with("sqlite:")
}

/// Identity of a database in memory: the pool's, since nothing else can reach it.
pub(super) fn of_pool(pool: &SqlitePool) -> String {
    // Two pools that live at the same time never share their options; a pool that took over the address of a dropped one
    // finds fences of a database that is gone with its readers.
    format!("memory:{}:{:p}", process(), Arc::as_ptr(&pool.connect_options()))
}

/// Asks the connection what it has open; `home` stands for databases in memory. `None` where that is needed and not there.
pub(super) async fn of_connection(
    connection: &mut SqliteConnection,
    home: Option<&str>,
) -> sqlx::Result<Option<Identity>> {
    let files: Vec<String> =
        sqlx::query_scalar("SELECT file FROM pragma_database_list WHERE name <> 'temp' ORDER BY seq")
            .fetch_all(connection)
            .await?;
    let (mut names, mut formers) = (Vec::with_capacity(files.len()), Vec::with_capacity(files.len()));
    for path in files {
        let named = if path.is_empty() {
            home.map(|home| (home.to_owned(), home.to_owned()))
        } else {
            of_file(path.into())
        };
        let Some((name, former)) = named else { return Ok(None) };
        names.push(name);
        formers.push(former);
    }
    Ok(Some(Identity { name: names.join("+"), former: formers.join("+") }))
}

/// Its name, and its former one.
fn of_file(path: PathBuf) -> Option<(String, String)> {
    let id = file::identity(&path)?;
    let former = format!("{}:{}", machine(), id.here);
    Some((id.born.map_or_else(|| former.clone(), |born| format!("file:{born}")), former))
}

/// Random, once a process.
fn process() -> &'static str {
    static PROCESS: OnceLock<String> = OnceLock::new();
    PROCESS.get_or_init(|| format!("{:016x}", SystemRng::default().bits()))
}

/// The running kernel's own random id; without one, a file is known to this process only.
fn machine() -> &'static str {
    static MACHINE: OnceLock<String> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let id: String = boot.chars().filter(char::is_ascii_hexdigit).collect();
        if id.len() == 32 { id } else { process().to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(name: &str) -> Origin {
        Origin::new(&format!("sqlite:{name}")).unwrap()
    }

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("cache_sqlx_{name}_{}", process()))
    }

    #[test]
    fn a_file_keeps_its_name_when_the_machine_restarts_or_it_is_moved() {
        let (here, there) = (path("here"), path("there"));
        std::fs::write(&here, "").unwrap();
        let (name, former) = of_file(here.clone()).unwrap();
        assert!(former.starts_with(machine()));
        let keeps_it = cfg!(unix) && std::fs::metadata(&here).unwrap().created().is_ok();
        assert_eq!(name.contains(machine()), !keeps_it, "{name}");
        std::fs::rename(&here, &there).unwrap();
        assert_eq!(of_file(there.clone()).unwrap().0, name);
        std::fs::copy(&there, &here).unwrap();
        assert_ne!(of_file(here.clone()).unwrap().0, name, "a copy is another database");
        std::fs::remove_file(here).unwrap();
        std::fs::remove_file(there).unwrap();
    }

    #[test]
    fn fences_of_earlier_releases_are_known_by_their_name() {
        let identity = Identity { name: "file:1.2+file:3.4".into(), former: "b:1.1+b:2.3".into() };
        assert_eq!(identity.to_origin(), origin("file:1.2+file:3.4"));
        for (name, known) in [
            ("file:1.2+file:3.4", true),
            ("b:1.1+b:2.3", true),
            ("file:1.2", false),
            ("b:1.1+file:3.4", false),
        ] {
            assert_eq!(identity.is_of(&origin(name)), known, "{name}");
        }
        assert!(!identity.is_of(&Origin::none()));
    }
}
