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
pub(super) struct Identity(String);

impl Identity {
    pub(super) fn to_origin(&self) -> Origin {
        Origin::new(&format!("sqlite:{}", self.0)).unwrap_or_else(Origin::none)
    }

    /// Whether a fence with this origin stands for a transaction of this database.
    pub(super) fn is_of(&self, origin: &Origin) -> bool {
        is_ours(origin) && self.to_origin() == *origin
    }
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
    let mut parts = Vec::with_capacity(files.len());
    for path in files {
        let part = if path.is_empty() { home.map(str::to_owned) } else { of_file(path.into()) };
        let Some(part) = part else { return Ok(None) };
        parts.push(part);
    }
    Ok(Some(Identity(parts.join("+"))))
}

fn of_file(path: PathBuf) -> Option<String> {
    Some(format!("{}:{}", machine(), file::identity(&path)?))
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
