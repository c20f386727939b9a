//! A connection to one sentinel. Refuses to reconnect: after an error it is thrown away.

use std::time::Duration;

use redis::{Pipeline, RedisError, Value};

use super::super::address::{Endpoint, Login};
use super::super::dial::{Dialer, Dialled};
use super::super::error::Refusal;
use super::super::source::Named;
use super::answer;

/// A sentinel that let us in.
pub(super) struct Session(Dialled);

impl Session {
    pub(super) async fn begin(
        dialer: &Dialer,
        sentinel: &Endpoint,
        login: Option<&Login>,
    ) -> Result<Self, Refusal> {
        let mut session = Self(dialer.dial(sentinel).await?);
        if let Some(Login { user, password }) = login {
            let mut auth = Pipeline::new();
            auth.cmd("AUTH").arg(user).arg(password);
            let replies = session.exchange(&auth).await.map_err(|error| dialer.silenced(&error))?;
            answer::accepted(replies.first().unwrap_or(&Value::Nil))?;
        }
        Ok(session)
    }

    /// Whom it names, and how long that has been the master to it.
    pub(super) async fn master(&mut self, name: &str) -> Result<(Named, Option<Duration>), Refusal> {
        let mut questions = Pipeline::new();
        // The second names the replica that was promoted a moment before the first does.
        questions.cmd("SENTINEL").arg("MASTER").arg(name);
        questions.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let replies = self.exchange(&questions).await.map_err(|error| lost(&error))?;
        let [about, address] = replies.as_slice() else { return Err(answer::strange()) };
        if answer::knows_no_such_master(about) {
            let mut question = Pipeline::new();
            question.cmd("SENTINEL").arg("MASTERS");
            let known = self.exchange(&question).await.map_err(|error| lost(&error))?;
            return Err(answer::other_masters(name, known.first().unwrap_or(&Value::Nil)));
        }
        let named = answer::named(about, address)?;
        let mastered_for = answer::mastered_for(about, &named);
        Ok((named, mastered_for))
    }

    async fn exchange(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, RedisError> {
        self.0.connection.send_packed_commands(pipeline, 0, pipeline.len()).await
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

fn lost(error: &RedisError) -> Refusal {
    Refusal::Away(error.to_string())
}
