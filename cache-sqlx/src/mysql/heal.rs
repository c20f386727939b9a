//! Asks MySQL which writers are finished. Refuses to wait: for an idle connection, or for the lock of a writer that is not.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::heal::Healer;
use cache_core::store::{BoxFuture, Fence, Origin};
use cache_core::subject::WriterId;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::pool::PoolConnection;
use sqlx::{Either, MySql, MySqlPool, Row as _};

use super::outcome::{self, MySqlOrigin, Outcome, Row, Server, Verdict};
use super::sweep::Sweep;
use super::{LOCK_WAIT_TIMEOUT, NOT_NOW, number, sql};

/// A reader is waiting behind this question, and without an answer it merely does not fill.
const PATIENCE: Duration = Duration::from_secs(1);

/// Strangers that the log was told of.
const KNOWN_STRANGERS: usize = 16;

/// Lifts fences of MySQL transactions that ended without clearing them: their row in `cache_outcomes` is not locked.
///
/// Never lifts on the word of a read-only server, nor on that of another server than the writer's unless the row has come
/// there, and never without an answer. Only idle connections of the pool are used, so a pool of one that is inside a transaction is
/// simply not asked.
pub struct MySqlHealer {
    pool: MySqlPool,
    name: String,
    sweep: Arc<Sweep>,
    strangers: Mutex<Vec<String>>,
}

impl MySqlHealer {
    /// A healer that asks through this pool, which must lead to the server that the writers write to.
    #[must_use]
    pub fn new(pool: MySqlPool) -> Self {
        let options = pool.connect_options();
        let host = options.get_socket().map_or(options.get_host().into(), |path| path.to_string_lossy());
        let database = options.get_database().unwrap_or_default();
        let name = format!("mysql:{host}:{}:{database}:{}", options.get_port(), options.get_username());
        Self { sweep: Sweep::new(pool.clone()), pool, name, strangers: Mutex::default() }
    }

    async fn ask(&self, writers: Vec<(MySqlOrigin, WriterId)>) -> sqlx::Result<Vec<WriterId>> {
        let Some(connection) = self.pool.try_acquire() else { return Ok(Vec::new()) };
        let outcomes: Vec<Outcome> = writers.iter().map(|(origin, _)| origin.outcome).collect();
        // In a task: a reader that leaves must not leave the connection inside a transaction.
        let question = tokio::spawn(question(connection, outcomes));
        let (server, rows) = question.await.map_err(|_| sqlx::Error::WorkerCrashed)??;
        let mut finished = Vec::new();
        for ((origin, writer), row) in writers.iter().zip(rows) {
            match origin.verdict(&server, row) {
                Verdict::Finished => finished.push(*writer),
                Verdict::Undecided => {}
                Verdict::Stranger => self.tell(origin.server(), &server.name),
            }
            if row == Row::Committed && server.name == origin.server() {
                self.sweep.add([origin.outcome]);
            }
        }
        Ok(finished)
    }

    /// Once for each server: an operator alone knows that it is gone for good.
    fn tell(&self, stranger: &str, here: &str) {
        let mut known = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < KNOWN_STRANGERS && !known.iter().any(|name| name == stranger) {
            known.push(stranger.to_owned());
            tracing::warn!(
                stranger,
                here,
                "fences of writers on another server stay, and what they stand on is not cached: only that server can say that such a writer was rolled back; if it was replaced and never commits again, insert its name into cache_retired"
            );
        }
    }
}

impl fmt::Debug for MySqlHealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlHealer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Healer for MySqlHealer {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_alive(&self) -> bool {
        !self.pool.is_closed()
    }

    fn knows(&self, fence: &Fence) -> bool {
        MySqlOrigin::parse(&fence.origin).is_some()
    }

    fn finished<'a>(&'a self, fences: &'a [Fence]) -> BoxFuture<'a, Vec<WriterId>> {
        Box::pin(async move {
            let known =
                |fence: &Fence| MySqlOrigin::parse(&fence.origin).map(|origin| (origin, fence.writer));
            self.ask(fences.iter().filter_map(known).collect()).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "MySQL did not say which writers are finished");
                Vec::new()
            })
        })
    }

    fn cleared(&self, origin: &Origin) {
        self.sweep.add(MySqlOrigin::parse(origin).map(|origin| origin.outcome));
    }
}

/// The server, and what became of each row. The connection goes back to the pool outside any transaction, or not at all.
async fn question(
    mut connection: PoolConnection<MySql>,
    outcomes: Vec<Outcome>,
) -> sqlx::Result<(Server, Vec<Row>)> {
    match tokio::time::timeout(PATIENCE, rows(&mut connection, &outcomes)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            drop(connection.detach());
            Err(error)
        }
        Err(_) => {
            drop(connection.detach());
            Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
        }
    }
}

async fn rows(connection: &mut MySqlConnection, outcomes: &[Outcome]) -> sqlx::Result<(Server, Vec<Row>)> {
    let mut rows = Vec::with_capacity(outcomes.len());
    loop {
        let (server, more) = once(connection, &outcomes[rows.len()..]).await?;
        rows.extend(more);
        // Each question gets on by one row at least.
        if rows.len() >= outcomes.len() {
            return Ok((server, rows));
        }
    }
}

/// As [`rows`], up to and with the first that is locked.
async fn once(connection: &mut MySqlConnection, outcomes: &[Outcome]) -> sqlx::Result<(Server, Vec<Row>)> {
    let (answers, error) = {
        let mut stream = sqlx::raw_sql(sql::question(outcomes)).fetch_many(&mut *connection);
        let mut answers = Vec::new();
        let mut failed = None;
        while let Some(next) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            match next {
                Ok(Either::Left(_)) => {}
                Ok(Either::Right(row)) => answers.push(row),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        (answers, failed)
    };
    let Some((first, rest)) = answers.split_first() else {
        return Err(error.unwrap_or(sqlx::Error::RowNotFound));
    };
    let server = server(first)?;
    let mut rows = rest.iter().map(row).collect::<sqlx::Result<Vec<_>>>()?;
    if let Some(error) = error {
        if !matches!(number(&error), Some(NOT_NOW | LOCK_WAIT_TIMEOUT)) || rows.len() >= outcomes.len() {
            return Err(error);
        }
        rows.push(Row::Locked);
        sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    }
    Ok((server, rows))
}

fn server(row: &MySqlRow) -> sqlx::Result<Server> {
    let is_off = |text: String| text == "0" || text.eq_ignore_ascii_case("off");
    let engine: Option<String> = row.try_get(3)?;
    Ok(Server {
        name: row.try_get(0)?,
        refuses_writes: !(is_off(row.try_get(1)?) && is_off(row.try_get(2)?)),
        holds_locks: engine.is_some_and(|engine| engine.eq_ignore_ascii_case("InnoDB")),
        retired: outcome::retired(row.try_get(4)?),
    })
}

fn row(row: &MySqlRow) -> sqlx::Result<Row> {
    let count: i64 = row.try_get(0)?;
    Ok(if count == 0 { Row::Absent } else { Row::Committed })
}
