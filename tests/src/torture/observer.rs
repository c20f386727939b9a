//! Looks straight at the database: what it has seen, no read may be older than. Lives in the coordinator, which nobody kills.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    event::{COORDINATOR, Event, Kind},
    rows,
};
use crate::time::now;

/// Between two looks: short beside a write, long enough to leave the database to the instances.
const PAUSE: Duration = Duration::from_millis(1);

/// How long the database may be away.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks at all rows again and again until it is told to stop.
#[derive(Debug)]
pub struct Observer {
    stopped: Arc<AtomicBool>,
    task: JoinHandle<sqlx::Result<Vec<Event>>>,
}

impl Observer {
    /// Begins to look.
    #[must_use]
    pub fn start(pool: PgPool) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(watch(pool, stopped.clone()));
        Self { stopped, task }
    }

    /// What was seen: each version once, when it was first seen.
    ///
    /// # Errors
    /// Those of sqlx.
    pub async fn stop(self) -> sqlx::Result<Vec<Event>> {
        self.stopped.store(true, Relaxed);
        self.task.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }
}

async fn watch(pool: PgPool, stopped: Arc<AtomicBool>) -> sqlx::Result<Vec<Event>> {
    let (mut known, mut events) = (Vec::new(), Vec::new());
    let mut last_answer = Instant::now();
    while !stopped.load(Relaxed) {
        let begin = now();
        let versions = match rows::versions(&pool).await {
            Ok(versions) => versions,
            // It may be restarting; what is not seen accuses nobody.
            Err(_) if last_answer.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let end = now();
        last_answer = Instant::now();
        known.resize(versions.len(), None);
        for ((key, version), known) in (0..).zip(versions).zip(&mut known) {
            if *known != Some(version) {
                *known = Some(version);
                events.push(Event { begin, end, version, key, instance: COORDINATOR, kind: Kind::Seen });
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(events)
}
