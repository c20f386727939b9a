//! One side's turn.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::app::{App, ROWS};
use super::side::Side;
use crate::bench::figures::Samples;

/// What a side did in its turns.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// How long each call took.
    pub(super) samples: Samples,
    /// From the first call until the database had the last write.
    time: Duration,
    statements: Option<f64>,
}

impl Taken {
    pub(super) fn add(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.time += other.time;
        self.statements = match (self.statements, other.statements) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
    }

    /// Writes a second.
    pub(super) fn rate(&self) -> f64 {
        self.samples.count() as f64 / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    pub(super) fn statements_each(&self) -> Option<f64> {
        self.statements.map(|statements| statements / self.samples.count().max(1) as f64)
    }
}

/// Writes for a while, and waits until the database has all of it.
pub(super) async fn take(
    app: &App,
    counting: Option<&PgPool>,
    side: Side,
    writers: usize,
    time: Duration,
) -> Result<Taken, String> {
    let before = statements(counting).await?;
    let begin = Instant::now();
    let tasks: Vec<_> =
        (0..writers).map(|writer| tokio::spawn(writing(app.clone(), side, writer, time))).collect();
    let mut taken = Taken::default();
    for task in tasks {
        taken
            .samples
            .extend(task.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?);
    }
    app.drained().await?;
    taken.time = begin.elapsed();
    let after = statements(counting).await?;
    // The question before is one of them.
    taken.statements = before.zip(after).map(|(before, after)| after - before - 1.0);
    Ok(taken)
}

async fn writing(app: App, side: Side, writer: usize, time: Duration) -> sqlx::Result<Samples> {
    let mut rng = fastrand::Rng::new();
    let mut samples = Samples::default();
    let end = Instant::now() + time;
    // Each writer has rows of its own: nobody waits for another's lock.
    let rows = ROWS / 512;
    while Instant::now() < end {
        let id = writer as i64 * rows + rng.i64(0..rows);
        let value = app.next();
        let begin = Instant::now();
        side.write(&app, id, value).await?;
        samples.add(begin.elapsed());
    }
    Ok(samples)
}

/// How many statements Postgres has run.
async fn statements(counting: Option<&PgPool>) -> Result<Option<f64>, String> {
    let Some(pool) = counting else { return Ok(None) };
    let calls = "SELECT sum(calls)::float8 FROM pg_stat_statements";
    sqlx::query_scalar(calls).fetch_one(pool).await.map(Some).map_err(|error| error.to_string())
}
