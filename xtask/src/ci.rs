//! All that a change must pass, the quick checks first.

use std::time::Instant;

use crate::{cargo::Cargo, cargo::say, layers, root, servers};

/// Every step builds the whole workspace with the same features and no flags of its own, so none throws away what another built.
pub(crate) fn run() -> Result<(), String> {
    let begin = Instant::now();
    Cargo::new(["fmt", "--all", "--check"]).run()?;
    say("cargo xtask layers");
    layers::run(&root())?;
    Cargo::new(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()?;
    Cargo::new(["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings").run()?;
    servers::test(&[])?;
    say(&format!("all passed in {:.0} s", begin.elapsed().as_secs_f32()));
    Ok(())
}
