//! What the command line asks for. Pure. Refuses a range that is empty or does not end, and a rule that nobody knows.

use crate::rules::{MUTATIONS, Mutation, named};

pub const HELP: &str = "\
Runs the real engine of several instances over a simulated store and database. A seed decides at every
await what comes next and what goes wrong, and the same seed is always the same run. Every history is
checked: no read is older than it may be (promises A to F of docs/manual/races.md), and nobody waits for ever.

Usage: cargo xtask simulate [OPTIONS]

Options:
  --seeds N       How many seeds to run, 20000 by default
  --from S        The first seed, 0 by default
  --verbose       Print the timeline of each run; for a few seeds, such as --from S --seeds 1
  --without RULE  Take a rule out of the protocol: it should be found soon. `--rules` lists them
  --mutations     Take out each rule in turn, and print how many seeds it took to find it
  --rules         List the rules
  --help          This text

Exit status: 0 every promise was kept (with --mutations: every rule was missed), 1 one was broken (or one
was not missed), 2 nothing could be judged.
";

/// Seeds run unless the command line says otherwise.
const SEEDS: u64 = 20_000;
/// More timelines than anybody reads.
const MOST_TOLD: u64 = 100;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    Help,
    Rules,
    Run(Options),
    /// Each rule in turn, with this range of seeds for each.
    Mutations {
        from: u64,
        seeds: u64,
    },
}

/// A run over a range of seeds.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub from: u64,
    pub seeds: u64,
    pub verbose: bool,
    pub without: Option<&'static Mutation>,
}

/// Reads the command line.
///
/// # Errors
/// One line that says what to write instead.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Request, String> {
    let mut options = Options { from: 0, seeds: SEEDS, verbose: false, without: None };
    let (mut mutations, mut has_seeds) = (false, false);
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("`{argument}` needs a value; `--help` shows it"));
        match argument.as_str() {
            "--help" | "-h" => return Ok(Request::Help),
            "--rules" => return Ok(Request::Rules),
            "--mutations" => mutations = true,
            "--verbose" => options.verbose = true,
            "--seeds" => (options.seeds, has_seeds) = (number("--seeds", &value()?)?, true),
            "--from" => options.from = number("--from", &value()?)?,
            "--without" => {
                let name = value()?;
                let unknown = || format!("no rule `{name}`; `--rules` lists them");
                options.without = Some(named(&name).ok_or_else(unknown)?);
            }
            other => return Err(format!("no option `{other}`; `--help` lists them")),
        }
    }
    if options.seeds == 0 {
        return Err("`--seeds 0` runs nothing; write at least 1".into());
    }
    if options.from.checked_add(options.seeds).is_none() {
        return Err(format!(
            "seeds end at {}: `--from {}` leaves no room for `--seeds {}`",
            u64::MAX,
            options.from,
            options.seeds
        ));
    }
    if mutations {
        if options.verbose || options.without.is_some() {
            return Err(
                "`--mutations` takes out each rule by itself; leave out `--without` and `--verbose`".into()
            );
        }
        let seeds = if has_seeds { options.seeds } else { most_needed() };
        return Ok(Request::Mutations { from: options.from, seeds });
    }
    if options.verbose && options.seeds > MOST_TOLD {
        return Err(format!(
            "`--verbose` prints hundreds of lines a seed; write `--seeds {MOST_TOLD}` or fewer"
        ));
    }
    Ok(Request::Run(options))
}

fn most_needed() -> u64 {
    MUTATIONS.iter().map(|mutation| mutation.budget).max().unwrap_or(SEEDS)
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{option} {text}`: write a whole number from 0 to {}", u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    fn mistake(line: &str) -> String {
        of(line).expect_err(line)
    }

    #[test]
    fn a_range_and_a_rule_are_read() {
        let Ok(Request::Run(options)) = of("--from 7 --seeds 1 --verbose --without epoch-compared") else {
            panic!("it is a run");
        };
        assert_eq!((options.from, options.seeds, options.verbose), (7, 1, true));
        assert_eq!(options.without.unwrap().name, "epoch-compared");
        let Ok(Request::Run(options)) = of("") else { panic!("it is a run") };
        assert_eq!((options.from, options.seeds, options.without.is_none()), (0, 20_000, true));
        assert!(matches!(of("--mutations --from 3"), Ok(Request::Mutations { from: 3, .. })));
        assert!(matches!(of("--help"), Ok(Request::Help)));
    }

    #[test]
    fn each_mistake_is_one_line_that_says_what_to_write() {
        for (line, says) in [
            ("--seeds 0", "`--seeds 0` runs nothing; write at least 1"),
            ("--seeds many", "`--seeds many`: write a whole number"),
            ("--seeds -1", "`--seeds -1`: write a whole number"),
            ("--from", "`--from` needs a value"),
            ("--from 18446744073709551615 --seeds 2", "leaves no room for `--seeds 2`"),
            ("--without luck", "no rule `luck`; `--rules` lists them"),
            ("--seed 1", "no option `--seed`"),
            ("--verbose", "write `--seeds 100` or fewer"),
            ("--mutations --verbose", "leave out"),
        ] {
            let mistake = mistake(line);
            assert!(mistake.contains(says) && !mistake.contains('\n'), "{line}: {mistake}");
        }
    }
}
