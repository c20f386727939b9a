//! One of the processes that read. Reads begin at their times, on a thread that does nothing else: none waits for another.
//!
//! It says `ready`, is told the time of its first read and of the end on the host's clock, and at the end says one line for each
//! load (`load BEGIN END`) and each read (`read DUE TOOK`), in nanoseconds, and how often Redis did not answer a read in time
//! (`degraded N 0`).

use std::env;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::reader::Reader;
use super::side::{self, Side};
use crate::time::now;

/// The first argument of such a process.
pub const ARGUMENT: &str = "--as-reader";

/// Lives as one of the readers: the arguments are the side and the namespace.
///
/// # Errors
/// A sentence that says what kept it from reading.
pub async fn run(arguments: &[String]) -> Result<(), String> {
    let [side, namespace] = arguments else { return Err(format!("`{ARGUMENT}` is for the tool itself")) };
    let side = Side::named(side).ok_or("no such side")?;
    let url = env::var("REDIS_URL").map_err(|_| "REDIS_URL is not set")?;
    let reader = Arc::new(Reader::connect(side, namespace, &url).await?);
    let (runtime, paced) = (Handle::current(), reader.clone());
    let reads = tokio::task::spawn_blocking(move || pace(&runtime, &paced));
    let reads = reads.await.map_err(|error| error.to_string())??;
    let mut lines = Vec::with_capacity(reads.len());
    for read in reads {
        let (due, took) = read.await.map_err(|error| error.to_string())?;
        lines.push(format!("read {due} {took}"));
    }
    lines.extend(reader.loads().into_iter().map(|(begin, end)| format!("load {begin} {end}")));
    lines.push(format!("degraded {} 0", reader.degraded()));
    writeln!(std::io::stdout(), "{}", lines.join("\n")).map_err(|error| error.to_string())
}

type Read = JoinHandle<(u64, u64)>;

/// Starts every read at its time.
fn pace(runtime: &Handle, reader: &Arc<Reader>) -> Result<Vec<Read>, String> {
    let mut order = String::new();
    println!("ready");
    std::io::stdin().lock().read_line(&mut order).map_err(|error| error.to_string())?;
    let mut times = order.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(first)), Some(Ok(end))) = (times.next(), times.next()) else {
        return Err("the coordinator is gone".to_owned());
    };
    let mut reads = Vec::new();
    let mut due = first;
    while due < end {
        std::thread::sleep(Duration::from_nanos(due.saturating_sub(now())));
        let reader = reader.clone();
        reads.push(runtime.spawn(async move {
            reader.read().await;
            (due, now().saturating_sub(due))
        }));
        due += side::pause();
    }
    Ok(reads)
}
