//! Readers and writers on hot keys, in several processes, while things go wrong; every read is judged.
//!
//! The coordinator ([`run`]) starts servers and instances, restarts what dies, looks at the database all the while, and in
//! the end [judges](check) the merged logs. An instance ([`instance`]) is a process of the same program that reads and writes
//! through the real cache ([`fresh`]) or through plain cache-aside ([`aside`]), and now and then kills itself ([`reaper`]).
//! What else goes wrong is up to a [nemesis], which works on the instances and on the servers ([`ground`]).
//!
//! Times are those of the kernel's monotonic clock, which all processes of a host share and nobody can set
//! ([`crate::time`]), so no clock step can make a false witness.

pub mod aside;
pub mod check;
pub mod event;
pub mod fleet;
pub mod fresh;
pub mod ground;
pub mod instance;
pub mod log;
pub mod nemesis;
pub mod observer;
pub mod options;
pub mod pending;
pub mod reaper;
pub mod report;
pub mod round;
pub mod row;
pub mod rows;

use nemesis::Nemesis;
use options::{Level, Options};
use report::Outcome;

/// The longest slice of cache-aside that follows a run at another level.
const CONTROL: std::time::Duration = std::time::Duration::from_secs(5);

/// What is told while it runs.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// A round begins: its place among so many, and what it is.
    Begins(usize, usize, &'a Options),
    /// A round has ended.
    Ended(&'a Outcome),
    /// A round could not be judged, and why. The others go on.
    Failed(&'a Options, &'a str),
}

/// Starts the servers and runs what was asked for, one round for each nemesis; at `fresh` with the control after them.
///
/// The control runs under no nemesis, or under the one that it shares with the only run: it shows that the races are there
/// and that the checker sees them, which needs no faults.
///
/// # Errors
/// What keeps everything from being judged; told before anything begins.
pub async fn run(options: &Options, mut tell: impl FnMut(News<'_>)) -> Result<(), String> {
    let mut options = options.clone();
    if options.seed == 0 {
        options.seed = fastrand::u64(1..1 << 32);
    }
    ground::check(&options.nemeses)?;
    let servers = ground::Servers::start()?;
    let rounds = rounds(&options);
    for (place, round) in (1..).zip(&rounds) {
        tell(News::Begins(place, rounds.len(), round));
        match round::run(&servers, round).await {
            Ok(outcome) => tell(News::Ended(&outcome)),
            Err(error) => tell(News::Failed(round, &error)),
        }
    }
    Ok(())
}

fn rounds(options: &Options) -> Vec<Options> {
    let mut rounds: Vec<_> = options.nemeses.iter().map(|nemesis| options.under(nemesis)).collect();
    // Without a rule the run is a control itself.
    if options.level != Level::Aside && options.without.is_none() {
        let time = options.time.min(CONTROL);
        let control = Options { level: Level::Aside, time, ..options.clone() };
        rounds.push(match options.nemeses[..] {
            [only] if is_shared(only) => control,
            _ => Options { crash: None, ..control.under(nemesis::NONE) },
        });
    }
    rounds
}

fn is_shared(nemesis: &Nemesis) -> bool {
    nemesis.within.crash > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &str) -> Vec<(Level, &'static str, f64)> {
        let options = Options { nemeses: nemesis::parse(names).unwrap(), ..Options::default() };
        rounds(&options).iter().map(|round| (round.level, round.nemesis().name, round.crash())).collect()
    }

    #[test]
    fn each_nemesis_has_a_round_and_one_control_follows() {
        assert_eq!(
            lines("flush,kill-writers"),
            [(Level::Fresh, "flush", 0.0), (Level::Fresh, "kill-writers", 2.0), (Level::Aside, "none", 0.0)]
        );
        assert_eq!(
            lines("kill-writers"),
            [(Level::Fresh, "kill-writers", 2.0), (Level::Aside, "kill-writers", 2.0)]
        );
    }
}
