//! One process under test: many readers, some writers. Told what to do by lines on its standard input, and answers by lines
//! on its standard output; it ends with its coordinator.
//!
//! | it says | and is told |
//! |---|---|
//! | `ready` | `go`: read and write; or `rest` |
//! | `quiet` after `stop` | `rest`: read every key once more |
//! | `done` and how many reads and writes failed | |

use std::{
    env,
    io::{BufRead, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    aside::Aside,
    event::{Event, Kind},
    fresh::{Fresh, Way},
    log::Log,
    options::{self, Level, Options, Request},
    reaper::Reaper,
    rows::{self, Rows},
};
use crate::time::now;

/// The first argument of an instance's command line.
pub const ARGUMENT: &str = "--as-instance";

/// What a read answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The row's version.
    pub version: u32,
    /// Whether this read ran its loader.
    pub loaded: bool,
}

/// Which instance it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Its number.
    pub number: u8,
    /// How often it was started before.
    pub life: u32,
    /// Prefix of all names in Redis.
    pub namespace: String,
    /// The file for its events.
    pub log: PathBuf,
    /// The run.
    pub options: Options,
}

impl Assignment {
    /// The command line of the instance; [`Assignment::parse`] reads it back.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<String> {
        let own = [
            ARGUMENT.to_owned(),
            self.number.to_string(),
            self.life.to_string(),
            self.namespace.clone(),
            self.log.to_string_lossy().into_owned(),
        ];
        own.into_iter().chain(self.options.to_arguments()).collect()
    }

    /// Reads what follows [`ARGUMENT`].
    #[must_use]
    pub fn parse(arguments: &[String]) -> Option<Self> {
        let [number, life, namespace, log, rest @ ..] = arguments else { return None };
        let Ok(Request::Run(options)) = options::parse(rest.iter().cloned()) else { return None };
        Some(Self {
            number: number.parse().ok()?,
            life: life.parse().ok()?,
            namespace: namespace.clone(),
            log: Path::new(log).to_owned(),
            options,
        })
    }

    /// Every key, by name and by tag.
    fn entries(&self) -> impl Iterator<Item = (u16, bool)> + use<> {
        (0..self.options.keys).flat_map(|key| [(key, false), (key, true)])
    }

    /// What a reader reads: a share of the entries, or one of them, so that an entry whose loader died holds up nobody but
    /// its own readers.
    fn entries_of(&self, reader: u64) -> Vec<(u16, bool)> {
        let shares = u64::from(self.options.readers).min(2 * u64::from(self.options.keys));
        let own = (0..).zip(self.entries()).filter(|(place, _)| place % shares == reader % shares);
        own.map(|(_, entry)| entry).collect()
    }

    /// A start for the random choices of one of its tasks, different in every life.
    fn seed(&self, task: u64) -> u64 {
        let parts = [self.options.seed, u64::from(self.number), u64::from(self.life), task];
        parts.into_iter().fold(0, |seed, part| fastrand::Rng::with_seed(seed ^ part).u64(..))
    }
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
    stopped: AtomicBool,
    read_errors: AtomicU64,
    write_errors: AtomicU64,
    first_error: Mutex<Option<String>>,
}

/// Lives as an instance until it is told to end.
///
/// # Errors
/// What kept it from starting.
pub async fn run(assignment: Assignment) -> Result<(), String> {
    let instance = Arc::new(Instance::connect(assignment).await?);
    let mut orders = orders();
    say("ready");
    let mut tasks = JoinSet::new();
    while let Some(order) = orders.recv().await {
        match order.as_str() {
            "go" => instance.clone().work(&mut tasks),
            "stop" => {
                instance.stopped.store(true, Relaxed);
                while let Some(ended) = tasks.join_next().await {
                    ended.map_err(|error| error.to_string())?;
                }
                instance.log.flush_and(|| say("quiet"));
            }
            "rest" => {
                instance.rest().await?;
                instance.log.flush_and(|| say(&instance.summary()));
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
        let reaper = Arc::new(Reaper::new(log.clone(), options.crash, assignment.seed(u64::MAX)));
        let pool = rows::connect(&url("DATABASE_URL")?, options.instances)
            .await
            .map_err(|error| error.to_string())?;
        let rows = Rows { pool, log: log.clone(), instance: assignment.number };
        let redis = url("REDIS_URL")?;
        let system = match options.level {
            Level::Aside => Aside::connect(rows, &redis, &assignment.namespace, reaper)
                .await
                .map(System::Aside)
                .map_err(|error| error.to_string()),
            Level::Fresh => Fresh::connect(rows, &redis, &assignment.namespace, reaper)
                .await
                .map(System::Fresh)
                .map_err(|error| error.to_string()),
        }?;
        Ok(Self {
            assignment,
            system,
            log,
            stopped: AtomicBool::new(false),
            read_errors: AtomicU64::new(0),
            write_errors: AtomicU64::new(0),
            first_error: Mutex::default(),
        })
    }

    fn work(self: Arc<Self>, tasks: &mut JoinSet<()>) {
        let Options { readers, writers, .. } = self.assignment.options;
        for task in 0..u64::from(readers) {
            let rng = fastrand::Rng::with_seed(self.assignment.seed(task));
            tasks.spawn(self.clone().read_on(self.assignment.entries_of(task), rng));
        }
        for task in 0..u64::from(writers) {
            let seed = self.assignment.seed(u64::from(u32::MAX) + task);
            tasks.spawn(self.clone().write_on(fastrand::Rng::with_seed(seed)));
        }
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

    async fn read_on(self: Arc<Self>, entries: Vec<(u16, bool)>, mut rng: fastrand::Rng) {
        let options = &self.assignment.options;
        while !self.stopped.load(Relaxed) {
            let (key, tagged) = entries[rng.usize(..entries.len())];
            let pause = options.pause.mul_f64(rng.f64());
            let begin = now();
            let answer = self.read(key, tagged, pause).await;
            let end = now();
            match answer {
                Ok(Answer { version, loaded }) => {
                    let kind = match (tagged, loaded) {
                        (false, false) => Kind::Hit,
                        (false, true) => Kind::Miss,
                        (true, false) => Kind::TagHit,
                        (true, true) => Kind::TagMiss,
                    };
                    self.log(Event { begin, end, version, key, instance: 0, kind });
                }
                Err(error) => self.failed(&self.read_errors, error.to_string()),
            }
        }
    }

    async fn write_on(self: Arc<Self>, mut rng: fastrand::Rng) {
        let options = &self.assignment.options;
        while !self.stopped.load(Relaxed) {
            tokio::time::sleep(options.write_pause.mul_f64(rng.f64())).await;
            let key = rng.u16(..options.keys);
            let way = [Way::Within, Way::Begin, Way::Through][rng.usize(..3)];
            let begin = now();
            match self.write(key, way).await {
                Ok(version) => {
                    self.log(Event { begin, end: now(), version, key, instance: 0, kind: Kind::Write });
                }
                Err(error) => self.failed(&self.write_errors, error),
            }
        }
    }

    /// Reads every key once more, twice: what the first reading filled must be right as well.
    async fn rest(&self) -> Result<(), String> {
        for _ in 0..2 {
            for (key, tagged) in (0..self.assignment.options.keys).flat_map(|key| [(key, false), (key, true)])
            {
                let begin = now();
                let answer =
                    self.read(key, tagged, Duration::ZERO).await.map_err(|error| error.to_string())?;
                let (end, version) = (now(), answer.version);
                self.log(Event { begin, end, version, key, instance: 0, kind: Kind::Rest });
            }
        }
        Ok(())
    }

    fn log(&self, event: Event) {
        self.log.add(Event { instance: self.assignment.number, ..event });
    }

    fn failed(&self, count: &AtomicU64, error: String) {
        count.fetch_add(1, Relaxed);
        self.first_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn summary(&self) -> String {
        let error =
            self.first_error.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let (reads, writes) = (self.read_errors.load(Relaxed), self.write_errors.load(Relaxed));
        format!("done {reads} {writes} {}", error.replace('\n', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_reads_back() {
        let assignment = Assignment {
            number: 3,
            life: 17,
            namespace: "t_1".into(),
            log: "/tmp/a b".into(),
            options: Options { seed: 5, ..Options::default() },
        };
        let arguments = assignment.to_arguments();
        assert_eq!(arguments[0], ARGUMENT);
        assert_eq!(Assignment::parse(&arguments[1..]), Some(assignment));
        assert_eq!(Assignment::parse(&[]), None);
    }

    #[test]
    fn the_readers_share_all_entries() {
        for (readers, keys) in [(1, 3), (2, 3), (4, 3), (6, 3), (7, 3), (48, 8)] {
            let options = Options { readers, keys, ..Options::default() };
            let assignment =
                Assignment { number: 0, life: 0, namespace: String::new(), log: PathBuf::new(), options };
            let shares: Vec<_> =
                (0..u64::from(readers)).map(|reader| assignment.entries_of(reader)).collect();
            assert!(shares.iter().all(|share| !share.is_empty()));
            assert!(assignment.entries().all(|entry| shares.iter().flatten().any(|&read| read == entry)));
        }
    }

    #[test]
    fn every_life_and_task_makes_its_own_choices() {
        let assignment = Assignment {
            number: 0,
            life: 0,
            namespace: String::new(),
            log: PathBuf::new(),
            options: Options { seed: 1, ..Options::default() },
        };
        let again = Assignment { life: 1, ..assignment.clone() };
        assert_ne!(assignment.seed(0), assignment.seed(1));
        assert_ne!(assignment.seed(0), again.seed(0));
        assert_eq!(assignment.seed(1), assignment.clone().seed(1));
    }
}
