//! Opens a connection and learns whose it is before anybody else may use it; asks again later. Refuses to keep trying.

use std::sync::Arc;

use redis::{Pipeline, ServerError, Value, cmd};
use tokio::task::JoinHandle;

use super::address::{Access, Endpoint, Login};
use super::dial::Dialled;
use super::error::{Fault, Refusal};
use super::finding::{Finding, findings};
use super::identity::{self, Info, Mode};
use super::link::{Link, Step};
use super::node::Place;
use super::{reply, script};
use crate::subject::Epoch;
use crate::time::Clock;

/// A connection nobody has used yet; closed when dropped, whoever still holds the link.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) link: Arc<Link>,
    /// Ends when the connection does.
    pub(super) driver: JoinHandle<()>,
    /// What to know about the server.
    pub(super) findings: Vec<Finding>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.link.retire();
        self.driver.abort();
    }
}

/// Connects, logs in, reads the server's identity and loads the scripts.
pub(super) async fn open(server: &Endpoint, place: &Place, clock: Arc<dyn Clock>) -> Result<Opened, Refusal> {
    let Dialled { mut connection, driver } = place.dialer.dial(server).await?;
    let questions = questions(&place.access, place.mode);
    let asked = clock.monotonic();
    let replies = connection.send_packed_commands(&questions, 0, questions.len()).await;
    let replies = replies.map_err(|error| place.dialer.silenced(&error))?;
    // AUTH only has to be accepted.
    let answers = replies.iter().skip(usize::from(place.access.login.is_some()));
    // A sentinel or a node of a cluster refuses some of the questions; that it is one is the better reason.
    if let Some(Ok(server)) = answers.clone().next().map(text) {
        identity::is_usable(Info(server), place.mode)?;
    }
    for (reply, question) in replies.iter().zip(questions.cmd_iter()) {
        if let Value::ServerError(error) = reply {
            return Err(refused(error, question));
        }
    }
    let cluster = (place.mode == Mode::Cluster).then(|| answers.clone().nth(5)).flatten();
    let cluster = cluster.map(text).transpose()?;
    let [server, replication, memory, persistence, time] = answers.take(5).collect::<Vec<_>>()[..] else {
        return Err(Refusal::Away("it answered less than it was asked".into()));
    };
    let replication = Info(text(replication)?);
    let epoch = identity::epoch(Info(text(server)?), replication, cluster.map(Info))?;
    let findings = findings(replication, Info(text(memory)?), Info(text(persistence)?));
    let link = Arc::new(Link::new(connection, epoch, clock));
    link.tells(reply::time(time).map_err(|error| Refusal::Away(error.to_string()))?, asked);
    match driver.take() {
        Some(driver) => Ok(Opened { link, driver, findings }),
        None => Err(Refusal::Away("the connection was closed".into())),
    }
}

fn questions(access: &Access, mode: Mode) -> Pipeline {
    let mut pipeline = Pipeline::new();
    if let Some(Login { user, password }) = &access.login {
        pipeline.cmd("AUTH").arg(user).arg(password);
    }
    for section in ["server", "replication", "memory", "persistence"] {
        pipeline.cmd("INFO").arg(section);
    }
    pipeline.cmd("TIME");
    if mode == Mode::Cluster {
        pipeline.cmd("CLUSTER").arg("INFO");
    }
    if access.database != 0 {
        pipeline.cmd("SELECT").arg(access.database);
    }
    for script in script::all() {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.source);
    }
    pipeline
}

/// Asks a connection in use again: still the same dataset, still the master? Sets the link's clock.
pub(super) async fn probe(link: &Link, mode: Mode, clock: &dyn Clock) -> Result<(), Refusal> {
    let mut steps = Vec::with_capacity(4);
    for section in ["server", "replication"] {
        let mut info = cmd("INFO");
        info.arg(section);
        steps.push(Step::Read(info));
    }
    steps.push(Step::Read(cmd("TIME")));
    if mode == Mode::Cluster {
        let mut info = cmd("CLUSTER");
        info.arg("INFO");
        steps.push(Step::Read(info));
    }
    let asked = clock.monotonic();
    let mut replies = link.send_anyway(&steps).await.map_err(|error| Refusal::Away(error.to_string()))?;
    for (reply, step) in replies.iter().zip(&steps) {
        if let (Value::ServerError(error), Step::Read(question)) = (reply, step) {
            return Err(refused(error, question));
        }
    }
    let cluster = (mode == Mode::Cluster).then(|| replies.pop().unwrap_or_default());
    let [server, replication, time] = replies.as_slice() else {
        return Err(Refusal::Away("it answered less than it was asked".into()));
    };
    let cluster = cluster.as_ref().map(text).transpose()?;
    let epoch: Epoch = identity::epoch(Info(text(server)?), Info(text(replication)?), cluster.map(Info))?;
    if epoch != link.epoch {
        return Err(Refusal::Renewed("it holds another dataset than before".into()));
    }
    link.tells(reply::time(time).map_err(|error| Refusal::Away(error.to_string()))?, asked);
    Ok(())
}

pub(super) fn text(reply: &Value) -> Result<&str, Refusal> {
    let text = match reply {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::VerbatimString { text, .. } => Some(text.as_str()),
        _ => None,
    };
    text.ok_or_else(|| Refusal::Unusable("it does not answer INFO as Redis does".into()))
}

pub(super) fn refused(error: &ServerError, question: &redis::Cmd) -> Refusal {
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
