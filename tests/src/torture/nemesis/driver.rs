//! The thread in which a nemesis strikes, rests and strikes again, and in the end makes the world whole. Refuses to go on
//! after a strike that failed: then nobody knows what was tested.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    super::{fleet::Troops, ground::Ground, options::Options},
    Arena, Bell, Deed,
};

/// A nemesis at work.
#[derive(Debug)]
pub struct Driver {
    over: Arc<Bell>,
    threads: Vec<JoinHandle<Result<u64, String>>>,
}

impl Driver {
    /// Lets the nemesis of these options loose, each of its deeds in a thread. Must be called on a tokio runtime, which its
    /// questions to servers run on.
    #[must_use]
    pub fn start(options: &Options, ground: &Arc<Ground>, troops: &Troops) -> Self {
        let (nemesis, over) = (options.nemesis(), Arc::new(Bell::default()));
        let mut seeds = fastrand::Rng::with_seed(options.seed);
        let threads = nemesis.deeds.iter().map(|deed| {
            let mut arena = Arena {
                ground: ground.clone(),
                troops: troops.clone(),
                keys: options.keys,
                rng: fastrand::Rng::with_seed(seeds.u64(..)),
                over: over.clone(),
                runtime: Handle::current(),
            };
            thread::spawn(move || {
                let struck = strike_on(deed, &mut arena);
                let healed = (deed.heal)(&mut arena);
                healed.and(struck).map_err(|error| format!("the nemesis failed: {error}"))
            })
        });
        Self { threads: threads.collect(), over }
    }

    /// Ends the strikes and heals. Tells how often it struck.
    ///
    /// # Errors
    /// A strike that could not be carried out, or not be undone.
    pub fn stop(mut self) -> Result<u64, String> {
        self.over.ring();
        let ends: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        ends.into_iter().map(|end| end.map_err(|_| "the nemesis panicked".to_owned())?).sum()
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
