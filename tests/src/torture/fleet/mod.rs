//! The processes of a run: starts them, restarts those that were killed or replaced, and passes orders on. Refuses to
//! overlook any other end of a process: that is a fault of the run.

mod keeper;
mod troops;

use std::{
    io::Write,
    path::PathBuf,
    process::ChildStdin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::Pid;

use self::keeper::Keeper;
pub use self::troops::Troops;
use super::{ground::Ground, options::Options};

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
    /// Comes to an end, to be replaced.
    Leaving,
    Done,
}

#[derive(Debug)]
struct Member {
    stage: Stage,
    stdin: Option<ChildStdin>,
    /// Its process, as long as that has not been waited for: until then nobody else gets the number.
    pid: Option<Pid>,
    /// Which release of the program it is.
    release: u32,
}

/// What became of the instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Processes that were killed.
    pub crashes: u64,
    /// Kills by the nemesis among them.
    pub kills: u64,
    /// Futures that were dropped before they were done.
    pub cancelled: u64,
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
    /// The folder for logs.
    pub folder: PathBuf,
}

impl Fleet {
    /// Starts the instances and waits until all are ready.
    ///
    /// # Errors
    /// What kept one from starting.
    pub fn start(ground: &Arc<Ground>, orders: &Orders) -> Result<Self, String> {
        let newborn = || Member { stage: Stage::Starting, stdin: None, pid: None, release: 0 };
        let state = State {
            phase: Phase::Assemble,
            members: (0..orders.options.instances).map(|_| newborn()).collect(),
            census: Census::default(),
            fault: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let keepers = (0..orders.options.instances)
            .map(|number| {
                let keeper =
                    Keeper { shared: shared.clone(), ground: ground.clone(), orders: orders.clone(), number };
                thread::spawn(move || keeper.keep())
            })
            .collect();
        let fleet = Self { shared, keepers };
        fleet.wait_for(Stage::Idle)?;
        Ok(fleet)
    }

    /// The same processes, for a nemesis.
    #[must_use]
    pub fn troops(&self) -> Troops {
        Troops::new(self.shared.clone())
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
        // An instance ends when its input does, unless it is frozen.
        state.members.iter_mut().for_each(|member| {
            member.stdin = None;
            member.signal(rustix::process::Signal::CONT);
        });
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

    /// Tells whether there was a process to signal.
    fn signal(&self, signal: rustix::process::Signal) -> bool {
        self.pid.is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
    }
}
