//! One process under test: many readers, some writers. Told what to do by lines on its standard input, and answers by lines
//! on its standard output; it ends with its coordinator.
//!
//! | it says | and is told |
//! |---|---|
//! | `ready` | `go`: read and write; or `rest` |
//! | `quiet` after `stop`, when nothing of its own is under way any more | `rest`: read every key once more |
//! | `done` or, after `leave`, `left`; and how many calls were dropped and how many reads and writes failed | |

mod assignment;
mod cancel;
mod work;

use std::{
    env,
    io::{BufRead, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinSet};

pub use self::assignment::{ARGUMENT, Assignment};
use super::{
    aside::Aside,
    fresh::{Fresh, Way},
    log::Log,
    options::Level,
    pending::Pending,
    reaper::Reaper,
    row,
    rows::{self, Rows},
};

/// What a read answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The row's version.
    pub version: u32,
    /// Whether this read ran its loader.
    pub loaded: bool,
}

#[derive(Debug)]
enum System {
    Aside(Aside),
    Fresh(Fresh),
}

#[derive(Debug)]
struct Instance {
    assignment: Assignment,
    system: System,
    log: Arc<Log>,
    pending: Arc<Pending>,
    stopped: AtomicBool,
    cancelled: AtomicU64,
    read_errors: AtomicU64,
    write_errors: AtomicU64,
    first_error: Mutex<Option<String>>,
}

/// Lives as an instance until it is told to end.
///
/// # Errors
/// What kept it from starting, or from coming to rest.
pub async fn run(assignment: Assignment) -> Result<(), String> {
    row::set_release(assignment.release);
    let instance = Arc::new(Instance::connect(assignment).await?);
    let mut orders = orders();
    say("ready");
    let mut tasks = JoinSet::new();
    while let Some(order) = orders.recv().await {
        match order.as_str() {
            "go" => instance.clone().work(&mut tasks),
            "stop" => {
                instance.come_to_rest(&mut tasks).await?;
                instance.log.flush_and(|| say("quiet"));
            }
            "leave" => {
                instance.come_to_rest(&mut tasks).await?;
                instance.log.flush_and(|| say(&instance.summary("left")));
                return Ok(());
            }
            "rest" => {
                instance.rest().await?;
                instance.log.flush_and(|| say(&instance.summary("done")));
                return Ok(());
            }
            other => return Err(format!("no order `{other}`")),
        }
    }
    Err("the coordinator is gone".to_owned())
}

/// Lines of the standard input; ends the process when the coordinator is gone.
fn orders() -> mpsc::UnboundedReceiver<String> {
    let (tell, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        lines.map_while(Result::ok).take_while(|line| tell.send(line.clone()).is_ok()).for_each(drop);
    });
    orders
}

fn say(line: &str) {
    // Nobody listens to an instance whose coordinator is gone; its next order is its end.
    let _ = writeln!(std::io::stdout(), "{line}");
}

impl Instance {
    async fn connect(assignment: Assignment) -> Result<Self, String> {
        let url = |name| env::var(name).map_err(|_| format!("{name} is not set"));
        let options = &assignment.options;
        let log = Arc::new(Log::create(&assignment.log).map_err(|error| error.to_string())?);
        let reaper =
            Arc::new(Reaper::new(log.clone(), options.crash(), options.linger, assignment.seed(u64::MAX)));
        let pending = Arc::new(Pending::default());
        let name = format!("instance {}", assignment.number);
        let pool = rows::connect(&url("DATABASE_URL")?, options.instances, &name)
            .await
            .map_err(|error| error.to_string())?;
        let rows = Rows { pool, log: log.clone(), instance: assignment.number };
        let redis = url("REDIS_URL")?;
        let system = match options.level {
            Level::Aside => Aside::connect(rows, &redis, &assignment.namespace, reaper)
                .await
                .map(System::Aside)
                .map_err(|error| error.to_string()),
            Level::Fresh => Fresh::connect(rows, &redis, &assignment, reaper, pending.clone())
                .await
                .map(System::Fresh)
                .map_err(|error| error.to_string()),
        }?;
        Ok(Self {
            assignment,
            system,
            log,
            pending,
            stopped: AtomicBool::new(false),
            cancelled: AtomicU64::new(0),
            read_errors: AtomicU64::new(0),
            write_errors: AtomicU64::new(0),
            first_error: Mutex::default(),
        })
    }

    async fn read(&self, key: u16, tagged: bool, pause: Duration) -> sqlx::Result<Answer> {
        match &self.system {
            System::Aside(aside) => aside.read(key, pause).await,
            System::Fresh(fresh) => fresh.read(key, tagged, pause).await,
        }
    }

    async fn write(&self, key: u16, way: Way) -> Result<u32, String> {
        match &self.system {
            System::Aside(aside) => aside.write(key).await,
            System::Fresh(fresh) => fresh.write(key, way).await.map_err(|error| error.to_string()),
        }
    }

    fn failed(&self, count: &AtomicU64, error: String) {
        count.fetch_add(1, Relaxed);
        self.first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn summary(&self, word: &str) -> String {
        let error =
            self.first_error.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let [cancelled, reads, writes] =
            [&self.cancelled, &self.read_errors, &self.write_errors].map(|count| count.load(Relaxed));
        format!("{word} {cancelled} {reads} {writes} {}", error.replace('\n', " "))
    }
}
