//! Asks a node of the URL about its cluster. Refuses nothing but what is no node: a replica, too, knows who serves what.

use redis::{Pipeline, Value};

use super::super::address::{Access, Endpoint, Login};
use super::super::dial::{Dialer, Dialled};
use super::super::error::Refusal;
use super::super::identity::{Info, Mode, is_usable};
use super::super::open::{refused, text};
use super::view::View;

/// Connects, asks and closes.
pub(super) async fn ask(server: &Endpoint, dialer: &Dialer, access: &Access) -> Result<View, Refusal> {
    let Dialled { mut connection, driver: _driver } = dialer.dial(server).await?;
    let mut questions = Pipeline::new();
    if let Some(Login { user, password }) = &access.login {
        questions.cmd("AUTH").arg(user).arg(password);
    }
    questions.cmd("INFO").arg("server");
    questions.cmd("CLUSTER").arg("NODES");
    questions.cmd("CLUSTER").arg("SLOTS");
    let replies = connection.send_packed_commands(&questions, 0, questions.len()).await;
    let replies = replies.map_err(|error| dialer.silenced(&error))?;
    let [.., server_info, nodes, slots] = replies.as_slice() else {
        return Err(Refusal::Away("it answered less than it was asked".into()));
    };
    // A server of its own refuses the other questions; that it is one is the better reason.
    if let Ok(info) = text(server_info) {
        is_usable(Info(info), Mode::Cluster)?;
    }
    for (reply, question) in replies.iter().zip(questions.cmd_iter()) {
        if let Value::ServerError(error) = reply {
            return Err(refused(error, question));
        }
    }
    View::read(text(nodes)?, slots, server)
}
