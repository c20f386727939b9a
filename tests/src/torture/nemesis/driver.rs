//! The thread in which a nemesis strikes, rests and strikes again, and in the end makes the world whole. Refuses to go on
//! after a strike that failed: then nobody knows what was tested.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    super::{fleet::Troops, ground::Ground},
    Arena, Bell, Deed, Nemesis,
};

/// A nemesis at work.
#[derive(Debug)]
pub struct Driver {
    over: Arc<Bell>,
    thread: Option<JoinHandle<Result<u64, String>>>,
}

impl Driver {
    /// Lets it loose. Must be called on a tokio runtime, which its questions to servers run on.
    #[must_use]
    pub fn start(nemesis: &'static Nemesis, ground: Arc<Ground>, troops: Troops, seed: u64) -> Self {
        let over = Arc::new(Bell::default());
        let rng = fastrand::Rng::with_seed(seed);
        let mut arena = Arena { ground, troops, rng, over: over.clone(), runtime: Handle::current() };
        let thread = nemesis.deed.clone().map(|deed| {
            thread::spawn(move || {
                let struck = strike_on(&deed, &mut arena);
                let healed = (deed.heal)(&mut arena);
                arena.troops.resume_all();
                healed.and(struck).map_err(|error| format!("the nemesis `{}` failed: {error}", nemesis.name))
            })
        });
        Self { over, thread }
    }

    /// Ends the strikes and heals. Tells how often it struck.
    ///
    /// # Errors
    /// A strike that could not be carried out, or not be undone.
    pub fn stop(mut self) -> Result<u64, String> {
        self.over.ring();
        let Some(thread) = self.thread.take() else { return Ok(0) };
        thread.join().map_err(|_| "the nemesis panicked".to_owned())?
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Given up: it still ends, and heals, by itself.
        self.over.ring();
    }
}

fn strike_on(deed: &Deed, arena: &mut Arena) -> Result<u64, String> {
    let mut strikes = 0;
    loop {
        let pause = Duration::from_millis(arena.rng.u64(deed.every.clone()));
        if !arena.wait(pause) {
            return Ok(strikes);
        }
        strikes += u64::from((deed.strike)(arena)?);
    }
}
