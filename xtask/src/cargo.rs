//! Runs cargo, saying what runs, how long it took, and that it is still at it.

use std::{
    env,
    io::{self, IsTerminal},
    process::Command,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How long a step may be silent before a log that nobody can scroll in shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// A call of cargo, shown to the user as he would type it.
pub(crate) struct Cargo {
    command: Command,
    shown: String,
}

impl Cargo {
    pub(crate) fn new<A: AsRef<str>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let mut shown = String::from("cargo");
        for argument in arguments {
            command.arg(argument.as_ref());
            shown.push(' ');
            shown.push_str(argument.as_ref());
        }
        // What cargo told us about xtask is not about what we build; a build script that looked would run again.
        for (name, _) in env::vars_os() {
            let of_xtask = |text: &str| text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_");
            if name.to_str().is_some_and(of_xtask) {
                command.env_remove(name);
            }
        }
        Self { command, shown }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end; an error names the command that failed.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let begin = Instant::now();
        say(&self.shown);
        let mut child = self.command.spawn().map_err(|error| format!("cannot run cargo: {error}"))?;
        let (done, waiting) = mpsc::channel::<()>();
        let heart = thread::spawn(move || {
            while waiting.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                // On a terminal cargo shows its own progress.
                if !io::stderr().is_terminal() {
                    eprintln!("    … still at it after {} s", begin.elapsed().as_secs());
                }
            }
        });
        let status = child.wait().map_err(|error| format!("lost `{}`: {error}", self.shown))?;
        drop(done);
        let _ = heart.join();
        if !status.success() {
            return Err(format!("`{}` failed ({status})", self.shown));
        }
        eprintln!("    done in {:.1} s", begin.elapsed().as_secs_f32());
        Ok(())
    }
}

/// A line that stands out from what cargo prints.
pub(crate) fn say(what: &str) {
    eprintln!("==> {what}");
}

/// Hands over to a tool of one of the packages for tests, built with optimisation; its output is its own.
pub(crate) fn tool(package: &str, name: &str, arguments: &[String]) -> Result<(), String> {
    let fixed = ["run", "--release", "--package", package, "--bin", name, "--"];
    Cargo::new(fixed.into_iter().chain(arguments.iter().map(String::as_str))).run()
}

/// Hands over to the freshness model, which its profile optimises in a debug build too.
pub(crate) fn model(arguments: &[String]) -> Result<(), String> {
    let fixed = ["run", "--quiet", "--package", "cache-model", "--"];
    Cargo::new(fixed.into_iter().chain(arguments.iter().map(String::as_str))).run()
}
