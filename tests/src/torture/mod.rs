//! Readers and writers on hot keys, in processes that are killed; every read is judged.
//!
//! The coordinator ([`run`]) starts servers and instances, restarts what dies, looks at the database all the while, and in
//! the end [judges](check) the merged logs. An instance ([`instance`]) is a process of the same program that reads and writes
//! through the real cache ([`fresh`]) or through plain cache-aside ([`aside`]), and now and then kills itself ([`reaper`]).
//!
//! Times are those of the kernel's monotonic clock, which all processes of a host share and nobody can set
//! ([`crate::time`]), so no clock step can make a false witness.

pub mod aside;
pub mod check;
pub mod event;
pub mod fleet;
pub mod fresh;
pub mod instance;
pub mod log;
pub mod observer;
pub mod options;
pub mod reaper;
pub mod report;
pub mod round;
pub mod rows;

use options::{Level, Options};
use report::Outcome;

/// The longest slice of cache-aside that follows a run at another level.
const CONTROL: std::time::Duration = std::time::Duration::from_secs(5);

/// Starts the servers and runs what was asked for, at `fresh` with the control after it. Calls `report` after each.
///
/// # Errors
/// What kept the run from being judged.
pub async fn run(options: &Options, mut report: impl FnMut(&Outcome)) -> Result<(), String> {
    let mut options = options.clone();
    if options.seed == 0 {
        options.seed = fastrand::u64(1..1 << 32);
    }
    let servers = round::Servers::start()?;
    report(&round::run(&servers, &options).await?);
    if options.level != Level::Aside {
        let time = options.time.min(CONTROL);
        report(&round::run(&servers, &Options { level: Level::Aside, time, ..options }).await?);
    }
    Ok(())
}
