//! Opens a connection and learns whose it is before anybody else may use it; asks again later. Refuses to keep trying.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, RedisError, ServerError, Value, cmd};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::address::{Access, Endpoint, Login};
use super::error::{Fault, Refusal};
use super::identity::{self, Info, Mode};
use super::link::{Link, Step};
use super::{reply, script};
use crate::subject::Epoch;
use crate::time::Clock;

/// Commands that may wait for the connection's task; more callers than that wait for their turn.
const QUEUE: usize = 1024;

/// A connection nobody has used yet; closed when dropped, whoever still holds the link.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) link: Arc<Link>,
    /// Ends when the connection does.
    pub(super) driver: JoinHandle<()>,
    /// The eviction policy, if it throws fences away.
    pub(super) evicts_fences: Option<String>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.link.retire();
        self.driver.abort();
    }
}

/// Aborts a task unless it was taken over.
struct Driver(Option<JoinHandle<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Connects, logs in, reads the server's identity and loads the scripts.
pub(super) async fn open(
    server: &Endpoint,
    access: &Access,
    mode: Mode,
    clock: Arc<dyn Clock>,
) -> Result<Opened, Refusal> {
    let stream = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(away)?;
    stream.set_nodelay(true).map_err(away)?;
    // Credentials are sent below: the client would hide the server's own words.
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE);
    let opened = MultiplexedConnection::new_with_config(&settings, stream, config).await;
    let (mut connection, driver) = opened.map_err(lost)?;
    let mut driver = Driver(Some(tokio::spawn(driver)));

    let questions = questions(access);
    let asked = clock.monotonic();
    let replies = connection.send_packed_commands(&questions, 0, questions.len()).await.map_err(lost)?;
    for (reply, question) in replies.iter().zip(questions.cmd_iter()) {
        if let Value::ServerError(error) = reply {
            return Err(refused(error, question));
        }
    }
    // The last four; what came before has only to be accepted.
    let answers = replies.len().checked_sub(4).and_then(|at| replies.get(at..));
    let Some([server, replication, memory, time]) = answers else {
        return Err(Refusal::Away("it answered less than it was asked".into()));
    };
    let server = text(server)?;
    identity::is_usable(Info(server), mode)?;
    let epoch = identity::epoch(Info(server), Info(text(replication)?))?;
    let evicts_fences = identity::evicts_fences(Info(text(memory)?)).map(str::to_owned);
    let link = Arc::new(Link::new(connection, epoch, clock));
    link.tells(reply::time(time).map_err(|error| Refusal::Away(error.to_string()))?, asked);
    match driver.0.take() {
        Some(driver) => Ok(Opened { link, driver, evicts_fences }),
        None => Err(Refusal::Away("the connection was closed".into())),
    }
}

fn questions(access: &Access) -> Pipeline {
    let mut pipeline = Pipeline::new();
    if let Some(Login { user, password }) = &access.login {
        pipeline.cmd("AUTH").arg(user).arg(password);
    }
    if access.database != 0 {
        pipeline.cmd("SELECT").arg(access.database);
    }
    for script in script::all() {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.source);
    }
    for section in ["server", "replication", "memory"] {
        pipeline.cmd("INFO").arg(section);
    }
    pipeline.cmd("TIME");
    pipeline
}

/// Asks a connection in use again: still the same dataset, still the master? Sets the link's clock.
pub(super) async fn probe(link: &Link, clock: &dyn Clock) -> Result<(), Refusal> {
    let mut steps = Vec::with_capacity(3);
    for section in ["server", "replication"] {
        let mut info = cmd("INFO");
        info.arg(section);
        steps.push(Step::Read(info));
    }
    steps.push(Step::Read(cmd("TIME")));
    let asked = clock.monotonic();
    let replies = link.send_all(&steps).await.map_err(|error| Refusal::Away(error.to_string()))?;
    for (reply, step) in replies.iter().zip(&steps) {
        if let (Value::ServerError(error), Step::Read(question)) = (reply, step) {
            return Err(refused(error, question));
        }
    }
    let [server, replication, time] = replies.as_slice() else {
        return Err(Refusal::Away("it answered less than it was asked".into()));
    };
    let epoch: Epoch = identity::epoch(Info(text(server)?), Info(text(replication)?))?;
    if epoch != link.epoch {
        return Err(Refusal::Away("it holds another dataset than before".into()));
    }
    link.tells(reply::time(time).map_err(|error| Refusal::Away(error.to_string()))?, asked);
    Ok(())
}

fn text(reply: &Value) -> Result<&str, Refusal> {
    let text = match reply {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::VerbatimString { text, .. } => Some(text.as_str()),
        _ => None,
    };
    text.ok_or_else(|| Refusal::Unusable("it does not answer INFO as Redis does".into()))
}

fn refused(error: &ServerError, question: &redis::Cmd) -> Refusal {
    let details = error.details().unwrap_or_default();
    // The name alone: the arguments of AUTH are nobody's business.
    let name = match question.args_iter().next() {
        Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name),
        _ => "a command".into(),
    };
    match Fault::of(error) {
        Fault::Gone(refusal) => refusal,
        _ if details.contains("max number of clients") => Refusal::Away(details.into()),
        Fault::Rejected(said) if matches!(error.code(), "ERR" | "NOPERM" | "DENIED") => {
            Refusal::Unusable(format!("it refused {name}: {said}"))
        }
        _ => Refusal::Away(format!("it refused {name}: {} {details}", error.code())),
    }
}

fn away(error: std::io::Error) -> Refusal {
    Refusal::Away(error.to_string())
}

fn lost(error: RedisError) -> Refusal {
    Refusal::Away(error.to_string())
}
