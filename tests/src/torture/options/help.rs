//! The text of `torture --help`.

use std::fmt::Write;

use crate::torture::nemesis;

const BEFORE: &str = "\
Readers and writers on a few hot keys, over real Redis and Postgres, in several processes, while things go wrong. Every
read is judged. Exit status 1 if a promise was broken that must hold, 2 if nothing could be judged.

Usage: cargo xtask torture [OPTIONS]

Options:
  --level LEVEL      fresh (the default): the cache, all promises; a short run of `aside` follows as the control
                     aside: plain cache-aside (GET, load, SET; DEL after COMMIT), which breaks them all
  --nemesis NAMES    What goes wrong, in a comma list; each has a run of its own, the control follows the last. `all`:
                     everything below. kill-writers unless this or `--crash 0` is given
  --seconds N        How long they read and write, under each nemesis: 20
  --instances N      Processes: 3
  --crash PERCENT    Writes that die by SIGKILL between COMMIT and clear, with their whole process; a quarter as many
                     die after mark and before COMMIT. 2 under kill-writers, else 0
  --without RULE     The cache breaks a rule, for example `confirmed-clear`: then a promise must be broken, or the run is a
                     fault. An unknown one lists them all
  --l1 N             Each instance keeps so many values in its L1; then A and D are judged, since B and C hold in each process
                     by itself only. With `--without heard-by-all` it is plain pub/sub: 0, no L1
  --keys N           Hot keys: 8
  --readers N        Readers an instance, shared out over the keys: 48
  --writers N        Writers an instance: 2
  --pause-ms N       A loader waits up to N ms between its statement and the fill, which widens the races: 3
  --linger-ms N      One write in four waits up to N ms before COMMIT, and one in four after it;
                     one in forty up to ten times as long: 30
  --write-pause-ms N A writer waits up to N ms between two writes: 100
  --seed N           Start of all random choices; 0, the default, picks one and prints it
  --json             One JSON object a line instead of a table
  --markdown         The summary as a table in Markdown
  --keep             Keep the logs of the events, and say where

Environment:
  DATABASE_URL       A Postgres server to use instead of a private one; its user may create databases
  REDIS_URL          A Redis server to use instead of a private one

Promises (counted in stale reads):
  stale_after_return   A: a read that began after a write had returned was older
  stale_after_visible  B: a read that began after somebody had seen a version in the database was older
  non_monotonic        C: a read that began after another one had ended was older
  stale_at_rest        D: a read of the quiet system, after all writes, was not what the database holds

Nemeses:
";

/// The text, with every nemesis that there is.
#[must_use]
pub fn help() -> String {
    let mut text = BEFORE.to_owned();
    for nemesis in nemesis::ALL {
        writeln!(text, "  {:<20} {}", nemesis.name, nemesis.does).expect("a string takes all text");
    }
    text
}
