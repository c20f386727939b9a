//! Commands of callers who ask at the same time, as one pipeline: it costs the server, the connection and this process about half of
//! what as many single commands do. Refuses to keep anybody waiting for company: who is alone asks at once.

use std::mem::take;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::super::send::all;

/// Who asks for more than this goes alone: nobody waits for his answers.
const FEW: usize = 8;
/// Commands of one pipeline. Its answers are handed out when all are there.
const MOST: usize = 64;

/// What the connection answered, or why it did not.
pub(super) type Replies = Result<Vec<Value>, String>;

/// Callers of one connection.
#[derive(Debug, Default)]
pub(super) struct Together {
    /// Those whose commands are under way or wait.
    callers: AtomicUsize,
    waiting: Mutex<Vec<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    commands: Vec<Cmd>,
    answer: oneshot::Sender<Replies>,
}

/// A caller, while he is one.
struct Caller<'a>(&'a AtomicUsize);

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Sends what waits, in the next turn of the runtime. Dropped before, it leaves nobody waiting.
struct Flush {
    together: Arc<Together>,
    is_due: bool,
}

impl Drop for Flush {
    fn drop(&mut self) {
        if self.is_due {
            self.together.waiting().clear();
        }
    }
}

impl Together {
    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends commands, in one pipeline and in their order, and gives as many answers. Dropped, they are sent or not.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        connection: &MultiplexedConnection,
        commands: Vec<Cmd>,
    ) -> Replies {
        let others = self.callers.fetch_add(1, Ordering::Relaxed);
        let _caller = Caller(&self.callers);
        if others == 0 || commands.len() > FEW {
            return send(connection, commands).await;
        }
        let Ok(runtime) = Handle::try_current() else { return send(connection, commands).await };
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting();
            waiting.push(Waiting { commands, answer });
            waiting.len() == 1
        };
        if is_first {
            let flush = Flush { together: self.clone(), is_due: true };
            runtime.spawn(flush.run(connection.clone()));
        }
        answered.await.unwrap_or_else(|_| Err("the runtime that was to send it was shut down".to_owned()))
    }
}

impl Flush {
    async fn run(mut self, connection: MultiplexedConnection) {
        // Who is about to ask asks first.
        tokio::task::yield_now().await;
        let waiting = take(&mut *self.together.waiting());
        // Who begins to wait from here on is another one's.
        self.is_due = false;
        let mut groups = vec![Vec::new()];
        let mut commands = 0;
        for one in waiting {
            commands += one.commands.len();
            if commands > MOST {
                commands = one.commands.len();
                groups.push(Vec::new());
            }
            if let Some(group) = groups.last_mut() {
                group.push(one);
            }
        }
        all(groups.into_iter().map(|group| share(&connection, group)).collect()).await;
    }
}

/// Sends the commands of all, and gives each his answers.
async fn share(connection: &MultiplexedConnection, mut group: Vec<Waiting>) {
    let lengths: Vec<_> = group.iter().map(|one| one.commands.len()).collect();
    let commands = group.iter_mut().flat_map(|one| take(&mut one.commands)).collect();
    let mut replies = send(connection, commands).await.map(Vec::into_iter);
    for (one, length) in group.into_iter().zip(lengths) {
        let his = match &mut replies {
            Ok(replies) => Ok(replies.by_ref().take(length).collect()),
            Err(why) => Err(why.clone()),
        };
        // Who has gone away needs none.
        drop(one.answer.send(his));
    }
}

async fn send(connection: &MultiplexedConnection, commands: Vec<Cmd>) -> Replies {
    let mut connection = connection.clone();
    let replies = match <[Cmd; 1]>::try_from(commands) {
        Ok([command]) => connection.send_packed_command(&command).await.map(|reply| vec![reply]),
        Err(commands) => {
            let mut pipeline = Pipeline::with_capacity(commands.len());
            for command in commands {
                pipeline.add_command(command);
            }
            connection.send_packed_commands(&pipeline, 0, pipeline.len()).await
        }
    };
    replies.map_err(|error| error.to_string())
}
