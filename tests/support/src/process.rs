//! Signals, children, and the watchdog that outlives us. No unsafe code: signals go through the shell's `kill`.

use std::{
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Error;

/// How soon a condition is looked at again, at first and later: a look may take connections, and there are only so many ports.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// Looks at `condition` until it holds or `bound` has passed; tells whether it held.
pub(crate) fn poll_until(bound: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + bound;
    let mut pause = FIRST_PAUSE;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 5 / 4).min(LAST_PAUSE);
    }
}

/// Sends a signal by name to each process; processes that are gone are no error.
pub(crate) fn signal(name: &str, pids: &[u32]) {
    if pids.is_empty() {
        return;
    }
    // `kill` is built into every shell, while minimal systems lack the program.
    let script = "name=$1; shift; for pid; do kill -s \"$name\" \"$pid\"; done";
    let _ = Command::new("sh")
        .args(["-c", script, "sh", name])
        .args(pids.iter().map(u32::to_string))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// The direct children of a process.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    if Path::new("/proc/self/stat").exists() { children_by_proc(parent) } else { children_by_ps(parent) }
}

fn children_by_proc(parent: u32) -> Vec<u32> {
    let pid = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<u32>().ok();
    let parent_of = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // `pid (name) state ppid …`, and the name may hold anything.
        stat[stat.rfind(')')? + 1..].split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(pid)
        .filter(|&pid| parent_of(pid) == Some(parent))
        .collect()
}

fn children_by_ps(parent: u32) -> Vec<u32> {
    let Ok(output) = Command::new("ps").args(["-axo", "pid=,ppid="]).output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout);
    let pair = |line: &str| {
        let mut words = line.split_whitespace().map(str::parse::<u32>);
        Some((words.next()?.ok()?, words.next()?.ok()?))
    };
    text.lines().filter_map(pair).filter(|&(_, of)| of == parent).map(|(pid, _)| pid).collect()
}

/// Waits for the end of a child; tells whether it came within `bound`.
pub(crate) fn ends_within(child: &mut Child, bound: Duration) -> bool {
    poll_until(bound, || !matches!(child.try_wait(), Ok(None)))
}

/// A shell that stops the watched server and removes its folder when this process ends, however it ends.
///
/// It reads from a pipe only we hold, so it sleeps until that closes. `PR_SET_PDEATHSIG` (and `setpriv --pdeathsig`) is no
/// substitute: it fires when the *thread* that started the server ends, and tests run on short-lived threads.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    orders: ChildStdin,
}

impl Watchdog {
    pub(crate) fn start(folder: &Path, stop_signal: &str) -> Result<Self, Error> {
        let mut shell = Command::new("sh")
            .args(["-c", include_str!("watchdog.sh"), "watchdog"])
            .arg(folder)
            .arg(stop_signal)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io("cannot start `sh`"))?;
        let orders = shell.stdin.take().expect("stdin was asked for as a pipe");
        Ok(Self { shell, orders })
    }

    pub(crate) fn watch(&mut self, pid: u32) {
        self.tell(&format!("watch {pid}\n"));
    }

    pub(crate) fn gone(&mut self) {
        self.tell("gone\n");
    }

    fn tell(&mut self, order: &str) {
        // Only a killed watchdog cannot be told, and then there is none to inform.
        let _ = self.orders.write_all(order.as_bytes());
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.tell("done\n");
        let _ = self.shell.wait();
    }
}
