//! One run at one level under one nemesis: table, processes, observers, verdict.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use cache_test_support::unique_name;
use sqlx::PgPool;
use tokio::time::Instant;

use super::{
    check::{self, Verdict},
    fleet::{Fleet, Orders},
    ground::Servers,
    log,
    nemesis::Driver,
    observer::Observer,
    options::{Level, Options},
    report::Outcome,
    rows,
};

const OBSERVERS: usize = 2;

/// How long the database may need to end what dead processes left in it.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Reads and writes for a while, under the first nemesis of the options, and judges.
///
/// # Errors
/// What kept the run from being judged.
pub async fn run(servers: &Servers, options: &Options) -> Result<Outcome, String> {
    let database = |error: sqlx::Error| format!("Postgres: {error}");
    let nemesis = options.nemesis();
    let ground = Arc::new(servers.ground(nemesis, options.instances)?);
    let pool = rows::connect(ground.database(), 64, "coordinator").await.map_err(database)?;
    rows::create(&pool, options.keys).await.map_err(database)?;
    let folder = Folder::new().map_err(|error| format!("cannot create a folder for logs: {error}"))?;
    let orders = Orders { options: options.clone(), folder: folder.path.clone() };

    let fleet = waiting({
        let ground = ground.clone();
        move || Fleet::start(&ground, &orders)
    })
    .await?;
    let observers: Vec<_> = (0..OBSERVERS).map(|_| Observer::start(pool.clone())).collect();
    fleet.go();
    let driver = Driver::start(options, &ground, &fleet.troops());
    tokio::time::sleep(options.time).await;
    let strikes = waiting(move || driver.stop()).await?;
    fleet.troops().resume_all();
    let fleet = waiting(move || fleet.stop().map(|()| fleet)).await?;
    settled(&pool).await?;
    let mut seen = Vec::new();
    for observer in observers {
        seen.extend(observer.stop().await.map_err(database)?);
    }
    let truth = rows::versions(&pool).await.map_err(database)?;
    let census = waiting(move || fleet.rest()).await?;
    if rows::versions(&pool).await.map_err(database)? != truth {
        return Err("the database changed while all was quiet".to_owned());
    }

    let verdict = waiting({
        let folder = folder.path.clone();
        move || judge(&folder, seen, &truth)
    })
    .await?;
    let expected = u64::from(options.instances) * u64::from(options.keys) * 4;
    if verdict.rest_reads != expected {
        return Err(format!("{} reads of the quiet system, not {expected}", verdict.rest_reads));
    }
    let strikes = strikes + if nemesis.within.crash > 0.0 { census.crashes } else { 0 } + census.cancelled;
    let mut outcome = Outcome { options: options.clone(), verdict, census, strikes, logs: None };
    let must_explain = options.level == Level::Fresh && outcome.fault().is_some();
    outcome.logs = (options.keep || must_explain).then(|| folder.keep());
    Ok(outcome)
}

/// Waits until no change is under way in the database.
async fn settled(pool: &PgPool) -> Result<(), String> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        match rows::are_settled(pool).await {
            Ok(true) => return Ok(()),
            // Connections that a restart broke are found one by one.
            Ok(false) | Err(_) if Instant::now() < deadline => tokio::time::sleep(POLL).await,
            Ok(false) => {
                return Err(format!("a transaction is still open after {SETTLED_WITHIN:?} of quiet"));
            }
            Err(error) => return Err(format!("Postgres: {error}")),
        }
    }
}

/// Between two looks at something that should come to rest.
const POLL: Duration = Duration::from_millis(10);

fn judge(folder: &std::path::Path, seen: Vec<super::event::Event>, truth: &[u32]) -> Result<Verdict, String> {
    let mut events = log::read_all(folder).map_err(|error| format!("the logs cannot be read: {error}"))?;
    events.extend(seen);
    Ok(check::judge(events, truth))
}

/// Runs what blocks beside the observers.
async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

/// A temporary folder, removed on drop.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    kept: bool,
}

impl Folder {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(unique_name("cache_torture"));
        fs::create_dir(&path)?;
        Ok(Self { path, kept: false })
    }

    fn keep(mut self) -> PathBuf {
        self.kept = true;
        self.path.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            // What is left behind lies in the temporary folder; a destructor has nobody to tell.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The control's least share of stale reads, per million: below it the checker is broken, or there were no races.
pub const LEAST_OF_CONTROL: f64 = 1_000.0;

/// Per million of `whole`.
#[must_use]
pub fn per_million(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 1e6 / whole as f64 }
}

/// Per second.
#[must_use]
pub fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
