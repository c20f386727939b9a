//! What a write costs in each strategy, on a Postgres that syncs: latency, writes a second, statements. Refuses to count a queued write
//! as made before the database has it: a slice of write-behind ends when its queue is empty.

mod app;
mod side;
mod slice;

use std::time::Duration;

use cache_test_support::{Postgres, Redis};
use sqlx::PgPool;

use self::app::App;
use self::side::Side;
use self::slice::Taken;
use super::figures::{Line, TIMES};

/// Writers at once: one, as many as share the sync of a commit, and as many as a busy service has requests under way.
const CASES: [(&str, usize); 3] = [("1 writer", 1), ("32 writers", 32), ("512 writers", 512)];
/// Sides take turns of this length.
const SLICE: Duration = Duration::from_millis(500);
/// What write-through may add to a bare transaction at the median.
const ADDED_MS: f64 = 0.5;
/// How many times the writes of bare updates write-behind should make.
const GAIN: f64 = 10.0;

const BENCH: &str = "writes";

/// Servers of the benchmark's own: what is compared is what a sync costs.
pub(super) struct Servers {
    pub(super) postgres: Postgres,
    /// The cache: in memory alone.
    pub(super) cache: Redis,
    /// A journal: each record is synced before it is acknowledged.
    pub(super) journal: Redis,
    pub(super) counts_statements: bool,
}

impl Servers {
    fn start() -> Result<Self, String> {
        let durable = || Postgres::options().durable();
        let preload = ("shared_preload_libraries", "pg_stat_statements");
        let (postgres, counts_statements) = match durable().setting(preload.0, preload.1).start() {
            Ok(postgres) => (postgres, true),
            Err(_) => (durable().start().map_err(|error| error.to_string())?, false),
        };
        let arguments =
            ["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"];
        let journal = Redis::options().args(arguments).start().map_err(|error| error.to_string())?;
        let cache = Redis::start().map_err(|error| error.to_string())?;
        Ok(Self { postgres, cache, journal, counts_statements })
    }
}

pub(super) async fn run(time: Duration) -> Result<Vec<Line>, String> {
    let servers = tokio::task::spawn_blocking(Servers::start).await.map_err(|error| error.to_string())??;
    let app = App::start(&servers).await?;
    eprintln!(
        "==> Postgres: fsync on; file journal: synced before each acknowledgement; Redis journal: appendfsync always; cache: no persistence"
    );
    if !servers.counts_statements {
        eprintln!("==> statements are not counted: this Postgres has no pg_stat_statements");
    }
    let mut lines = Vec::new();
    for (case, writers) in CASES {
        eprintln!("==> {case}: {} s for each of {} sides, in turns", time.as_secs(), Side::ALL.len());
        let taken = measured(&app, &servers, writers, time).await?;
        lines.extend(lines_of(case, taken));
    }
    app.check().await?;
    Ok(lines)
}

/// Each side in turns until each has taken its time.
async fn measured(
    app: &App,
    servers: &Servers,
    writers: usize,
    time: Duration,
) -> Result<Vec<Taken>, String> {
    // Warms connections and statements.
    for side in Side::ALL {
        slice::take(app, None, side, writers, SLICE / 2).await?;
    }
    let counting = match servers.counts_statements {
        true => Some(PgPool::connect(&servers.postgres.url()).await.map_err(|error| error.to_string())?),
        false => None,
    };
    let mut taken: Vec<Taken> = Side::ALL.iter().map(|_| Taken::default()).collect();
    for _ in 0..(time.as_millis() / SLICE.as_millis()).max(1) {
        for (side, taken) in Side::ALL.into_iter().zip(&mut taken) {
            taken.add(slice::take(app, counting.as_ref(), side, writers, SLICE).await?);
        }
    }
    Ok(taken)
}

fn lines_of(case: &'static str, mut taken: Vec<Taken>) -> Vec<Line> {
    let line =
        |side, value, unit, ratio, target| Line { bench: BENCH, case, side, value, unit, ratio, target };
    let (mut lines, mut medians, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for (side, taken) in Side::ALL.into_iter().zip(&mut taken) {
        let [p50, p99, rate, statements] = side.figures();
        let (median, late) = (taken.samples.percentile(0.5), taken.samples.percentile(0.99));
        medians.push(median);
        rates.push(taken.rate());
        lines.push(line(p50, median, "ms", Some(median / medians[0]), None));
        lines.push(line(p99, late, "ms", None, None));
        lines.push(line(rate, taken.rate(), "/s", Some(taken.rate() / rates[0]), None));
        lines.extend(taken.statements_each().map(|each| line(statements, each, "", None, None)));
    }
    let at = |side: Side| Side::ALL.iter().position(|known| *known == side).unwrap_or_default();
    let added = |to: Side| medians[at(Side::Through)] - medians[at(to)];
    lines.push(line("through-begin", added(Side::Transaction), "ms", None, Some(ADDED_MS)));
    lines.push(line("through-update", added(Side::Update), "ms", None, Some(ADDED_MS)));
    for (name, side) in [("file/update", Side::File), ("redis/update", Side::Redis)] {
        lines.push(line(name, rates[at(side)] / rates[0], TIMES, None, Some(GAIN)));
    }
    lines
}
