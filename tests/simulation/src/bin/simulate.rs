//! `cargo xtask simulate`; `--help` says what it does.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cache_simulation::batch;
use cache_simulation::options::{HELP, Options, Request, parse};
use cache_simulation::rules::MUTATIONS;
use cache_simulation::run::{Outcome, Told, run};
use cache_simulation::variety::{Choice, Pairs};

/// Broken promises, or a rule that nobody missed.
const BROKEN: u8 = 1;
/// Nothing could be judged.
const UNJUDGED: u8 = 2;

/// Violations shown of one seed; the first tell most.
const SHOWN: usize = 8;

/// How often a long run shows that it lives: on a terminal, and in a log.
const ON_A_TERMINAL: Duration = Duration::from_secs(1);
const IN_A_LOG: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let done = match parse(std::env::args().skip(1)) {
        Ok(Request::Help) => told(HELP),
        Ok(Request::Rules) => {
            let lines =
                MUTATIONS.iter().map(|rule| format!("{:<26} without it: {}\n", rule.name, rule.without));
            told(&lines.collect::<String>())
        }
        Ok(Request::Run(options)) if options.verbose => tell(&options),
        Ok(Request::Run(options)) => judge(&options),
        Ok(Request::Mutations { from, seeds }) => mutate(from, seeds),
        Err(mistake) => Err(mistake),
    };
    done.unwrap_or_else(|mistake| {
        eprintln!("error: {mistake}");
        ExitCode::from(UNJUDGED)
    })
}

/// Whoever stopped listening still gets the exit status.
fn told(text: &str) -> Result<ExitCode, String> {
    let _ = write!(io::stdout(), "{text}");
    Ok(ExitCode::SUCCESS)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// A line from time to time about how far it is.
struct Progress {
    begin: Instant,
    last: Mutex<Instant>,
    total: u64,
}

impl Progress {
    fn new(total: u64) -> Self {
        let now = Instant::now();
        Self { begin: now, last: Mutex::new(now), total }
    }

    fn shows(&self, done: u64) {
        let every = if io::stderr().is_terminal() { ON_A_TERMINAL } else { IN_A_LOG };
        // Somebody else is about to say it.
        let Ok(mut last) = self.last.try_lock() else { return };
        if last.elapsed() >= every {
            *last = Instant::now();
            let rate = rate(done, self.begin.elapsed());
            let done = done.min(self.total);
            eprintln!("{done} of {} seeds, {rate:.0} a second", self.total);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn rate(seeds: u64, time: Duration) -> f64 {
    seeds as f64 / time.as_secs_f64().max(1e-9)
}

fn judge(options: &Options) -> Result<ExitCode, String> {
    let progress = Progress::new(options.seeds);
    let batch =
        batch::seeds(options.from, options.seeds, threads(), options.without, |done| progress.shows(done));
    let time = progress.begin.elapsed();
    let mut text = String::new();
    for (name, count) in batch.counts.iter() {
        text.push_str(&format!("{:<24} {count:>12}\n", name.replace('_', " ")));
    }
    let (met, possible) = (Pairs::of(&batch.called), Pairs::possible());
    let choices: BTreeSet<_> = batch.called.iter().map(|(choice, ..)| choice).collect();
    text.push_str(&format!(
        "{} of {} combinations of options, {} of {} pairs\n",
        choices.len(),
        Choice::all().count(),
        met.0.len(),
        possible.0.len()
    ));
    let (seeds, rate) = (batch.seeds, rate(batch.seeds, time));
    text.push_str(&format!("{seeds} seeds in {:.1} s, {rate:.0} a second\n", time.as_secs_f64()));
    told(&text)?;
    let Some(broken) = batch.broken else {
        told("every promise was kept\n")?;
        return Ok(ExitCode::SUCCESS);
    };
    let again = run(broken.seed, options.without, Told::Everything);
    told(&again.timeline.join("\n"))?;
    told("\n")?;
    blame(&again, options);
    if again.violations != broken.violations {
        return Err(format!(
            "seed {} ended otherwise when it was run again: the simulation is not repeatable",
            broken.seed
        ));
    }
    Ok(ExitCode::from(BROKEN))
}

fn tell(options: &Options) -> Result<ExitCode, String> {
    let mut status = ExitCode::SUCCESS;
    for seed in options.from..options.from + options.seeds {
        let outcome = run(seed, options.without, Told::Everything);
        told(&format!("seed {seed}\n{}\n", outcome.timeline.join("\n")))?;
        if outcome.violations.is_empty() {
            told("every promise was kept\n")?;
        } else {
            blame(&outcome, options);
            status = ExitCode::from(BROKEN);
        }
    }
    Ok(status)
}

fn blame(outcome: &Outcome, options: &Options) {
    for violation in outcome.violations.iter().take(SHOWN) {
        eprintln!("{violation}");
    }
    if outcome.violations.len() > SHOWN {
        eprintln!("… and {} more", outcome.violations.len() - SHOWN);
    }
    let without = options.without.map_or(String::new(), |rule| format!(" --without {}", rule.name));
    eprintln!(
        "error: seed {} broke a promise; again, with its timeline: cargo xtask simulate --from {} --seeds 1 --verbose{without}",
        outcome.seed, outcome.seed
    );
}

fn mutate(from: u64, seeds: u64) -> Result<ExitCode, String> {
    let mut status = ExitCode::SUCCESS;
    told("| rule | without it | promise broken | seeds until found |\n|---|---|---|---:|\n")?;
    for rule in MUTATIONS {
        let progress = Progress::new(seeds);
        let batch = batch::seeds(from, seeds, threads(), Some(rule), |done| progress.shows(done));
        let found = batch.broken.map(|outcome| {
            let mut promises: Vec<_> = outcome.violations.iter().map(|violation| violation.promise).collect();
            promises.sort_unstable();
            promises.dedup();
            let promises: Vec<_> = promises.iter().map(ToString::to_string).collect();
            (promises.join(", "), outcome.seed - from + 1)
        });
        let row = match found {
            Some((promises, seeds)) => {
                format!("| `{}` | {} | {promises} | {seeds} |\n", rule.name, rule.without)
            }
            None => {
                status = ExitCode::from(BROKEN);
                format!("| `{}` | {} | none | more than {seeds} |\n", rule.name, rule.without)
            }
        };
        told(&row)?;
    }
    Ok(status)
}
