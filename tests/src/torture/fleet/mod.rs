//! The processes of a run: starts them, restarts those that were killed, and passes orders on. Refuses to overlook any other
//! end of a process: that is a fault of the run.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{instance::Assignment, options::Options, round::Servers};

const SIGKILL: i32 = 9;

/// What instances are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Assemble,
    Traffic,
    Quiet,
    Rest,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    /// Waits for an order.
    Idle,
    Working,
    Done,
}

#[derive(Debug)]
struct Member {
    stage: Stage,
    stdin: Option<ChildStdin>,
}

/// What became of the instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Processes that were killed.
    pub crashes: u64,
    /// Reads that failed in the last life of each instance.
    pub read_errors: u64,
    /// Writes that failed in the last life of each instance.
    pub write_errors: u64,
    /// One of the errors.
    pub example: Option<String>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    members: Vec<Member>,
    census: Census,
    fault: Option<String>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The processes of a run. Dropped, it ends them.
#[derive(Debug)]
pub struct Fleet {
    shared: Arc<Shared>,
    keepers: Vec<JoinHandle<()>>,
}

/// What each process is started with.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The run.
    pub options: Options,
    /// Prefix of all names in Redis.
    pub namespace: String,
    /// The folder for logs.
    pub folder: PathBuf,
}

impl Fleet {
    /// Starts the instances and waits until all are ready.
    ///
    /// # Errors
    /// What kept one from starting.
    pub fn start(servers: &Servers, orders: &Orders) -> Result<Self, String> {
        let members = (0..orders.options.instances).map(|_| Member { stage: Stage::Starting, stdin: None });
        let state = State {
            phase: Phase::Assemble,
            members: members.collect(),
            census: Census::default(),
            fault: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let keepers = (0..orders.options.instances)
            .map(|number| {
                let keeper = Keeper {
                    shared: shared.clone(),
                    servers: servers.clone(),
                    orders: orders.clone(),
                    number,
                };
                thread::spawn(move || keeper.keep())
            })
            .collect();
        let fleet = Self { shared, keepers };
        fleet.wait_for(Stage::Idle)?;
        Ok(fleet)
    }

    /// Lets all read and write.
    pub fn go(&self) {
        self.order(Phase::Traffic, "go");
    }

    /// Lets all come to an end with what they are doing.
    ///
    /// # Errors
    /// An instance that ended otherwise than by being killed.
    pub fn stop(&self) -> Result<(), String> {
        self.order(Phase::Quiet, "stop");
        self.wait_for(Stage::Idle)
    }

    /// Lets all read every key once more and end.
    ///
    /// # Errors
    /// As [`Fleet::stop`].
    pub fn rest(mut self) -> Result<Census, String> {
        self.order(Phase::Rest, "rest");
        self.wait_for(Stage::Done)?;
        for keeper in self.keepers.drain(..) {
            keeper.join().map_err(|_| "a keeper panicked".to_owned())?;
        }
        let census = self.shared.state().census.clone();
        Ok(census)
    }

    fn order(&self, phase: Phase, order: &str) {
        let mut state = self.shared.state();
        state.phase = phase;
        for member in &mut state.members {
            let is_meant = match phase {
                Phase::Quiet => member.stage == Stage::Working,
                _ => member.stage == Stage::Idle,
            };
            if is_meant {
                member.tell(order);
                member.stage = Stage::Working;
            }
        }
    }

    fn wait_for(&self, stage: Stage) -> Result<(), String> {
        /// Far more than a loaded machine needs.
        const PATIENCE: Duration = Duration::from_secs(60);
        let late = |state: &mut State| {
            state.fault.is_none() && state.members.iter().any(|member| member.stage != stage)
        };
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.state(), PATIENCE, late)
            .unwrap_or_else(PoisonError::into_inner);
        match &state.fault {
            Some(fault) => Err(fault.clone()),
            None if timeout.timed_out() => {
                Err(format!("not every instance was {stage:?} within {PATIENCE:?}"))
            }
            None => Ok(()),
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.phase = Phase::End;
        // An instance ends when its input does.
        state.members.iter_mut().for_each(|member| member.stdin = None);
        drop(state);
        for keeper in self.keepers.drain(..) {
            // A panic in a keeper was printed, and a destructor has nobody else to tell.
            let _ = keeper.join();
        }
    }
}

impl Member {
    fn tell(&mut self, order: &str) {
        if let Some(stdin) = &mut self.stdin {
            // It may just have been killed; its next life is told again.
            let _ = writeln!(stdin, "{order}");
        }
    }
}

/// The thread that looks after one instance.
struct Keeper {
    shared: Arc<Shared>,
    servers: Servers,
    orders: Orders,
    number: u8,
}

impl Keeper {
    fn keep(&self) {
        for life in 0.. {
            let ended = self.live(life);
            let mut state = self.shared.state();
            let fault = match ended {
                _ if state.phase == Phase::End => return,
                Ok(status) if status.success() && self.member(&mut state).stage == Stage::Done => return,
                Ok(status) if status.signal() == Some(SIGKILL) => {
                    state.census.crashes += 1;
                    *self.member(&mut state) = Member { stage: Stage::Starting, stdin: None };
                    continue;
                }
                Ok(status) => format!("instance {} ended by itself ({status})", self.number),
                Err(error) => format!("instance {}: {error}", self.number),
            };
            state.fault = Some(fault);
            self.shared.changed.notify_all();
            return;
        }
    }

    fn member<'s>(&self, state: &'s mut MutexGuard<'_, State>) -> &'s mut Member {
        &mut state.members[usize::from(self.number)]
    }

    /// One life, from start to end.
    fn live(&self, life: u32) -> std::io::Result<ExitStatus> {
        let mut child = self.spawn(life)?;
        let stdout = child.stdout.take();
        {
            let mut state = self.shared.state();
            if state.phase != Phase::End {
                self.member(&mut state).stdin = child.stdin.take();
            }
        }
        // Ended input ends an instance that was born too late.
        drop(child.stdin.take());
        for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
            self.heard(&line?);
        }
        child.wait()
    }

    fn spawn(&self, life: u32) -> std::io::Result<Child> {
        let assignment = Assignment {
            number: self.number,
            life,
            namespace: self.orders.namespace.clone(),
            log: self.orders.folder.join(format!("{}-{life}.log", self.number)),
            options: self.orders.options.clone(),
        };
        Command::new(std::env::current_exe()?)
            .args(assignment.to_arguments())
            .env("DATABASE_URL", &self.servers.database)
            .env("REDIS_URL", &self.servers.redis)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
    }

    fn heard(&self, line: &str) {
        let mut state = self.shared.state();
        let phase = state.phase;
        let member = self.member(&mut state);
        match line.split(' ').next() {
            Some("ready") => {
                // Whoever was killed misses the order that the others were given.
                let order = match phase {
                    Phase::Traffic => Some("go"),
                    Phase::Rest => Some("rest"),
                    _ => None,
                };
                member.stage = if order.is_some() { Stage::Working } else { Stage::Idle };
                order.into_iter().for_each(|order| member.tell(order));
            }
            Some("quiet") => member.stage = Stage::Idle,
            Some("done") => {
                member.stage = Stage::Done;
                let mut words = line.splitn(4, ' ').skip(1);
                let mut number =
                    || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
                state.census.read_errors += number();
                state.census.write_errors += number();
                let example = words.next().filter(|error| !error.is_empty()).map(str::to_owned);
                state.census.example = state.census.example.take().or(example);
            }
            _ => state.fault = Some(format!("instance {} said `{line}`", self.number)),
        }
        self.shared.changed.notify_all();
    }
}
