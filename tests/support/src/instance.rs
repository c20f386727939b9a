//! One running server process and its life: start, stop, restart, pause, resume, kill. Knows no protocol but a probe.

use std::{
    ffi::OsString,
    fmt, fs,
    fs::OpenOptions,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    Error,
    folder::Folder,
    port,
    process::{self, Watchdog},
    user::User,
};

const START_BOUND: Duration = Duration::from_secs(30);
const STOP_BOUND: Duration = Duration::from_secs(10);
const STARTS: usize = 5;

/// What a server is, apart from the port it gets.
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) user: Option<User>,
    /// The arguments, given the port.
    pub(crate) arguments: Box<dyn Fn(u16) -> Vec<OsString> + Send + Sync>,
    /// Whether the server on that port serves clients.
    pub(crate) is_ready: fn(u16) -> bool,
    pub(crate) stop_signal: &'static str,
    /// Ends it at once, throwing its data away.
    pub(crate) quit_signal: &'static str,
}

/// A server with its folder.
pub(crate) struct Instance {
    recipe: Recipe,
    port: u16,
    life: Mutex<Life>,
    folder: Folder,
}

struct Life {
    server: Option<Child>,
    is_paused: bool,
    watchdog: Watchdog,
}

impl Instance {
    /// `watchdog` must watch `folder`.
    pub(crate) fn start(recipe: Recipe, folder: Folder, watchdog: Watchdog) -> Result<Self, Error> {
        let life = Mutex::new(Life { server: None, is_paused: false, watchdog });
        let mut instance = Self { recipe, port: 0, life, folder };
        let mut last = None;
        for _ in 0..STARTS {
            instance.port = port::free().map_err(Error::io("no free port on 127.0.0.1"))?;
            match instance.restart() {
                Ok(()) => return Ok(instance),
                Err(error) if error.to_string().contains("Address already in use") => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.expect("the loop ran"))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.life().server.as_ref().map(Child::id)
    }

    /// Starts the server on its port and waits until it serves; stops it first when it runs.
    pub(crate) fn restart(&self) -> Result<(), Error> {
        let mut life = self.life();
        life.end(self.recipe.stop_signal);
        let _ = fs::remove_file(self.log_path());
        let child = self.spawn()?;
        life.watchdog.watch(child.id());
        let server = life.server.insert(child);
        let ready = process::poll_until(START_BOUND, || {
            (self.recipe.is_ready)(self.port) || !matches!(server.try_wait(), Ok(None))
        });
        let ended = !matches!(server.try_wait(), Ok(None));
        if ready && !ended {
            return Ok(());
        }
        life.end(self.recipe.quit_signal);
        let how = if ended { "ended at once" } else { "did not serve within 30 s" };
        Err(Error::failed(format!(
            "{} ({}) {how}. The end of its log:\n{}",
            self.recipe.name,
            self.recipe.program.display(),
            self.log_tail()
        )))
    }

    pub(crate) fn stop(&self) {
        self.life().end(self.recipe.stop_signal);
    }

    /// As when the machine loses power: no process of the server runs one more instruction.
    pub(crate) fn kill(&self) {
        let mut life = self.life();
        let pids = life.frozen();
        process::signal("KILL", &pids);
        life.bury();
    }

    pub(crate) fn pause(&self) {
        let mut life = self.life();
        life.frozen();
        life.is_paused = life.server.is_some();
    }

    pub(crate) fn resume(&self) {
        self.life().resume();
    }

    fn spawn(&self) -> Result<Child, Error> {
        let open = || OpenOptions::new().create(true).append(true).open(self.log_path());
        let log = |_| open().map_err(Error::io("cannot write the server's log"));
        let mut command = Command::new(&self.recipe.program);
        command
            .args((self.recipe.arguments)(self.port))
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("LC_ALL", "C")
            // Ctrl-C in a terminal is for us; the watchdog ends the server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log(())?)
            .stderr(log(())?);
        if let Some(user) = self.recipe.user {
            user.applied_to(&mut command);
        }
        command.spawn().map_err(Error::io(format!("cannot start {}", self.recipe.program.display())))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        tail(&String::from_utf8_lossy(&log), 20)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last lines of a text, each after two spaces.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    let last: Vec<String> =
        all[all.len().saturating_sub(lines)..].iter().map(|line| format!("  {line}")).collect();
    if last.is_empty() { "  (empty)".to_owned() } else { last.join("\n") }
}

impl Life {
    /// Ends the server in order, and by force when it does not obey.
    fn end(&mut self, by_signal: &str) {
        self.resume();
        let Some(server) = self.server.as_mut() else { return };
        let ended = matches!(server.try_wait(), Ok(Some(_)));
        if !ended {
            process::signal(by_signal, &[server.id()]);
            if !process::ends_within(server, STOP_BOUND) {
                let pids = self.frozen();
                process::signal("KILL", &pids);
            }
        }
        self.bury();
    }

    /// Stops the server and then its children, which only it could have made more of, and names them all.
    fn frozen(&self) -> Vec<u32> {
        let Some(server) = &self.server else { return Vec::new() };
        process::signal("STOP", &[server.id()]);
        let mut pids = process::children_of(server.id());
        process::signal("STOP", &pids);
        pids.push(server.id());
        pids
    }

    fn resume(&mut self) {
        if let (true, Some(server)) = (self.is_paused, &self.server) {
            let mut pids = process::children_of(server.id());
            pids.push(server.id());
            process::signal("CONT", &pids);
        }
        self.is_paused = false;
    }

    fn bury(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.wait();
        }
        self.is_paused = false;
        self.watchdog.gone();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.life().end(self.recipe.quit_signal);
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.recipe.name)
            .field("port", &self.port)
            .field("program", &self.recipe.program)
            .field("folder", &self.folder.path())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "  b\n  c");
        assert_eq!(tail("", 2), "  (empty)");
    }
}
